package config

import (
	"fmt"
	"io"
	"net/url"
	"reflect"
	"strings"
)

// Print writes the settings in force as a file that PARLEY_CONFIG could name, secrets hidden.
func (c Config) Print(w io.Writer) error {
	v := reflect.ValueOf(c)
	for _, s := range settings() {
		if s.name == "PARLEY_CONFIG" {
			continue
		}
		if _, err := fmt.Fprintf(w, "# %s\n%s=%s\n", s.doc, s.name, s.show(v.Field(s.index).Interface())); err != nil {
			return err
		}
	}
	return nil
}

const hidden = "(hidden)"

func (s setting) show(value any) string {
	if list, ok := value.([]string); ok {
		shown := make([]string, len(list))
		for i, item := range list {
			shown[i] = s.show(item)
		}
		return strings.Join(shown, ",")
	}
	text := fmt.Sprint(value)
	switch {
	case text == "" || s.secret == "":
		return text
	case s.secret == "url":
		return hidePassword(text)
	case s.secret == "peer":
		return strings.TrimPrefix(hidePassword("nats://"+text), "nats://")
	default:
		return hidden
	}
}

// hidePassword keeps host and path of an address, since they are what one looks for when something does not connect.
func hidePassword(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return hidden // not understood, so not shown
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "hidden")
	}
	q := u.Query()
	for name := range q {
		if n := strings.ToLower(name); strings.Contains(n, "password") || strings.Contains(n, "secret") || strings.Contains(n, "key") {
			q.Set(name, "hidden")
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}
