package webform

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-hub/parley/channels"
)

// The kinds of fields.
const (
	typeText     = "text"
	typeEmail    = "email"
	typePhone    = "phone"
	typeTextarea = "textarea"
	typeSelect   = "select"
	typeCheckbox = "checkbox"
	typeHidden   = "hidden"
)

var types = []string{typeText, typeEmail, typePhone, typeTextarea, typeSelect, typeCheckbox, typeHidden}

// field is one line of the form.
type field struct {
	Name     string   `json:"name"`
	Label    string   `json:"label"`
	Type     string   `json:"type"`
	Required bool     `json:"required"`
	Options  []string `json:"options,omitempty"`
}

type settings struct {
	Fields        []field  `json:"fields"`
	Sites         []string `json:"sites"`
	Thanks        string   `json:"thanks"`
	Redirect      string   `json:"redirect"`
	Language      string   `json:"language"`
	PowBits       *int     `json:"pow_bits"`
	MinSeconds    *int     `json:"min_seconds"`
	PerIPMinute   int      `json:"per_ip_minute"`
	ProofRequired bool     `json:"proof_required"`
	Key           string   `json:"key"`
	Secret        string   `json:"form_secret"`
}

// The limits of settings, and what stands where nothing was said.
const (
	maxFields  = 30
	maxSites   = 20
	maxOptions = 50
	maxBits    = 20 // about a million tries, some seconds on a slow telephone

	defaultBits       = 16
	defaultMinSeconds = 2
	defaultPerMinute  = 10
)

var (
	namePattern   = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,39}$`)
	keyPattern    = regexp.MustCompile(`^[a-z0-9]{20,40}$`)
	secretPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func parseSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(raw) == 0 {
		raw = json.RawMessage(`{}`)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			return s, refuse(te.Field, "is not of the right type")
		}
		return s, refuse("settings", "hold something that a form does not have: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if s.PowBits == nil {
		s.PowBits = ptr(defaultBits)
	}
	if s.MinSeconds == nil {
		s.MinSeconds = ptr(defaultMinSeconds)
	}
	s.PerIPMinute = cmp.Or(s.PerIPMinute, defaultPerMinute)
	s.Language = cmp.Or(s.Language, "en")
	if err := s.checkFields(); err != nil {
		return s, err
	}
	if err := s.checkSites(); err != nil {
		return s, err
	}
	switch {
	case utf8.RuneCountInString(s.Thanks) > 500:
		return s, refuse("thanks", "may have at most 500 characters")
	case words[s.Language] == nil:
		return s, refuse("language", "must be en, ru or am")
	case *s.PowBits < 0 || *s.PowBits > maxBits:
		return s, refuse("pow_bits", "lies between 0 and %d", maxBits)
	case *s.MinSeconds < 0 || *s.MinSeconds > 60:
		return s, refuse("min_seconds", "lies between 0 and 60")
	case s.PerIPMinute < 1 || s.PerIPMinute > 600:
		return s, refuse("per_ip_minute", "lies between 1 and 600")
	case s.ProofRequired && *s.PowBits == 0:
		return s, refuse("proof_required", "needs pow_bits above 0")
	case !keyPattern.MatchString(s.Key):
		return s, refuse("key", "is made by the hub")
	case !secretPattern.MatchString(s.Secret):
		return s, refuse("form_secret", "is made by the hub")
	}
	return s, nil
}

func (s *settings) checkFields() error {
	if len(s.Fields) == 0 || len(s.Fields) > maxFields {
		return refuse("fields", "there must be 1 to %d", maxFields)
	}
	seen := map[string]bool{}
	for i, f := range s.Fields {
		at := fmt.Sprintf("fields[%d].", i)
		switch {
		case !namePattern.MatchString(f.Name):
			return refuse(at+"name", "begins with a letter and has letters, digits, _ and -, at most 40")
		case seen[f.Name]:
			return refuse(at+"name", "is there twice")
		case slices.Contains(touchNames, f.Name):
			return refuse(at+"name", "is kept by itself as the way the visitor came")
		case strings.TrimSpace(f.Label) == "" || utf8.RuneCountInString(f.Label) > 200:
			return refuse(at+"label", "needs 1 to 200 characters")
		case !slices.Contains(types, f.Type):
			return refuse(at+"type", "must be one of %s", strings.Join(types, ", "))
		case f.Type == typeSelect && (len(f.Options) == 0 || len(f.Options) > maxOptions):
			return refuse(at+"options", "a choice has 1 to %d", maxOptions)
		case f.Type != typeSelect && len(f.Options) > 0:
			return refuse(at+"options", "only a choice has them")
		case f.Type == typeHidden && f.Required:
			return refuse(at+"required", "a visitor cannot fill in what he does not see")
		}
		for j, o := range f.Options {
			if strings.TrimSpace(o) == "" || utf8.RuneCountInString(o) > 200 {
				return refuse(fmt.Sprintf("%soptions[%d]", at, j), "needs 1 to 200 characters")
			}
		}
		seen[f.Name] = true
	}
	return nil
}

func (s *settings) checkSites() error {
	if len(s.Sites) > maxSites {
		return refuse("sites", "there may be at most %d", maxSites)
	}
	for i, site := range s.Sites {
		origin, ok := originOf(site)
		u, err := url.Parse(strings.TrimSpace(site))
		if !ok || err != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
			return refuse(fmt.Sprintf("sites[%d]", i), "must be an address such as https://example.org, without a path")
		}
		s.Sites[i] = origin
	}
	if s.Redirect == "" {
		return nil
	}
	// Nobody is sent anywhere but to where he came from: the answer to a form is no open door.
	origin, ok := originOf(s.Redirect)
	if !ok || len(s.Redirect) > 500 || !slices.Contains(s.Sites, origin) {
		return refuse("redirect", "must be a page of one of the sites")
	}
	return nil
}

// originOf is scheme, host and port of an http address, as browsers write them.
func originOf(address string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if (u.Scheme == "http" && u.Port() == "80") || (u.Scheme == "https" && u.Port() == "443") {
		host = host[:strings.LastIndexByte(host, ':')]
	}
	return u.Scheme + "://" + host, true
}

func refuse(name, format string, args ...any) error {
	return &channels.FieldError{Field: name, Msg: fmt.Sprintf(format, args...)}
}

func ptr[T any](v T) *T { return &v }
