package email

import (
	"context"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/parley-hub/parley/channels"
)

// Resolver is the part of net.Resolver that is asked.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Suggester finds out what settings an address needs: from a table of big providers, from what the provider publishes
// (Mozilla's autoconfig, SRV records), else by a guess.
type Suggester struct {
	// Client fetches from hosts that the address names, so it must refuse addresses of the house (internal/egress).
	Client *http.Client
	DNS    Resolver
}

// Endpoint is one server of a suggestion.
type Endpoint struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"`
	Username string `json:"username"`
}

// Suggestion are settings to start from.
type Suggestion struct {
	IMAP   Endpoint `json:"imap"`
	SMTP   Endpoint `json:"smtp"`
	Source string   `json:"source"` // known, autoconfig, srv, guess
	Note   string   `json:"note"`   // a sentence for the admin
}

const (
	suggestTimeout = 15 * time.Second
	maxAutoconfig  = 256 << 10
)

// For finds settings for an address. The only error is a *channels.FieldError about the address.
func (s *Suggester) For(ctx context.Context, address string) (Suggestion, error) {
	address = strings.TrimSpace(address)
	a, err := mail.ParseAddress(address)
	if err != nil || a.Address != address || !plain(address) {
		return Suggestion{}, &channels.FieldError{Field: "address", Msg: "must be an e-mail address such as sales@example.com"}
	}
	domain, err := idna.Lookup.ToASCII(strings.ToLower(address[strings.LastIndexByte(address, '@')+1:]))
	if err != nil || strings.ContainsAny(domain, "/?#%[]:") {
		return Suggestion{}, &channels.FieldError{Field: "address", Msg: "has no domain that mail could go to"}
	}
	if p, ok := byDomain(domain); ok {
		return p.suggestion("known", address), nil
	}
	ctx, cancel := context.WithTimeout(ctx, suggestTimeout)
	defer cancel()
	for _, u := range []string{
		"https://autoconfig." + domain + "/mail/config-v1.1.xml?emailaddress=" + url.QueryEscape(address),
		"https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
	} {
		if out, ok := s.autoconfig(ctx, u, address); ok {
			return out, nil
		}
	}
	if mx, err := s.DNS.LookupMX(ctx, domain); err == nil && len(mx) > 0 {
		if p, ok := byExchanger(mx[0].Host); ok {
			return p.suggestion("known", address), nil
		}
	}
	if out, ok := s.srv(ctx, domain, address); ok {
		return out, nil
	}
	if out, ok := s.autoconfig(ctx, "https://autoconfig.thunderbird.net/v1.1/"+domain, address); ok {
		return out, nil
	}
	return Suggestion{
		IMAP:   Endpoint{"imap." + domain, 993, tlsDirect, address},
		SMTP:   Endpoint{"smtp." + domain, 465, tlsDirect, address},
		Source: "guess", Note: "The provider does not publish its settings: these are the usual names. Ask it if they do not work.",
	}, nil
}

type autoconfigServer struct {
	Type     string `xml:"type,attr"`
	Host     string `xml:"hostname"`
	Port     int    `xml:"port"`
	Socket   string `xml:"socketType"`
	Username string `xml:"username"`
}

func (s *Suggester) autoconfig(ctx context.Context, address, user string) (Suggestion, bool) {
	out := Suggestion{Source: "autoconfig"}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return out, false
	}
	res, err := s.Client.Do(req)
	if err != nil {
		return out, false
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return out, false
	}
	var doc struct {
		Provider struct {
			In  []autoconfigServer `xml:"incomingServer"`
			Out []autoconfigServer `xml:"outgoingServer"`
		} `xml:"emailProvider"`
	}
	d := xml.NewDecoder(io.LimitReader(res.Body, maxAutoconfig))
	d.CharsetReader = charsetReader
	if d.Decode(&doc) != nil {
		return out, false
	}
	var in, outgoing bool
	out.IMAP, in = pick(doc.Provider.In, "imap", user)
	out.SMTP, outgoing = pick(doc.Provider.Out, "smtp", user)
	return out, in && outgoing
}

// pick takes the first encrypted server of the wanted kind.
func pick(list []autoconfigServer, kind, user string) (Endpoint, bool) {
	for _, v := range list {
		e := Endpoint{Host: strings.ToLower(strings.TrimSpace(v.Host)), Port: v.Port, TLS: tlsDirect, Username: user}
		switch strings.ToUpper(strings.TrimSpace(v.Socket)) {
		case "SSL":
		case "STARTTLS":
			e.TLS = tlsStart
		default:
			continue
		}
		if v.Type != kind || e.Host == "" || !plain(e.Host) || strings.ContainsAny(e.Host, " /@") || e.Port < 1 || e.Port > 65535 {
			continue
		}
		if strings.TrimSpace(v.Username) == "%EMAILLOCALPART%" {
			e.Username = user[:strings.LastIndexByte(user, '@')]
		}
		return e, true
	}
	return Endpoint{}, false
}

func (s *Suggester) srv(ctx context.Context, domain, user string) (Suggestion, bool) {
	look := func(services ...string) (Endpoint, bool) {
		for _, name := range services {
			_, list, err := s.DNS.LookupSRV(ctx, name, "tcp", domain)
			if err != nil || len(list) == 0 || list[0].Target == "." || list[0].Port == 0 {
				continue
			}
			e := Endpoint{Host: strings.ToLower(strings.TrimSuffix(list[0].Target, ".")), Port: int(list[0].Port), TLS: tlsDirect, Username: user}
			if name == "imap" || name == "submission" {
				e.TLS = tlsStart
			}
			return e, true
		}
		return Endpoint{}, false
	}
	imap, ok := look("imaps", "imap")
	smtp, found := look("submissions", "submission")
	return Suggestion{IMAP: imap, SMTP: smtp, Source: "srv"}, ok && found
}
