package email

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
)

type fakeDNS struct {
	mx  string
	srv map[string]string
}

func (f fakeDNS) LookupMX(context.Context, string) ([]*net.MX, error) {
	if f.mx == "" {
		return nil, errors.New("none")
	}
	return []*net.MX{{Host: f.mx}}, nil
}

func (f fakeDNS) LookupSRV(_ context.Context, service, _, _ string) (string, []*net.SRV, error) {
	if f.srv[service] == "" {
		return "", nil, errors.New("none")
	}
	return "", []*net.SRV{{Target: f.srv[service], Port: 1234}}, nil
}

// answers stands for the web: what each host says.
type answers map[string]string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}, Request: r}
	if body, ok := a[r.URL.Host]; ok {
		rec.StatusCode, rec.Body = http.StatusOK, readCloser{strings.NewReader(body)}
	}
	return rec, nil
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestSuggest(t *testing.T) {
	t.Parallel()
	const published = `<?xml version="1.0" encoding="iso-8859-1"?><clientConfig><emailProvider id="x"><incomingServer type="pop3"><hostname>pop</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
		<incomingServer type="imap"><hostname>mail.firm.example</hostname><port>993</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username></incomingServer>
		<outgoingServer type="smtp"><hostname>open.firm.example</hostname><port>25</port><socketType>plain</socketType></outgoingServer>
		<outgoingServer type="smtp"><hostname>mail.firm.example</hostname><port>587</port><socketType>STARTTLS</socketType></outgoingServer></emailProvider></clientConfig>`
	for _, c := range []struct {
		name, address string
		web           answers
		dns           fakeDNS
		want          Suggestion
	}{
		{"big provider", "a@gmail.com", nil, fakeDNS{}, Suggestion{Source: "known", IMAP: Endpoint{"imap.gmail.com", 993, "tls", "a@gmail.com"}, SMTP: Endpoint{"smtp.gmail.com", 465, "tls", "a@gmail.com"}}},
		{"by country", "a@yahoo.co.uk", nil, fakeDNS{}, Suggestion{Source: "known", IMAP: Endpoint{"imap.mail.yahoo.com", 993, "tls", "a@yahoo.co.uk"}, SMTP: Endpoint{"smtp.mail.yahoo.com", 465, "tls", "a@yahoo.co.uk"}}},
		{"autoconfig", "a@firm.example", answers{"autoconfig.firm.example": published}, fakeDNS{}, Suggestion{Source: "autoconfig", IMAP: Endpoint{"mail.firm.example", 993, "tls", "a"}, SMTP: Endpoint{"mail.firm.example", 587, "starttls", "a@firm.example"}}},
		{"kept by Google", "a@firm.example", answers{"firm.example": "<rubbish"}, fakeDNS{mx: "aspmx.l.google.com."}, Suggestion{Source: "known", IMAP: Endpoint{"imap.gmail.com", 993, "tls", "a@firm.example"}, SMTP: Endpoint{"smtp.gmail.com", 465, "tls", "a@firm.example"}}},
		{"srv", "a@firm.example", nil, fakeDNS{srv: map[string]string{"imaps": "I.firm.example.", "submission": "s.firm.example."}}, Suggestion{Source: "srv", IMAP: Endpoint{"i.firm.example", 1234, "tls", "a@firm.example"}, SMTP: Endpoint{"s.firm.example", 1234, "starttls", "a@firm.example"}}},
		{"guess", "a@firm.example", nil, fakeDNS{}, Suggestion{Source: "guess", IMAP: Endpoint{"imap.firm.example", 993, "tls", "a@firm.example"}, SMTP: Endpoint{"smtp.firm.example", 465, "tls", "a@firm.example"}}},
	} {
		s := &Suggester{Client: &http.Client{Transport: c.web}, DNS: c.dns}
		got, err := s.For(t.Context(), c.address)
		got.Note = ""
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "a", "a@", "a b@c.example", "a@c.example/evil", "Ada <a@b.example>"} {
		if _, err := (&Suggester{}).For(t.Context(), bad); err == nil {
			t.Errorf("%q was taken for an address", bad)
		}
	}
}

func TestReplyTokens(t *testing.T) {
	t.Parallel()
	a, other := testAdapter(t, ""), testAdapter(t, "")
	other.account.Key = []byte("another key")
	address := a.replyAddress("42")
	if got := a.conversationOf(strings.ToUpper(address)); got != "42" {
		t.Errorf("our own token gave %q", got)
	}
	at := strings.LastIndexByte(address, '@')
	for _, bad := range []string{
		other.replyAddress("42"), strings.Replace(address, "+p42.", "+p43.", 1), address[:at-1] + address[at:], address[:at] + "0" + address[at:],
		"sales+p42.@example.com", "sales+p42@example.com", "sales+p@example.com", "sales@example.com", "", "x@y", strings.Replace(address, "example.com", "evil.example", 1),
	} {
		if got := a.conversationOf(bad); got != "" {
			t.Errorf("%q gave %q", bad, got)
		}
	}
	id := a.ProviderID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
	if !a.isOurs(id) || a.isOurs(other.ProviderID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")) || a.isOurs("x.@example.com") || a.isOurs("") {
		t.Errorf("%s is not told from others", id)
	}
}
