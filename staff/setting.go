package staff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

// Settings are those of the whole installation. A key without a row has its default.
type Settings struct {
	WorkspaceName    string `json:"workspace_name"`
	SessionIdleHours int    `json:"session_idle_hours"`
	SessionMaxDays   int    `json:"session_max_days"`
	PasswordMin      int    `json:"password_min"`
	UndoSeconds      int    `json:"undo_seconds"`
	Locale           string `json:"locale"`
	PhoneRegion      string `json:"phone_region"`
	// SessionsMax is how many places one agent can be signed in at; the oldest gives way.
	SessionsMax int `json:"sessions_max"`
	// PasswordMix asks for three of four kinds of signs, PasswordMaxDays for a new password every so many days (0 =
	// never): both off by default, since both make people choose worse passwords (NIST 800-63B 3.1.1.2, ASVS 6.2.5, 6.2.10).
	PasswordMix     bool `json:"password_mix"`
	PasswordMaxDays int  `json:"password_max_days"`
	// PasswordWords are refused as passwords, and add nothing to one, like the names of people and of the house.
	PasswordWords []string `json:"password_words" nullable:"false"`
	// TOTPRoles need a second factor; whoever has none sets it up at his next sign-in.
	TOTPRoles []Role `json:"totp_roles" nullable:"false"`
	// ClamdAddress is where files are scanned before they are given out: tcp://host:port or unix:/path; "" = not.
	ClamdAddress string `json:"clamd_address"`
}

// SettingsPatch changes settings; nil leaves as it is.
type SettingsPatch struct {
	WorkspaceName    *string `json:"workspace_name,omitempty" maxLength:"400"`
	SessionIdleHours *int    `json:"session_idle_hours,omitempty" minimum:"1" maximum:"168"`
	SessionMaxDays   *int    `json:"session_max_days,omitempty" minimum:"1" maximum:"90"`
	PasswordMin      *int    `json:"password_min,omitempty" minimum:"8" maximum:"64"`
	UndoSeconds      *int    `json:"undo_seconds,omitempty" minimum:"0" maximum:"60"`
	Locale           *string `json:"locale,omitempty" enum:"en,ru,am"`
	PhoneRegion      *string `json:"phone_region,omitempty" maxLength:"2"`

	SessionsMax     *int      `json:"sessions_max,omitempty" minimum:"1" maximum:"100"`
	PasswordMix     *bool     `json:"password_mix,omitempty"`
	PasswordMaxDays *int      `json:"password_max_days,omitempty" minimum:"0" maximum:"365"`
	PasswordWords   *[]string `json:"password_words,omitempty" maxItems:"200" nullable:"false"`
	TOTPRoles       *[]Role   `json:"totp_roles,omitempty" maxItems:"4" nullable:"false" enum:"admin,supervisor,agent,auditor"`
	ClamdAddress    *string   `json:"clamd_address,omitempty" maxLength:"255"`
}

// Guards reports whether the change is about how people get in: it needs a fresh proof of who makes it.
func (p SettingsPatch) Guards() bool {
	return p.SessionIdleHours != nil || p.SessionMaxDays != nil || p.SessionsMax != nil || p.PasswordMin != nil || p.PasswordMix != nil ||
		p.PasswordMaxDays != nil || p.PasswordWords != nil || p.TOTPRoles != nil || p.ClamdAddress != nil
}

// DefaultSettings are those of a new installation.
func DefaultSettings() Settings {
	return Settings{
		WorkspaceName: "Parley", SessionIdleHours: 12, SessionMaxDays: 7, PasswordMin: 12, UndoSeconds: 5, Locale: "en",
		SessionsMax: 20, PasswordWords: []string{}, TOTPRoles: []Role{},
	}
}

const sqlSettings = `SELECT coalesce(jsonb_object_agg(key, value), '{}')::text FROM setting`

const sqlSettingPut = `
INSERT INTO setting AS s (key, value) VALUES ($1, $2::jsonb)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = s.version + 1 WHERE s.value IS DISTINCT FROM excluded.value`

// ReadSettings reads all settings on any database handle.
func ReadSettings(ctx context.Context, db postgres.DB) (Settings, error) {
	out := DefaultSettings()
	var raw string
	if err := db.QueryRow(ctx, sqlSettings).Scan(&raw); err != nil {
		return out, fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal([]byte(raw), &out); err != nil {
		return out, fmt.Errorf("decode settings: %w", err)
	}
	return out, nil
}

// Settings reads all settings.
func (s *Service) Settings(ctx context.Context) (Settings, error) { return ReadSettings(ctx, s.pool) }

// UpdateSettings changes settings (permission settings.manage) and makes one event of each that changed.
func (s *Service) UpdateSettings(ctx context.Context, by Access, p SettingsPatch) (Settings, error) {
	if !by.Can(ManageSettings) {
		return Settings{}, errForbidden()
	}
	if err := p.check(); err != nil {
		return Settings{}, err
	}
	var out Settings
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		evs, err := putSettings(ctx, tx, by.Actor(), p)
		if err != nil {
			return nil, err
		}
		out, err = ReadSettings(ctx, tx)
		return evs, err
	})
	return out, err
}

func putSettings(ctx context.Context, tx pgx.Tx, by events.Actor, p SettingsPatch) ([]events.Event, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	var set map[string]json.RawMessage
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys) // everybody locks in the same order
	var evs []events.Event
	for _, k := range keys {
		tag, err := tx.Exec(ctx, sqlSettingPut, k, string(set[k]))
		if err != nil {
			return nil, fmt.Errorf("store setting %s: %w", k, err)
		}
		if tag.RowsAffected() > 0 {
			evs = append(evs, events.Event{
				Kind: "setting.updated", Actor: by, SubjectKind: "setting", SubjectID: k,
				Payload: told(k, set[k]),
			})
		}
	}
	return evs, nil
}

func (p *SettingsPatch) check() error {
	if p.WorkspaceName != nil {
		name, err := cleanName("workspace_name", *p.WorkspaceName, 100)
		if err != nil {
			return err
		}
		p.WorkspaceName = &name
	}
	for _, c := range []struct {
		field    string
		v        *int
		min, max int
	}{
		{"session_idle_hours", p.SessionIdleHours, 1, 168},
		{"session_max_days", p.SessionMaxDays, 1, 90},
		{"password_min", p.PasswordMin, passwordFloor, 64},
		{"undo_seconds", p.UndoSeconds, 0, 60},
		{"sessions_max", p.SessionsMax, 1, 100},
	} {
		if c.v != nil && (*c.v < c.min || *c.v > c.max) {
			return errs.Field(c.field, "must be between %d and %d", c.min, c.max)
		}
	}
	if d := p.PasswordMaxDays; d != nil && *d != 0 && (*d < rotationFloor || *d > rotationCeiling) {
		return errs.Field("password_max_days", "must be 0 (never) or between %d and %d", rotationFloor, rotationCeiling)
	}
	if err := p.checkLists(); err != nil {
		return err
	}
	if p.Locale != nil && !validLocale(*p.Locale) {
		return errs.Field("locale", "must be en, ru or am")
	}
	if r := p.PhoneRegion; r != nil && *r != "" && (len(*r) != 2 || (*r)[0] < 'A' || (*r)[0] > 'Z' || (*r)[1] < 'A' || (*r)[1] > 'Z') {
		return errs.Field("phone_region", "must be two capital letters, for example DE")
	}
	return nil
}

// told is what everybody's screen learns of a change: not the words that passwords must not hold, nor inner addresses.
func told(key string, value json.RawMessage) map[string]any {
	if key == "password_words" || key == "clamd_address" {
		return map[string]any{"key": key}
	}
	return map[string]any{"key": key, "value": value}
}

// checkLists puts the lists of words and roles into their one form.
func (p *SettingsPatch) checkLists() error {
	if p.PasswordWords != nil {
		words := make([]string, 0, len(*p.PasswordWords))
		for i, w := range *p.PasswordWords {
			w, err := cleanName(fmt.Sprintf("password_words[%d]", i), strings.ToLower(w), 64)
			if err != nil {
				return err
			}
			if utf8.RuneCountInString(w) < contextWord {
				return errs.Field(fmt.Sprintf("password_words[%d]", i), "must have at least %d characters", contextWord)
			}
			words = append(words, w)
		}
		slices.Sort(words)
		words = slices.Compact(words)
		p.PasswordWords = &words
	}
	if p.TOTPRoles != nil {
		roles := slices.Clone(*p.TOTPRoles)
		for _, r := range roles {
			if !validRole(r) {
				return errs.Field("totp_roles", "must be made of admin, supervisor, agent and auditor")
			}
		}
		slices.Sort(roles)
		roles = slices.Compact(roles)
		p.TOTPRoles = &roles
	}
	if a := p.ClamdAddress; a != nil && *a != "" {
		if _, _, err := ParseClamd(*a); err != nil {
			return errs.Field("clamd_address", "must look like tcp://127.0.0.1:3310 or unix:/run/clamav/clamd.ctl")
		}
	}
	return nil
}

// ParseClamd splits the address of a scanner into what net.Dial wants.
func ParseClamd(s string) (network, address string, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", "", fmt.Errorf("address of the scanner: %w", err)
	}
	switch {
	case u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "" && u.Path == "" && u.User == nil && u.RawQuery == "":
		return "tcp", u.Host, nil
	case u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/") && u.RawQuery == "":
		return "unix", u.Path, nil
	}
	return "", "", errors.New("address of the scanner: neither tcp://host:port nor unix:/path")
}
