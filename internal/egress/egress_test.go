package egress

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ip string
		ok bool
	}{
		{"93.184.216.34", true},
		{"2606:2800:220:1::1", true},
		{"127.0.0.1", false},
		{"127.9.9.9", false},
		{"0.0.0.0", false},
		{"10.1.2.3", false},
		{"172.16.0.1", false},
		{"192.168.1.1", false},
		{"169.254.169.254", false},
		{"100.64.0.1", false},
		{"224.0.0.1", false},
		{"255.255.255.255", false},
		{"::1", false},
		{"::", false},
		{"fe80::1", false},
		{"fe80::1%eth0", false},
		{"fd00::1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:a9fe:a9fe", false},
		{"64:ff9b::7f00:1", false},
		{"2002:7f00:1::", false},
	} {
		err := Guard{}.Check(netip.MustParseAddr(c.ip))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %v, want allowed %v", c.ip, err, c.ok)
		}
	}
	allow := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if err := allow.Check(netip.MustParseAddr("::ffff:127.0.0.1")); err != nil {
		t.Errorf("an allowed network is refused: %v", err)
	}
}

// Every spelling of this machine is refused before a byte is sent, names that resolve to it too.
func TestClientRefusesThisMachine(t *testing.T) {
	t.Parallel()
	hits := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer srv.Close()
	port := srv.URL[strings.LastIndexByte(srv.URL, ':'):]
	client := Guard{}.Client(5 * time.Second)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]"} {
		resp, err := client.Get("http://" + host + port)
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s was reached", host)
		}
	}
	if hits != 0 {
		t.Errorf("the server was asked %d times", hits)
	}
}

func TestClientChecksEveryHop(t *testing.T) {
	t.Parallel()
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
	}))
	defer outer.Close()
	g := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	resp, err := g.Client(5 * time.Second).Get(outer.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want the redirect refused", err)
	}
	loops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	defer loops.Close()
	resp, err = g.Client(5 * time.Second).Get(loops.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want an end to the redirects", err)
	}
}
