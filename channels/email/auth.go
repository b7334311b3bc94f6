package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/wneessen/go-mail/smtp"
)

func itoa(n int) string { return strconv.Itoa(n) }

// errLogin means that the server does not accept our credentials: only an admin can mend that.
var errLogin = errors.New("the server says")

// xoauth2 is the mechanism that Google and Microsoft speak.
type xoauth2 struct{ user, token string }

func (x xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next gets the reason of a refusal as a challenge. An empty answer would make some servers complain about its form and
// hide the reason.
func (x xoauth2) Next(challenge []byte) ([]byte, error) {
	return nil, fmt.Errorf("%w: %s", errLogin, challenge)
}

func (a *Adapter) saslFor(ctx context.Context, s Server) (sasl.Client, error) {
	token, err := a.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	if a.set.Auth == authXOAuth2 {
		return xoauth2{s.Username, token}, nil
	}
	return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: s.Username, Token: token, Host: s.Host, Port: s.Port}), nil
}

// smtpSASL lets a mechanism of go-sasl log in at an SMTP server.
type smtpSASL struct{ sasl.Client }

func (s smtpSASL) Start(*smtp.ServerInfo) (string, []byte, error) { return s.Client.Start() }

func (s smtpSASL) Next(challenge []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	return s.Client.Next(challenge)
}

// tokens keeps an access token and renews it before it ends.
type tokens struct {
	set    oauth
	client *http.Client

	mu      sync.Mutex
	access  string
	refresh string // a provider may replace it; the new one is used as long as we run
	until   time.Time
}

func newTokens(o oauth) *tokens {
	return &tokens{set: o, refresh: o.RefreshToken, client: &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (t *tokens) close() { t.client.CloseIdleConnections() }

// forget makes the next get ask for a new token: the server did not like this one.
func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.access = ""
}

func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.access != "" && time.Until(t.until) > time.Minute {
		return t.access, nil
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {t.refresh}, "client_id": {t.set.ClientID}}
	if t.set.ClientSecret != "" {
		form.Set("client_secret", t.set.ClientSecret)
	}
	if t.set.Scope != "" {
		form.Set("scope", t.set.Scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.set.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := t.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("renew the access token: %w", err)
	}
	defer res.Body.Close()
	var out struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Expires int    `json:"expires_in"`
		Error   string `json:"error"`
		Text    string `json:"error_description"`
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("renew the access token: %w", err)
	}
	jerr := json.Unmarshal(body, &out)
	switch {
	case res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusUnauthorized:
		return "", fmt.Errorf("%w: the provider does not renew the access token (%s %s); sign in again", errLogin, out.Error, out.Text)
	case res.StatusCode != http.StatusOK || jerr != nil || out.Access == "":
		return "", fmt.Errorf("renew the access token: the provider answers %s", res.Status)
	}
	if out.Expires <= 0 {
		out.Expires = 300
	}
	if out.Refresh != "" {
		t.refresh = out.Refresh
	}
	t.access, t.until = out.Access, time.Now().Add(time.Duration(out.Expires)*time.Second)
	return t.access, nil
}
