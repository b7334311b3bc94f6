package email

import (
	"encoding/json"
	"errors"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"

	"github.com/parley-hub/parley/channels"
)

// The ways to encrypt a connection, and to prove who we are.
const (
	tlsDirect   = "tls"
	tlsStart    = "starttls"
	tlsNone     = "none"
	authPasswd  = "password"
	authBearer  = "oauthbearer"
	authXOAuth2 = "xoauth2"
)

const (
	maxFolders    = 10
	maxImportDays = 3650
	inboxFolder   = "INBOX"
)

// Server is one end of the account.
type Server struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"`
	Username string `json:"username"`
	Password string `json:"password"`
}

type imapServer struct {
	Server
	Folders []string `json:"folders"`
}

type oauth struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	TokenURL     string `json:"token_url"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

type settings struct {
	Address        string     `json:"address"`
	Name           string     `json:"name"`
	IMAP           imapServer `json:"imap"`
	SMTP           Server     `json:"smtp"`
	Auth           string     `json:"auth"`
	OAuth          oauth      `json:"oauth"`
	AuthServID     string     `json:"authserv_id"`
	Signature      string     `json:"signature"`
	PlusAddressing bool       `json:"plus_addressing"`
	AllowPlain     bool       `json:"allow_plain"`
	ImportDays     int        `json:"import_days"`
	SaveSent       *bool      `json:"save_sent"`
	SeparateCopies bool       `json:"separate_copies"`
}

func parseSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			return s, &channels.FieldError{Field: te.Field, Msg: "is of the wrong type"}
		}
		return s, &channels.FieldError{Field: "address", Msg: "the settings must be an object"}
	}
	s.tidy()
	return s, s.check()
}

func (s *settings) tidy() {
	s.Address = strings.ToLower(strings.TrimSpace(s.Address))
	s.Name = strings.TrimSpace(s.Name)
	s.AuthServID = strings.ToLower(strings.TrimSpace(s.AuthServID))
	if s.Auth == "" {
		s.Auth = authPasswd
	}
	for _, v := range []struct {
		s    *Server
		port map[string]int
	}{
		{&s.IMAP.Server, map[string]int{tlsDirect: 993, tlsStart: 143, tlsNone: 143}},
		{&s.SMTP, map[string]int{tlsDirect: 465, tlsStart: 587, tlsNone: 25}},
	} {
		v.s.Host = strings.ToLower(strings.TrimSpace(v.s.Host))
		if v.s.TLS == "" {
			v.s.TLS = tlsDirect
		}
		if v.s.Port == 0 {
			v.s.Port = v.port[v.s.TLS]
		}
	}
	if s.IMAP.Username == "" {
		s.IMAP.Username = s.Address
	}
	if len(s.IMAP.Folders) == 0 {
		s.IMAP.Folders = []string{inboxFolder}
	}
}

func (s *settings) check() error {
	if a, err := mail.ParseAddress(s.Address); err != nil || a.Address != s.Address || !plain(s.Address) || strings.HasPrefix(s.Address, `"`) {
		return &channels.FieldError{Field: "address", Msg: "must be an e-mail address such as sales@example.com"}
	}
	if !plain(s.Name) || len([]rune(s.Name)) > 100 {
		return &channels.FieldError{Field: "name", Msg: "may have at most 100 characters on one line"}
	}
	if err := s.checkServer("imap", s.IMAP.Server); err != nil {
		return err
	}
	if err := s.checkServer("smtp", s.SMTP); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, f := range s.IMAP.Folders {
		if f == "" || !plain(f) || len(f) > 200 || seen[f] {
			return &channels.FieldError{Field: "imap.folders", Msg: "must be names of folders, each once"}
		}
		seen[f] = true
	}
	switch {
	case len(s.IMAP.Folders) > maxFolders:
		return &channels.FieldError{Field: "imap.folders", Msg: "may name at most 10 folders"}
	case s.ImportDays < 0 || s.ImportDays > maxImportDays:
		return &channels.FieldError{Field: "import_days", Msg: "lies between 0 and 3650"}
	case len(s.Signature) > 10_000:
		return &channels.FieldError{Field: "signature", Msg: "is too long"}
	case len(s.AuthServID) > 255 || !plain(s.AuthServID):
		return &channels.FieldError{Field: "authserv_id", Msg: "is the name that your mail server gives itself in Authentication-Results"}
	}
	return s.checkAuth()
}

func (s *settings) checkAuth() error {
	switch s.Auth {
	case authPasswd:
		if s.IMAP.Password == "" {
			return &channels.FieldError{Field: "imap.password", Msg: "is needed; providers with two-factor login give an app password"}
		}
		return nil
	case authBearer, authXOAuth2:
	default:
		return &channels.FieldError{Field: "auth", Msg: `must be "password", "oauthbearer" or "xoauth2"`}
	}
	u, err := url.Parse(s.OAuth.TokenURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname()))) {
		return &channels.FieldError{Field: "oauth.token_url", Msg: "must be the https address at which the provider gives out tokens"}
	}
	switch {
	case s.OAuth.ClientID == "":
		return &channels.FieldError{Field: "oauth.client_id", Msg: "is needed: the provider gave it to your application"}
	case s.OAuth.RefreshToken == "":
		return &channels.FieldError{Field: "oauth.refresh_token", Msg: "is needed: it comes from signing in once"}
	}
	return nil
}

func (s *settings) checkServer(name string, v Server) error {
	switch {
	case v.Host == "" || !plain(v.Host) || len(v.Host) > 253 || strings.ContainsAny(v.Host, " /@"):
		return &channels.FieldError{Field: name + ".host", Msg: "must be the name of the mail server"}
	case v.Port < 1 || v.Port > 65535:
		return &channels.FieldError{Field: name + ".port", Msg: "lies between 1 and 65535"}
	case v.TLS != tlsDirect && v.TLS != tlsStart && v.TLS != tlsNone:
		return &channels.FieldError{Field: name + ".tls", Msg: `must be "tls", "starttls" or "none"`}
	case v.TLS == tlsNone && !loopback(v.Host) && !s.AllowPlain:
		return &channels.FieldError{Field: name + ".tls", Msg: "without encryption passwords and mail could be read on the way; it is only allowed on this machine, or with allow_plain"}
	case !plain(v.Username) || len(v.Username) > 320:
		return &channels.FieldError{Field: name + ".username", Msg: "must be one line"}
	case strings.ContainsAny(v.Password, "\r\n\x00") || len(v.Password) > 1024:
		return &channels.FieldError{Field: name + ".password", Msg: "must be one line"}
	}
	return nil
}

// plain reports whether s can stand in one line of a protocol.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) < 0
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (v Server) addr() string { return net.JoinHostPort(v.Host, itoa(v.Port)) }

func (s *settings) domain() string { return s.Address[strings.LastIndexByte(s.Address, '@')+1:] }

// savesSent reports whether we put a copy of what was sent into the mailbox. Big providers do it themselves.
func (s *settings) savesSent() bool {
	if s.SaveSent != nil {
		return *s.SaveSent
	}
	for _, own := range []string{"gmail.com", "googlemail.com", "office365.com", "outlook.com"} {
		if strings.HasSuffix(s.SMTP.Host, own) {
			return false
		}
	}
	return true
}
