package email

import (
	"mime"
	"strings"

	"github.com/jhillyerd/enmime/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxHTML is how much HTML is looked at; what lies behind it is in the original.
const maxHTML = 4 << 20

func cutUTF8(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// textOf is the plain text of HTML: lines where it breaks, quotes with a >, lists with a dash, links with their address.
func textOf(s string) string {
	z := html.NewTokenizer(strings.NewReader(cutUTF8(s, maxHTML)))
	w := &textWriter{}
	skip, href := "", ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			return w.done()
		case html.TextToken:
			if skip == "" {
				w.write(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			switch t.DataAtom {
			case atom.Style, atom.Script, atom.Title, atom.Head:
				if t.Type == html.StartTagToken && skip == "" {
					skip = t.Data
				}
			case atom.Body:
				skip = ""
			case atom.A:
				href = linkOf(t)
				w.mark = w.b.Len()
			default:
				w.open(t.DataAtom)
			}
		case html.EndTagToken:
			t := z.Token()
			switch {
			case t.Data == skip:
				skip = ""
			case t.DataAtom == atom.A:
				if shown := strings.TrimSpace(w.b.String()[min(w.mark, w.b.Len()):]); href != "" && shown != "" && !strings.Contains(href, strings.TrimSuffix(strings.TrimPrefix(shown, "http://"), "/")) {
					w.write(" <" + href + ">")
				}
				href = ""
			default:
				w.closed(t.DataAtom)
			}
		}
	}
}

func linkOf(t html.Token) string {
	for _, a := range t.Attr {
		if a.Key == "href" && (strings.HasPrefix(a.Val, "http://") || strings.HasPrefix(a.Val, "https://")) && len(a.Val) < 500 {
			return a.Val
		}
	}
	return ""
}

// textWriter lays text out in lines.
type textWriter struct {
	b      strings.Builder
	mark   int // where the last link begins
	breaks int // line ends since the last text
	space  bool
	pre    int
	quote  int
}

func (w *textWriter) write(s string) {
	if w.pre > 0 {
		for i, l := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
			if i > 0 {
				w.lines(w.breaks + 1)
			}
			if l != "" {
				w.start()
				w.b.WriteString(l)
			}
		}
		return
	}
	s = strings.NewReplacer("\u200b", "", "\ufeff", "", "\u034f", "", "\u00ad", "").Replace(s)
	for i, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' }) {
		if i > 0 || s[0] == ' ' || s[0] == '\n' || s[0] == '\t' || s[0] == '\r' {
			w.space = true
		}
		w.start()
		w.b.WriteString(word)
	}
	if s != "" && strings.ContainsRune(" \t\r\n", rune(s[len(s)-1])) {
		w.space = true
	}
}

// start is called before text: it writes what is due before it.
func (w *textWriter) start() {
	if w.b.Len() > 0 && w.breaks > 0 {
		for range min(w.breaks, 2) {
			w.b.WriteByte('\n')
			if w.quote > 0 && w.breaks > 1 {
				w.b.WriteString(">")
			}
		}
	} else if w.space && w.b.Len() > 0 {
		w.b.WriteByte(' ')
	}
	if w.quote > 0 && (w.breaks > 0 || w.b.Len() == 0) {
		w.b.WriteString(strings.Repeat(">", min(w.quote, 5)) + " ")
	}
	w.breaks, w.space = 0, false
}

func (w *textWriter) lines(n int) { w.breaks, w.space = max(w.breaks, n), false }

func (w *textWriter) open(a atom.Atom) {
	switch a {
	case atom.Br:
		w.lines(w.breaks + 1)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table:
		w.lines(2)
	case atom.Div, atom.Tr, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Address, atom.Dt, atom.Dd:
		w.lines(1)
	case atom.Td, atom.Th:
		w.space = true
	case atom.Li:
		w.lines(1)
		w.start()
		w.b.WriteString("- ")
	case atom.Hr:
		w.lines(1)
		w.start()
		w.b.WriteString("---")
		w.lines(1)
	case atom.Pre:
		w.lines(1)
		w.pre++
	case atom.Blockquote:
		w.lines(1)
		w.quote++
	}
}

func (w *textWriter) closed(a atom.Atom) {
	switch a {
	case atom.Pre:
		w.pre = max(0, w.pre-1)
		w.lines(1)
	case atom.Blockquote:
		w.quote = max(0, w.quote-1)
		w.lines(1)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table:
		w.lines(2)
	case atom.Div, atom.Tr, atom.Li, atom.Section, atom.Article, atom.Address:
		w.lines(1)
	}
}

func (w *textWriter) done() string { return strings.TrimSpace(w.b.String()) }

// unflow is the text of the plain part, with the soft line ends of format=flowed taken out.
func unflow(env *enmime.Envelope) string {
	p := env.Root
	for p != nil && p.FirstChild != nil {
		p = p.FirstChild
	}
	if p == nil {
		return env.Text
	}
	_, params, _ := mime.ParseMediaType(p.Header.Get("Content-Type")) //nolint:errcheck // broken = not flowed
	if !strings.EqualFold(params["format"], "flowed") {
		return env.Text
	}
	delsp := strings.EqualFold(params["delsp"], "yes")
	lines := strings.Split(strings.ReplaceAll(env.Text, "\r\n", "\n"), "\n")
	var b strings.Builder
	for i, l := range lines {
		soft := strings.HasSuffix(l, " ") && l != "-- " && i+1 < len(lines) && quoteDepth(l) == quoteDepth(lines[i+1])
		if i > 0 && quoteDepth(l) == 0 {
			l = strings.TrimPrefix(l, " ") // stuffed
		}
		if soft {
			if delsp {
				l = strings.TrimSuffix(l, " ")
			}
			b.WriteString(l)
			if d := quoteDepth(lines[i+1]); d > 0 {
				lines[i+1] = strings.TrimLeft(lines[i+1][d:], " ")
			}
			continue
		}
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return b.String()
}

func quoteDepth(l string) int { return len(l) - len(strings.TrimLeft(l, ">")) }
