package crm

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Phone is a telephone number as it identifies a person.
type Phone struct {
	Kind  string // KindPhone, or KindPhoneRaw for digits no numbering plan knows
	Value string // the claim key: all national variants of one number have the same
	E164  string // as given, in E.164; "" for KindPhoneRaw
	Ext   string // an extension is kept apart, it never identifies
}

// minPhoneDigits: shorter ones are short codes and internal extensions, which many people share (R3).
const minPhoneDigits = 7

// ParsePhone reads a number in any spelling. region (ISO 3166, may be "") is the default country of the channel. ok is
// false for what must never identify anybody: hidden callers, words, short codes, extensions.
//
// A number that the numbering plan calls invalid but possible still identifies (plans change); one that is impossible
// identifies only as its raw digits.
func ParsePhone(raw, region string) (p Phone, ok bool) {
	s := strings.TrimSpace(raw)
	if i := strings.IndexByte(s, ':'); i >= 0 && i < 5 { // tel:, sip:, sips:
		s = s[i+1:]
		if j := strings.IndexAny(s, ";@?"); j >= 0 {
			s = s[:j]
		}
	}
	s = latinDigits(s)
	digits := onlyDigits(s)
	if len(digits) < minPhoneDigits || len(digits) > 20 || letters(s) > 5 {
		return Phone{}, false
	}
	plus := strings.HasPrefix(s, "+")
	// 00 is the international prefix nearly everywhere; where it is not (RU: 810) nothing valid starts with it either.
	if !plus && strings.HasPrefix(s, "00") && len(digits) > 9 {
		s, plus = "+"+s[2:], true
	}
	if !plus && region == "" {
		return Phone{Kind: KindPhoneRaw, Value: digits}, true
	}
	n, err := phonenumbers.Parse(s, region)
	if err != nil {
		return Phone{Kind: KindPhoneRaw, Value: digits}, true
	}
	ext := n.GetExtension()
	n.Extension = nil
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if !phonenumbers.IsPossibleNumber(n) {
		if !plus {
			return Phone{Kind: KindPhoneRaw, Value: digits}, true
		}
	}
	return Phone{Kind: KindPhone, Value: canonicalVariant(e164), E164: e164, Ext: ext}, true
}

// canonicalVariant maps the national variants of one line to one form, so that both collide in the claim (R4):
// Brazil's ninth digit, Mexico's 1 after 52, Argentina's 9 after 54.
func canonicalVariant(e164 string) string {
	switch {
	case strings.HasPrefix(e164, "+55") && len(e164) == 13 && e164[5] >= '6':
		return e164[:5] + "9" + e164[5:]
	case strings.HasPrefix(e164, "+521") && len(e164) == 14:
		return "+52" + e164[4:]
	case strings.HasPrefix(e164, "+549") && len(e164) == 14:
		return "+54" + e164[4:]
	}
	return e164
}

// PhoneQuery returns the digits of a search text that looks like a part of a number, "" when it does not.
func PhoneQuery(q string) string {
	q = latinDigits(q)
	d := onlyDigits(q)
	if len(d) < 3 || letters(q) > 0 {
		return ""
	}
	return d
}

// latinDigits turns the decimal digits of other scripts (Arabic, Persian, Devanagari, full width) into ASCII.
func latinDigits(s string) string {
	return strings.Map(func(r rune) rune {
		for _, zero := range [...]rune{0x0660, 0x06F0, 0x0966, 0x09E6, 0xFF10} {
			if r >= zero && r <= zero+9 {
				return '0' + r - zero
			}
		}
		return r
	}, s)
}

func onlyDigits(s string) string {
	if i := strings.IndexFunc(s, func(r rune) bool { return r == ';' || r == 'x' || r == 'X' || r == '#' }); i > 0 {
		s = s[:i]
	}
	var b strings.Builder
	for _, r := range s {
		if r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// letters counts what cannot be part of a number; a few are let through for "ext", "доб".
func letters(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
		case strings.ContainsRune("+-. ()/\u00a0\u2010\u2011\u2012\u2013;=#*,", r):
		default:
			n++
		}
	}
	return n
}
