package email

import "strings"

// provider is what a big mail provider wants.
type provider struct {
	domains []string // "yahoo.*" stands for any ending
	mx      []string // endings of the names of its mail exchangers, for companies whose mail it keeps
	imap    string
	smtp    string
	start   bool // SMTP begins in the clear and encrypts by STARTTLS
	note    string
}

const appPassword = "This provider takes no ordinary password here: make an app password in its security settings, or use OAuth."

// providers is the table of those that many people have; the rest tell their settings themselves.
func providers() []provider {
	return []provider{
		{domains: []string{"gmail.com", "googlemail.com"}, mx: []string{".google.com", ".googlemail.com"}, imap: "imap.gmail.com", smtp: "smtp.gmail.com", note: appPassword},
		{domains: []string{"outlook.*", "hotmail.*", "live.*", "msn.com"}, imap: "outlook.office365.com", smtp: "smtp-mail.outlook.com", start: true, note: "Microsoft takes OAuth only: choose xoauth2."},
		{mx: []string{".mail.protection.outlook.com", ".mx.microsoft"}, imap: "outlook.office365.com", smtp: "smtp.office365.com", start: true, note: "Microsoft takes OAuth only: choose xoauth2, and allow authenticated SMTP for this mailbox."},
		{domains: []string{"yahoo.*", "ymail.com", "rocketmail.com"}, mx: []string{".yahoodns.net"}, imap: "imap.mail.yahoo.com", smtp: "smtp.mail.yahoo.com", note: appPassword},
		{domains: []string{"icloud.com", "me.com", "mac.com"}, mx: []string{".mail.icloud.com"}, imap: "imap.mail.me.com", smtp: "smtp.mail.me.com", start: true, note: appPassword},
		{domains: []string{"aol.com"}, imap: "imap.aol.com", smtp: "smtp.aol.com", note: appPassword},
		{domains: []string{"gmx.net", "gmx.de", "gmx.at", "gmx.ch"}, imap: "imap.gmx.net", smtp: "mail.gmx.net", note: "Switch on IMAP in the settings of GMX first."},
		{domains: []string{"gmx.com"}, imap: "imap.gmx.com", smtp: "mail.gmx.com", note: "Switch on IMAP in the settings of GMX first."},
		{domains: []string{"web.de"}, imap: "imap.web.de", smtp: "smtp.web.de", note: "Switch on IMAP in the settings of WEB.DE first."},
		{domains: []string{"t-online.de"}, imap: "secureimap.t-online.de", smtp: "securesmtp.t-online.de", note: "The password is the one for e-mail programs."},
		{domains: []string{"mail.ru", "bk.ru", "list.ru", "inbox.ru"}, mx: []string{".mail.ru"}, imap: "imap.mail.ru", smtp: "smtp.mail.ru", note: appPassword},
		{domains: []string{"yandex.*", "ya.ru"}, mx: []string{".yandex.net", ".yandex.ru"}, imap: "imap.yandex.com", smtp: "smtp.yandex.com", note: appPassword},
		{domains: []string{"fastmail.com", "fastmail.fm"}, mx: []string{".messagingengine.com"}, imap: "imap.fastmail.com", smtp: "smtp.fastmail.com", note: appPassword},
		{domains: []string{"zoho.com", "zohomail.com"}, mx: []string{".zoho.com"}, imap: "imap.zoho.com", smtp: "smtp.zoho.com", note: appPassword},
		{mx: []string{".zoho.eu"}, imap: "imap.zoho.eu", smtp: "smtp.zoho.eu", note: appPassword},
		{domains: []string{"mailbox.org"}, mx: []string{".mailbox.org"}, imap: "imap.mailbox.org", smtp: "smtp.mailbox.org"},
		{domains: []string{"posteo.de", "posteo.net"}, imap: "posteo.de", smtp: "posteo.de"},
		{mx: []string{".kundenserver.de", ".ionos.com", ".ionos.de"}, imap: "imap.ionos.com", smtp: "smtp.ionos.com"},
		{mx: []string{".ovh.net"}, imap: "ssl0.ovh.net", smtp: "ssl0.ovh.net"},
		{mx: []string{".secureserver.net"}, imap: "imap.secureserver.net", smtp: "smtpout.secureserver.net"},
		{mx: []string{".mail.hostpoint.ch"}, imap: "imap.mail.hostpoint.ch", smtp: "asmtp.mail.hostpoint.ch"},
		{domains: []string{"protonmail.com", "proton.me"}, imap: "127.0.0.1", smtp: "127.0.0.1", note: "Proton needs its Bridge program on this machine; take the ports and the password that it shows."},
	}
}

func (p provider) suggestion(source, user string) Suggestion {
	s := Suggestion{
		IMAP:   Endpoint{Host: p.imap, Port: 993, TLS: tlsDirect, Username: user},
		SMTP:   Endpoint{Host: p.smtp, Port: 465, TLS: tlsDirect, Username: user},
		Source: source, Note: p.note,
	}
	if p.start {
		s.SMTP.Port, s.SMTP.TLS = 587, tlsStart
	}
	if loopback(p.imap) {
		s.IMAP.Port, s.IMAP.TLS, s.SMTP.Port, s.SMTP.TLS = 1143, tlsNone, 1025, tlsNone
	}
	return s
}

func byDomain(domain string) (provider, bool) {
	for _, p := range providers() {
		for _, d := range p.domains {
			if head, any := strings.CutSuffix(d, "*"); d == domain || any && strings.HasPrefix(domain, head) && strings.Count(domain, ".") <= 2 {
				return p, true
			}
		}
	}
	return provider{}, false
}

func byExchanger(host string) (provider, bool) {
	host = "." + strings.TrimSuffix(strings.ToLower(host), ".")
	for _, p := range providers() {
		for _, m := range p.mx {
			if strings.HasSuffix(host, m) {
				return p, true
			}
		}
	}
	return provider{}, false
}
