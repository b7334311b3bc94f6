package inbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
)

const (
	maxQuery   = 200 // characters of a question
	maxTerms   = 16
	maxFilters = 10 // of one kind
)

// query is what somebody asked for, in parts.
type query struct {
	terms []term
	// each list is alternatives; the lists must all hold
	from, channels, teams []string
	has                   []string // all of them
	before, after         time.Time
}

// term is a word, several in a row ("..."), or what must not stand there. Without quotes the last word is only the
// beginning of one (prefix), unless it is so short that half of all words begin so.
type term struct {
	words  []string
	typed  string
	prefix bool
	not    bool
}

// parseQuery reads the language of the search box: words, "words in a row", -word, and from: channel: in: has: before:
// after:. What is no filter is looked for as it stands, so that an address or a time of day need no quotes. Days are
// those of the zone.
func parseQuery(text string, zone *time.Location, now time.Time) (query, error) {
	var q query
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return q, refuse("search_text", "must be plain text")
	}
	if utf8.RuneCountInString(text) > maxQuery {
		return q, refuse("search_long", "must have at most %d characters", maxQuery)
	}
	for _, p := range splitQuery(text) {
		if p.key != "" {
			if err := q.filter(p.key, strings.TrimSpace(p.value), zone, now); err != nil {
				return query{}, err
			}
			continue
		}
		t := term{typed: p.value, prefix: !p.quoted, not: p.not}
		for w := range words(p.value) {
			if w.place > len(t.words) { // not the digits of a number joined: their groups are asked for in a row
				t.words = append(t.words, w.text)
			}
		}
		if len(t.words) > 0 && !slices.ContainsFunc(q.terms, t.same) {
			q.terms = append(q.terms, t)
		}
	}
	for i, t := range q.terms {
		if n := utf8.RuneCountInString(t.words[len(t.words)-1]); n < 2 && len(q.terms) > 1 || n < 3 && i < len(q.terms)-1 {
			q.terms[i].prefix = false
		}
	}
	if len(q.terms) > maxTerms {
		return query{}, refuse("search_long", "must have at most %d words", maxTerms)
	}
	for _, list := range [][]string{q.from, q.channels, q.teams, q.has} {
		if len(list) > maxFilters {
			return query{}, refuse("search_long", "must have at most %d filters of one kind", maxFilters)
		}
	}
	return q, nil
}

// refuse names the mistake by a code too, so that the screen can word it in the reader's language.
func refuse(code, format string, args ...any) error {
	e := errs.Field("query.q", format, args...)
	e.Extra = map[string]any{"code": code}
	return e
}

func (t term) same(o term) bool {
	return t.not == o.not && t.prefix == o.prefix && slices.Equal(t.words, o.words)
}

// piece is what stands between spaces, quotes kept together.
type piece struct {
	key, value  string
	not, quoted bool
}

func splitQuery(text string) []piece {
	var out []piece
	for rest := text; ; {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if rest == "" {
			return out
		}
		var p piece
		if strings.HasPrefix(rest, "-") && len(rest) > 1 && !strings.HasPrefix(rest[1:], "-") {
			p.not, rest = true, rest[1:]
		}
		if key, value, ok := strings.Cut(rest, ":"); ok && isFilter(key) && !p.not {
			p.key, rest = filterName(key), value
		}
		p.value, p.quoted, rest = bite(rest)
		if p.value != "" {
			out = append(out, p)
		}
	}
}

// bite takes the next word or the next quoted words; a quote that is never closed reaches to the end.
func bite(s string) (value string, quoted bool, rest string) {
	for _, q := range []string{`"`, "“", "«", "„"} {
		after, ok := strings.CutPrefix(s, q)
		if !ok {
			continue
		}
		end := strings.IndexAny(after, `"”»“`)
		if end < 0 {
			return after, true, ""
		}
		_, width := utf8.DecodeRuneInString(after[end:])
		return after[:end], true, after[end+width:]
	}
	end := strings.IndexFunc(s, unicode.IsSpace)
	if end < 0 {
		return s, false, ""
	}
	return s[:end], false, s[end:]
}

func isFilter(key string) bool { return filterName(key) != "" }

func filterName(key string) string {
	switch key = strings.ToLower(key); key {
	case "from", "channel", "has", "before", "after":
		return key
	case "in", "team":
		return "in"
	}
	return ""
}

func (q *query) filter(key, value string, zone *time.Location, now time.Time) error {
	switch key {
	case "from":
		q.from = append(q.from, value)
	case "channel":
		q.channels = append(q.channels, value)
	case "in":
		q.teams = append(q.teams, value)
	case "has":
		value = strings.ToLower(value)
		if !slices.Contains([]string{"file", "photo", "voice", "video", "link"}, value) {
			return refuse("search_has", "has: must be file, photo, voice, video or link")
		}
		q.has = append(q.has, value)
	default:
		day, err := parseDay(value, zone, now)
		if err != nil {
			return refuse("search_day", "%s: must be a day (2026-05-31), a month (2026-05), a year, today, yesterday, or how long ago (7d, 2w, 3m, 1y)", key)
		}
		if key == "before" && (q.before.IsZero() || day.Before(q.before)) {
			q.before = day
		}
		if key == "after" && day.After(q.after) {
			q.after = day
		}
	}
	return nil
}

// parseDay is the beginning of a day, a month or a year.
func parseDay(s string, zone *time.Location, now time.Time) (time.Time, error) {
	y, m, d := now.In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, zone)
	switch strings.ToLower(s) {
	case "today":
		return today, nil
	case "yesterday":
		return today.AddDate(0, 0, -1), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil && t.Year() > 0 {
			return t, nil
		}
	}
	if len(s) >= 2 && len(s) <= 5 {
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
		if err == nil {
			ago := -int(n)
			switch s[len(s)-1] {
			case 'd', 'D':
				return today.AddDate(0, 0, ago), nil
			case 'w', 'W':
				return today.AddDate(0, 0, 7*ago), nil
			case 'm', 'M':
				return today.AddDate(0, ago, 0), nil
			case 'y', 'Y':
				if n < 2000 {
					return today.AddDate(ago, 0, 0), nil
				}
			}
		}
	}
	return time.Time{}, refuse("search_day", "is no day")
}

// filtered reports whether anything but words was asked for: people and their addresses have nothing of it.
func (q query) filtered() bool {
	return len(q.from)+len(q.channels)+len(q.teams)+len(q.has) > 0 || !q.before.IsZero() || !q.after.IsZero()
}

// wanted are the terms that must be there.
func (q query) wanted() []term {
	return slices.DeleteFunc(slices.Clone(q.terms), func(t term) bool { return t.not })
}

// tsquery is the question as the index of words understands it. Words hold letters and digits only, so that nothing in
// them can be taken for an operator.
func (q query) tsquery(authors []string) string {
	var all, not []string
	for _, t := range q.terms {
		if t.not {
			not = append(not, "!("+t.tsquery()+")")
		} else {
			all = append(all, t.tsquery())
		}
	}
	if numbers := q.numbers(); len(numbers) > 0 {
		all = []string{"((" + strings.Join(all, " & ") + ") | '" + strings.Join(numbers, "':* | '") + "':*)"}
	}
	return strings.Join(slices.Concat(all, not, q.marks(authors)), " & ")
}

// numbers are the spellings without groups of what looks like a telephone number, nil when it does not.
func (q query) numbers() []string {
	digits := crm.PhoneQuery(q.plain())
	if len(digits) < minPhone || len(digits) > maxPhone {
		return nil
	}
	if len(digits) == 11 && (digits[0] == '7' || digits[0] == '8') { // Russian, written from outside or from inside
		return []string{"7" + digits[1:], "8" + digits[1:]}
	}
	return []string{digits}
}

// marks are the filters that stand in the index of words.
func (q query) marks(authors []string) []string {
	var all []string
	for _, h := range q.has {
		all = append(all, "'has:"+h+"'")
	}
	if len(authors) > 0 {
		all = append(all, "('"+strings.Join(authors, "' | '")+"')")
	}
	return all
}

func (t term) tsquery() string {
	parts := make([]string, len(t.words))
	for i, w := range t.words {
		parts[i] = "'" + w + "'"
		if t.prefix && i == len(t.words)-1 {
			parts[i] += ":*"
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " <-> ") + ")"
}

// positive reports whether something must stand in a message, so that an index can lead to it.
func (q query) positive(authors []string) bool {
	return len(q.wanted()) > 0 || len(q.marks(authors)) > 0
}

// patterns are the wanted terms as pieces of a file's name.
func (q query) patterns() []string {
	out := []string{}
	for _, t := range q.wanted() {
		if s := strings.TrimSpace(folded(t.typed)); s != "" {
			out = append(out, "%"+likeSafe.Replace(s)+"%")
		}
	}
	return out
}

// plain is what was typed without filters and exclusions: a piece of somebody's name or address.
func (q query) plain() string {
	var out []string
	for _, t := range q.wanted() {
		out = append(out, t.typed)
	}
	return strings.Join(out, " ")
}
