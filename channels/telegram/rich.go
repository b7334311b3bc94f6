package telegram

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// span is a piece of formatted text. start and end are counted in UTF-16 code units, as Telegram does.
type span struct {
	start, end int
	tag        string // b i u s code pre a blockquote tg-spoiler
	href       string // of a
}

// rich is text with formatting.
type rich struct {
	text  string
	spans []span
}

const (
	maxSpans = 1000 // Telegram gives at most 100 entities
	maxDepth = 16
)

// html renders r as well-formed HTML of nothing but the tags above; text and addresses are escaped. "" when there is no
// formatting. Overlapping spans are closed and opened again, so that the result is well-formed whatever the offsets.
func (r rich) html() string {
	spans := make([]span, 0, len(r.spans))
	for _, s := range r.spans {
		if s.start >= 0 && s.end > s.start && len(spans) < maxSpans {
			spans = append(spans, s)
		}
	}
	if len(spans) == 0 {
		return ""
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	w := htmlWriter{}
	at, next := 0, 0
	for _, c := range r.text {
		w.closeEnded(at)
		for ; next < len(spans) && spans[next].start <= at; next++ {
			w.open(spans[next], at)
		}
		w.char(c)
		at += unitsOf(c)
	}
	w.closeEnded(1 << 62)
	if !w.any {
		return ""
	}
	return w.b.String()
}

type htmlWriter struct {
	b     strings.Builder
	stack []span
	any   bool
}

func (w *htmlWriter) open(s span, at int) {
	if s.end <= at || len(w.stack) >= maxDepth {
		return
	}
	if s.tag == "a" && slices.ContainsFunc(w.stack, func(o span) bool { return o.tag == "a" }) {
		return
	}
	w.stack = append(w.stack, s)
	w.start(s)
}

func (w *htmlWriter) start(s span) {
	w.any = true
	w.b.WriteByte('<')
	w.b.WriteString(s.tag)
	if s.tag == "a" {
		w.b.WriteString(` href="`)
		for _, c := range s.href {
			w.char(c)
		}
		w.b.WriteByte('"')
	}
	w.b.WriteByte('>')
}

func (w *htmlWriter) closeEnded(at int) {
	first := slices.IndexFunc(w.stack, func(s span) bool { return s.end <= at })
	if first < 0 {
		return
	}
	rest := slices.Clone(w.stack[first:])
	for i := len(w.stack) - 1; i >= first; i-- {
		w.b.WriteString("</" + w.stack[i].tag + ">")
	}
	w.stack = w.stack[:first]
	for _, s := range rest {
		if s.end > at {
			w.stack = append(w.stack, s)
			w.start(s)
		}
	}
}

func (w *htmlWriter) char(c rune) {
	switch c {
	case '<':
		w.b.WriteString("&lt;")
	case '>':
		w.b.WriteString("&gt;")
	case '&':
		w.b.WriteString("&amp;")
	case '"':
		w.b.WriteString("&quot;")
	default:
		w.b.WriteRune(c)
	}
}

// safeLink returns the address if a browser may follow it: http, https, mailto, tel and tg only.
func safeLink(raw string) (string, bool) {
	if raw == "" || len(raw) > 4096 || strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return raw, u.Host != ""
	case "mailto", "tel", "tg":
		return raw, true
	}
	return "", false
}

// split cuts r into pieces of at most limit units, at the most sensible border near the end of each: a blank line, a
// line, a sentence, a word. Space at the borders is dropped, as Telegram would drop it anyway.
func (r rich) split(limit int) []rich {
	var parts []rich
	rest := r
	for units(rest.text) > limit {
		cut := border(rest.text, limit)
		head, tail := rest.cut(cut)
		if head = head.trim(); head.text != "" {
			parts = append(parts, head)
		}
		rest = tail.trim()
	}
	if rest = rest.trim(); rest.text != "" || len(parts) == 0 {
		parts = append(parts, rest)
	}
	return parts
}

// border is the byte position at which to cut, > 0.
func border(s string, limit int) int {
	n, end := 0, len(s)
	for i, c := range s {
		if n += unitsOf(c); n > limit {
			end = i
			break
		}
	}
	window := s[:end]
	for _, sep := range []string{"\n\n", "\n", ". ", "! ", "? ", " "} {
		if i := strings.LastIndex(window, sep); i >= end/2 {
			return i + len(strings.TrimRight(sep, " \n"))
		}
	}
	// No border: at least not between a character and the mark, joiner or variation selector that belongs to it.
	for i := end; i > end/2; {
		c := []rune(s[i:min(len(s), i+4)])
		before := []rune(s[max(0, i-4):i])
		glued := len(c) > 0 && (unicode.Is(unicode.M, c[0]) || c[0] == '\u200d') || len(before) > 0 && before[len(before)-1] == '\u200d'
		if !glued {
			return i
		}
		i -= len(string(before[len(before)-1:]))
	}
	return end
}

// cut divides r at byte position i.
func (r rich) cut(i int) (rich, rich) {
	at := units(r.text[:i])
	head, tail := rich{text: r.text[:i]}, rich{text: r.text[i:]}
	for _, s := range r.spans {
		if s.start < at {
			h := s
			h.end = min(s.end, at)
			head.spans = append(head.spans, h)
		}
		if s.end > at {
			t := s
			t.start, t.end = max(s.start-at, 0), s.end-at
			tail.spans = append(tail.spans, t)
		}
	}
	return head, tail
}

func (r rich) trim() rich {
	left := len(r.text) - len(strings.TrimLeftFunc(r.text, unicode.IsSpace))
	if left > 0 {
		_, r = r.cut(left)
	}
	if right := len(strings.TrimRightFunc(r.text, unicode.IsSpace)); right < len(r.text) {
		r, _ = r.cut(right)
	}
	return r
}
