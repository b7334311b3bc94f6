// Package egress dials addresses that somebody outside the house may have chosen: a customer, a message, an agent who is
// no admin. It refuses whatever is not a public address, so that the hub cannot be made to talk to itself, to its
// neighbours or to a cloud's metadata service.
//
// Invariants. The decision is made on the address that is about to be dialled, after the name was resolved and for every
// redirect anew: spellings of an address (octal, hex, mapped into IPv6) and names that resolve differently the second
// time make no difference. Only http and https are spoken; no cookies, no proxy of the environment, at most
// MaxRedirects hops.
//
// Failure. A refused address is ErrRefused, before any byte is sent.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrRefused means that the address is not one that the hub may be sent to.
var ErrRefused = errors.New("this address is not public")

// MaxRedirects is how often an answer may send us elsewhere.
const MaxRedirects = 3

// Guard decides where the hub may dial. The zero value allows public addresses only.
type Guard struct {
	// Allow lets further networks through (PARLEY_EGRESS_ALLOW).
	Allow []netip.Prefix
}

// what is no public address although the standard library's predicates do not say so
var special = []netip.Prefix{ //nolint:gochecknoglobals // a table
	netip.MustParsePrefix("0.0.0.0/8"),       // "this" network
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64: any IPv4 address in disguise
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),      // discard
	netip.MustParsePrefix("2001::/32"),     // Teredo, IPv4 in disguise
	netip.MustParsePrefix("2001:db8::/32"), // documentation
	netip.MustParsePrefix("2002::/16"),     // 6to4, IPv4 in disguise
	netip.MustParsePrefix("fec0::/10"),     // site local
}

// Check judges one address.
func (g Guard) Check(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	for _, p := range g.Allow {
		if p.Contains(ip) {
			return nil
		}
	}
	public := ip.IsValid() && ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
	for _, p := range special {
		public = public && !p.Contains(ip)
	}
	if !public {
		return fmt.Errorf("%w: %s", ErrRefused, ip)
	}
	return nil
}

// control sees the resolved address of each connection attempt.
func (g Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s", ErrRefused, network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q", ErrRefused, address)
	}
	return g.Check(ap.Addr())
}

// Client speaks HTTP to public addresses. timeout bounds one whole exchange, redirects and body included.
func (g Guard) Client(timeout time.Duration) *http.Client {
	d := &net.Dialer{Timeout: 10 * time.Second, ControlContext: g.control}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext: d.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > MaxRedirects {
				return fmt.Errorf("%w: more than %d redirects", ErrRefused, MaxRedirects)
			}
			if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
				return fmt.Errorf("%w: %s", ErrRefused, r.URL.Scheme)
			}
			r.Header.Del("Referer")
			return nil
		},
	}
}
