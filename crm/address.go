package crm

import (
	"strings"

	"golang.org/x/net/idna"

	"github.com/parley-hub/parley/channels"
)

// Address is a normalised identity: what is claimed, and what was given.
type Address struct {
	Kind   string
	Value  string
	Raw    string
	Shared bool // a role address: it matches, but never merges (R9)
}

// Normalise turns what a provider says into the claim key. ok is false when it must identify nobody.
// scope is the channel's name for numbers that only mean something there.
func Normalise(id channels.Identity, region, scope string) (a Address, ok bool) {
	raw := id.Raw
	if raw == "" {
		raw = id.Value
	}
	a = Address{Kind: id.Kind, Value: strings.TrimSpace(id.Value), Raw: clean(raw, 512)}
	switch id.Kind {
	case KindPhone, KindPhoneRaw:
		p, ok := ParsePhone(id.Value, region)
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
		a.Value, a.Shared = normaliseEmail(id.Value)
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
