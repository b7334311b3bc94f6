package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// Name is the kind of the channel.
const Name = "telegram"

// DefaultURL is Telegram's own Bot API.
const DefaultURL = "https://api.telegram.org"

// The ways in which updates come.
const (
	modePoll    = "poll"
	modeWebhook = "webhook"
)

type settings struct {
	Token         string `json:"token"`
	Mode          string `json:"mode"`
	WebhookSecret string `json:"webhook_secret"`
	APIURL        string `json:"api_url"`
}

// Kind describes the channel kind "telegram": settings {token, mode: poll|webhook, webhook_secret, api_url}.
func Kind() channels.Kind {
	return channels.Kind{
		Name:    Name,
		Secrets: []string{"token", "webhook_secret"},
		Check: func(raw json.RawMessage) error {
			_, err := parseSettings(raw)
			return err
		},
		Probe: probe,
		New: func(a channels.Account) (channels.Adapter, error) {
			return newAdapter(a)
		},
	}
}

// Tokens and secrets become part of an address or a header. Telegram's own tokens are strict; another server's may be
// anything that is harmless in a path.
func tokenPattern(ours bool) *regexp.Regexp {
	if ours {
		return regexp.MustCompile(`^[0-9]{1,20}:[A-Za-z0-9_-]{10,100}$`)
	}
	return regexp.MustCompile(`^[A-Za-z0-9_:-]{1,200}$`)
}

func parseSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			return s, &channels.FieldError{Field: te.Field, Msg: "must be a text"}
		}
		return s, &channels.FieldError{Field: "settings", Msg: "must be an object"}
	}
	s.Token = strings.TrimSpace(s.Token)
	s.APIURL = strings.TrimRight(strings.TrimSpace(s.APIURL), "/")
	if s.APIURL == "" {
		s.APIURL = DefaultURL
	}
	if s.Mode == "" {
		s.Mode = modePoll
	}
	u, err := url.Parse(s.APIURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return s, &channels.FieldError{Field: "api_url", Msg: "must be an address such as " + DefaultURL}
	}
	switch {
	case s.Token == "":
		return s, &channels.FieldError{Field: "token", Msg: "is needed: BotFather gives it when you make the bot"}
	case !tokenPattern(s.APIURL == DefaultURL).MatchString(s.Token):
		return s, &channels.FieldError{Field: "token", Msg: "does not look like a bot token; it is digits, a colon and letters, as BotFather gave it"}
	case s.Mode != modePoll && s.Mode != modeWebhook:
		return s, &channels.FieldError{Field: "mode", Msg: `must be "poll" or "webhook"`}
	case s.Mode == modeWebhook && s.WebhookSecret == "":
		return s, &channels.FieldError{Field: "webhook_secret", Msg: "is needed with a webhook: without it anybody could post messages"}
	case s.WebhookSecret != "" && !regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`).MatchString(s.WebhookSecret):
		return s, &channels.FieldError{Field: "webhook_secret", Msg: "may have letters, digits, _ and -, at most 256"}
	}
	return s, nil
}

// botID is the bot's user id, which is the first half of its token; 0 when the token is of another make.
func (s settings) botID() int64 {
	head, _, _ := strings.Cut(s.Token, ":")
	id, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// probe asks Telegram who the bot is.
func probe(ctx context.Context, a channels.Account) error {
	s, err := parseSettings(a.Settings)
	if err != nil {
		return err
	}
	c := newClient(s.APIURL, s.Token)
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var me models.User
	if err := c.call(ctx, "getMe", nil, &me); err != nil {
		return fmt.Errorf("getMe: %s", inWords(s, err))
	}
	if !me.IsBot {
		return errors.New("getMe: this token does not belong to a bot")
	}
	if s.Mode == modeWebhook && s.APIURL == DefaultURL && !strings.HasPrefix(a.BaseURL, "https://") {
		return fmt.Errorf("webhook: Telegram only posts to an https address, and the hub's is %q; use polling instead", a.BaseURL)
	}
	return nil
}

// inWords says what went wrong to an admin.
func inWords(s settings, err error) string {
	var ae *apiError
	if errors.As(err, &ae) {
		switch {
		case ae.Code == 401 || ae.Code == 404:
			return "Telegram does not accept the token: it was revoked or mistyped. BotFather shows the right one."
		case ae.Code == 429:
			return fmt.Sprintf("Telegram asks to wait %s.", ae.RetryAfter)
		case ae.Code == 409 && strings.Contains(ae.Description, "webhook"):
			return "A webhook is set for this bot, so it cannot be polled."
		case ae.Code == 409:
			return "Another program is polling this bot. Stop it, or get a new token from BotFather: one bot can be polled by one program only."
		case ae.Code >= 500:
			return fmt.Sprintf("Telegram has trouble (%d %s).", ae.Code, ae.Description)
		}
		return fmt.Sprintf("Telegram says: %d %s", ae.Code, ae.Description)
	}
	host := s.APIURL
	if u, perr := url.Parse(s.APIURL); perr == nil {
		host = u.Host
	}
	var ce *callError
	if errors.As(err, &ce) {
		if errors.Is(ce.Err, context.DeadlineExceeded) {
			return host + " does not answer in time."
		}
		return fmt.Sprintf("%s cannot be used: %v", host, ce.Err)
	}
	return err.Error()
}
