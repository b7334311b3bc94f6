package crm

import (
	"strings"

	"golang.org/x/net/idna"
)

// Address is a normalised identity: what is claimed, and what was given.
type Address struct {
	Kind   string
	Value  string
	Raw    string
	Shared bool // a role address: it matches, but never merges (R9)
}

// Normalise turns what a provider says into the claim key: raw is what was given, "" = the value itself. ok is false when
// it must identify nobody. region is the default country of the channel, scope its name for numbers that only mean
// something there.
func Normalise(kind, value, raw, region, scope string) (a Address, ok bool) {
	if raw == "" {
		raw = value
	}
	a = Address{Kind: kind, Value: strings.TrimSpace(value), Raw: clean(raw, 512)}
	switch kind {
	case KindPhone, KindPhoneRaw:
		p, ok := ParsePhone(value, region)
		if !ok {
			return Address{}, false
		}
		a.Kind, a.Value = p.Kind, p.Value
		if p.Kind == KindPhoneRaw {
			a.Value = scope + ":" + p.Value
		} else {
			a.Raw = p.E164
		}
	case KindEmail:
		a.Value, a.Shared = normaliseEmail(value)
	}
	a.Value = clean(a.Value, 512)
	if a.Kind == "" || a.Value == "" {
		return Address{}, false
	}
	return a, true
}

// normaliseEmail lower-cases the address and writes its domain as an A-label (R5). "" when it is none.
func normaliseEmail(s string) (value string, shared bool) {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || strings.ContainsAny(s, " \t\r\n<>") {
		return "", false
	}
	local, domain := strings.ToLower(s[:at]), strings.ToLower(strings.TrimSuffix(s[at+1:], "."))
	if d, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = d
	}
	switch local {
	case "info", "sales", "noreply", "no-reply", "office", "support", "admin", "contact", "mail", "hello", "billing":
		shared = true
	}
	return local + "@" + domain, shared
}

// clean makes a string storable: valid UTF-8, no NUL, at most n bytes cut at a character.
func clean(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
