package email

import (
	"mime"
	"regexp"
	"strings"
	"sync"

	"github.com/jhillyerd/enmime/v2"
	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxHTML is how much HTML is looked at; what lies behind it is in the original.
const maxHTML = 4 << 20

// policy is what may stay of a mail's HTML. There is no style element, no script and no form; addresses lead to the web,
// to mail and phone, or to a part of the same mail. Remote pictures stay as they are: whoever shows the HTML decides.
var policy = sync.OnceValue(func() *bluemonday.Policy { //nolint:gochecknoglobals // made once
	p := bluemonday.NewPolicy()
	p.AllowURLSchemes("http", "https", "mailto", "tel", "cid")
	p.AllowRelativeURLs(false)
	p.RequireParseableURLs(true)
	p.AllowElements("p", "div", "span", "br", "hr", "b", "i", "u", "s", "em", "strong", "small", "big", "sub", "sup", "del", "ins", "strike", "mark",
		"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "code", "tt", "kbd", "samp", "var", "cite", "q",
		"abbr", "address", "center", "font", "table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th", "colgroup", "col", "details", "summary")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src").OnElements("img")
	p.AllowAttrs("alt", "title").Matching(bluemonday.Paragraph).OnElements("img", "a", "abbr")
	number := regexp.MustCompile(`^[0-9]{1,5}%?$`)
	p.AllowAttrs("width", "height").Matching(number).OnElements("img", "table", "td", "th", "col", "tr", "hr")
	p.AllowAttrs("border", "cellpadding", "cellspacing").Matching(number).OnElements("table", "img")
	p.AllowAttrs("colspan", "rowspan", "start").Matching(number).OnElements("td", "th", "ol")
	p.AllowAttrs("align", "valign").Matching(regexp.MustCompile(`(?i)^(left|right|center|justify|top|middle|bottom|baseline)$`)).Globally()
	color := regexp.MustCompile(`(?i)^(#[0-9a-f]{3,8}|[a-z]{3,20})$`)
	p.AllowAttrs("bgcolor").Matching(color).OnElements("table", "tr", "td", "th", "div")
	p.AllowAttrs("color").Matching(color).OnElements("font")
	p.AllowAttrs("size").Matching(regexp.MustCompile(`^[+-]?[0-9]$`)).OnElements("font")
	p.AllowAttrs("face").Matching(regexp.MustCompile(`^[\w ,'-]{1,100}$`)).OnElements("font")
	p.AllowAttrs("dir").Matching(regexp.MustCompile(`(?i)^(ltr|rtl|auto)$`)).Globally()
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^quote$`)).OnElements("details")
	p.AllowStyles("color", "background-color", "font-family", "font-size", "font-style", "font-weight", "text-align", "text-decoration", "line-height",
		"padding", "padding-left", "padding-right", "padding-top", "padding-bottom", "margin", "margin-left", "margin-right", "margin-top", "margin-bottom",
		"border", "border-left", "border-right", "border-top", "border-bottom", "border-collapse", "border-color", "border-radius", "border-style",
		"border-width", "width", "max-width", "height", "max-height", "vertical-align", "white-space", "list-style-type", "direction").Globally()
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return p
})

// cleanHTML makes a mail's HTML harmless, with its quoted part folded away in <details>.
func cleanHTML(s string) string {
	s = cutUTF8(s, maxHTML)
	if doc, err := html.Parse(strings.NewReader(s)); err == nil {
		foldQuote(doc)
		var b strings.Builder
		if html.Render(&b, doc) == nil {
			s = b.String()
		}
	}
	return strings.TrimSpace(policy().Sanitize(s))
}

func cutUTF8(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// foldQuote wraps the quoted end of a mail, as the usual programs mark it.
func foldQuote(doc *html.Node) {
	q := findNode(doc, isQuote, 0)
	if q == nil || q.Parent == nil {
		return
	}
	fold := &html.Node{Type: html.ElementNode, Data: "details", DataAtom: atom.Details, Attr: []html.Attribute{{Key: "class", Val: "quote"}}}
	summary := &html.Node{Type: html.ElementNode, Data: "summary", DataAtom: atom.Summary}
	summary.AppendChild(&html.Node{Type: html.TextNode, Data: "…"})
	fold.AppendChild(summary)
	q.Parent.InsertBefore(fold, q)
	whole := toTheEnd(q)
	for n := q; n != nil; {
		next := n.NextSibling
		n.Parent.RemoveChild(n)
		fold.AppendChild(n)
		if !whole {
			break
		}
		n = next
	}
}

// toTheEnd: Outlook marks only where the quoted mail begins.
func toTheEnd(n *html.Node) bool {
	id := attr(n, "id")
	return strings.HasSuffix(id, "divRplyFwdMsg") || strings.HasSuffix(id, "appendonsend") || attr(n, "class") == "moz-cite-prefix"
}

func isQuote(n *html.Node) bool {
	if n.Type != html.ElementNode {
		return false
	}
	class, id := attr(n, "class"), attr(n, "id")
	switch {
	case n.DataAtom == atom.Blockquote && (attr(n, "type") == "cite" || strings.Contains(class, "gmail_quote")):
		return true
	case strings.HasSuffix(id, "divRplyFwdMsg"), strings.HasSuffix(id, "appendonsend"):
		return true
	}
	for _, c := range []string{"gmail_quote", "moz-cite-prefix", "yahoo_quoted", "protonmail_quote", "zmail_extra", "mail-quote"} {
		if strings.Contains(class, c) {
			return true
		}
	}
	return false
}

const maxDepth = 500

func findNode(n *html.Node, ok func(*html.Node) bool, depth int) *html.Node {
	if ok(n) {
		return n
	}
	if depth > maxDepth {
		return nil
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if f := findNode(c, ok, depth+1); f != nil {
			return f
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
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
