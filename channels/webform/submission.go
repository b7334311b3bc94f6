package webform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of one submission.
const (
	maxBody   = 64 << 10 // bytes
	maxValues = 60       // named values, with ours
	maxLine   = 500      // characters of a field
	maxArea   = 10_000   // characters of a text area
)

// What the script and the hub's own page send besides the fields.
const (
	paramToken    = "_token"
	paramProof    = "_proof"
	paramID       = "_id"
	paramFirst    = "_first"
	paramLast     = "_last"
	paramPage     = "_page"
	paramReferrer = "_referrer"
)

// touchNames are what is kept of the way in which a visitor came.
var touchNames = []string{
	"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid", "yclid", "fbclid", "referrer", "page",
}

// submission is what was posted, before the form's settings judge it.
type submission struct {
	names       []string // in the order posted
	values      map[string]string
	first, last map[string]string
}

var (
	errMedia  = errors.New("this kind of body is not understood")
	errBody   = errors.New("the body cannot be read")
	errFile   = errors.New("files cannot be sent through a form")
	errNumber = errors.New("there are too many fields")
)

// readSubmission understands form-encoded bodies, multipart without files, and a flat JSON object.
func readSubmission(r *http.Request, body []byte) (submission, error) {
	s := submission{values: map[string]string{}, first: map[string]string{}, last: map[string]string{}}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return s, errMedia
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		err = s.readPairs(string(body))
	case "multipart/form-data":
		err = s.readParts(multipart.NewReader(bytes.NewReader(body), params["boundary"]))
	case "application/json":
		err = s.readJSON(body)
	default:
		return s, errMedia
	}
	if err != nil {
		return s, err
	}
	for param, into := range map[string]map[string]string{paramFirst: s.first, paramLast: s.last} {
		if raw := s.values[param]; raw != "" {
			readTouch(raw, into)
		}
	}
	return s, nil
}

// readPairs keeps the order, which url.ParseQuery does not.
func (s *submission) readPairs(body string) error {
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return errBody
		}
		if err := s.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *submission) readParts(r *multipart.Reader) error {
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errBody
		}
		value, err := io.ReadAll(io.LimitReader(part, maxBody))
		if err != nil {
			return errBody
		}
		if part.FileName() != "" || len(value) > 0 && part.Header.Get("Content-Type") != "" && !strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			return errFile
		}
		if err := s.add(part.FormName(), string(value)); err != nil {
			return err
		}
	}
}

func (s *submission) readJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errBody
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return errBody
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return errBody
		}
		if err := s.addJSON(name, raw); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errBody
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errBody
	}
	return nil
}

func (s *submission) addJSON(name string, raw json.RawMessage) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return errBody
	}
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return s.add(name, v)
	case json.Number:
		return s.add(name, v.String())
	case bool:
		if !v {
			return s.add(name, "")
		}
		return s.add(name, "true")
	case []any:
		for _, x := range v {
			text, ok := x.(string)
			if !ok {
				return errBody
			}
			if err := s.add(name, text); err != nil {
				return err
			}
		}
		return nil
	default: // of objects only ours are known
		if name == paramFirst || name == paramLast {
			return s.add(name, string(raw))
		}
		return errBody
	}
}

// add keeps a value; several of one name (boxes that were ticked) become one.
func (s *submission) add(name, value string) error {
	name, value = line(name), clean(value)
	if name == "" {
		return nil
	}
	old, had := s.values[name]
	switch {
	case !had && len(s.names) >= maxValues:
		return errNumber
	case !had:
		s.names = append(s.names, name)
	case old != "" && value != "" && !strings.HasPrefix(name, "_"):
		value = old + ", " + value
	case value == "":
		value = old
	}
	s.values[name] = value
	return nil
}

// readTouch reads how a visitor came; what it does not know is left out, since anybody can write anything there.
func readTouch(raw string, into map[string]string) {
	var m map[string]any
	if json.Unmarshal([]byte(raw), &m) != nil {
		return
	}
	for _, name := range touchNames {
		if v, ok := m[name].(string); ok {
			setTouch(into, name, v)
		}
	}
}

func setTouch(into map[string]string, name, value string) {
	value = line(value)
	if name == "page" || name == "referrer" {
		value = address(value)
	}
	if value != "" {
		into[name] = cut(value, 250)
	}
}

// address is a web address without what follows #; "" when it is none.
func address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return ""
	}
	u.Fragment, u.User = "", nil
	return u.String()
}

// clean makes text of what was posted: valid UTF-8, line ends as \n, no other control characters.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n"), "\r", "\n")
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// line is text without line ends.
func line(s string) string {
	return strings.TrimSpace(strings.NewReplacer("\n", " ", "\t", " ").Replace(clean(s)))
}

// cut shortens to at most n bytes, at a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// answer is one line of a submission that was accepted.
type answer struct {
	Label string `json:"label"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// judge checks the values against the form. It returns the answers in the form's order, then what the form does not know
// (a page may ask for more than the settings say, and what somebody wrote is not thrown away), and what is wrong by
// field.
func (s *settings) judge(sub submission) (answers []answer, wrong map[string]string) {
	w := words[s.Language]
	wrong = map[string]string{}
	for _, f := range s.Fields {
		v := sub.values[f.Name]
		if f.Type != typeTextarea {
			v = line(v)
		}
		if msg := f.refuse(v, w); msg != "" {
			wrong[f.Name] = msg
			continue
		}
		if v == "" {
			continue
		}
		if f.Type == typeCheckbox && slices.Contains([]string{"on", "true", "1", "yes"}, strings.ToLower(v)) {
			v = w.Yes
		}
		answers = append(answers, answer{Label: f.Label, Type: f.Type, Value: v})
	}
	for _, name := range sub.names {
		v := sub.values[name]
		if v == "" || strings.HasPrefix(name, "_") || name == s.trap() || slices.Contains(touchNames, name) ||
			slices.ContainsFunc(s.Fields, func(f field) bool { return f.Name == name }) {
			continue
		}
		switch {
		case len(answers) >= maxFields:
			wrong[name] = w.Long
		case utf8.RuneCountInString(name) > 64 || utf8.RuneCountInString(v) > maxArea:
			wrong[cut(name, 64)] = w.Long
		default:
			answers = append(answers, answer{Label: name, Type: typeText, Value: v})
		}
	}
	if len(answers) == 0 && len(wrong) == 0 {
		wrong[s.Fields[0].Name] = w.Empty
	}
	return answers, wrong
}

// refuse says what is wrong with a value, "" when nothing is.
func (f field) refuse(v string, w *text) string {
	longest := maxLine
	if f.Type == typeTextarea {
		longest = maxArea
	}
	switch {
	case v == "" && f.Required:
		return w.Required
	case v == "":
		return ""
	case utf8.RuneCountInString(v) > longest:
		return w.Long
	case f.Type == typeEmail && !looksLikeMail(v):
		return w.Email
	case f.Type == typePhone && !looksLikePhone(v):
		return w.Phone
	case f.Type == typeSelect && !slices.Contains(f.Options, v):
		return w.Choice
	}
	return ""
}

func looksLikeMail(v string) bool {
	at := strings.LastIndexByte(v, '@')
	return at > 0 && at < len(v)-1 && len(v) <= 254 && !strings.ContainsAny(v, " \t<>,;\"")
}

// looksLikePhone is generous: a number in an unknown spelling is better than a customer who is turned away.
func looksLikePhone(v string) bool {
	digits := 0
	for _, r := range v {
		switch {
		case r >= '0' && r <= '9', r >= 0x660 && r <= 0x669, r >= 0x6F0 && r <= 0x6F9:
			digits++
		}
	}
	return digits >= 3 && digits <= 30 && utf8.RuneCountInString(v) <= 60
}

// trap names the field that people do not see and robots fill in: one that sounds useful and that the form has not.
func (s *settings) trap() string {
	for i := 0; ; i++ {
		name := "website"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		if !slices.ContainsFunc(s.Fields, func(f field) bool { return f.Name == name }) {
			return name
		}
	}
}

// readable is a submission in plain words, one line per answer.
func readable(answers []answer) string {
	var b strings.Builder
	for i, a := range answers {
		if i > 0 {
			b.WriteByte('\n')
		}
		if strings.Contains(a.Value, "\n") {
			fmt.Fprintf(&b, "%s:\n%s", a.Label, a.Value)
		} else {
			fmt.Fprintf(&b, "%s: %s", a.Label, a.Value)
		}
	}
	return b.String()
}
