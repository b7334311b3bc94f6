package htmlmail

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// The line with which mail programs begin what they quote, for those that mark it by nothing but a rule above it.
var headLine = regexp.MustCompile(`(?i)^\s*(from|sent|von|de|от|кого|ከ)\s*:`)

// fold puts quoted parts into details, which open without a script. A letter that is nothing but a quotation (somebody
// passed it on) stays open. It reports whether something was folded.
func fold(root *html.Node, label string) bool {
	found := false
	for _, n := range elements(root) {
		rest, ok := quoted(n)
		if !ok || inside(n, atom.Details) || !saidBefore(root, n) {
			continue
		}
		found = true
		d := element("details", atom.Details)
		d.AppendChild(element("summary", atom.Summary, html.Attribute{Key: "title", Val: label}, html.Attribute{Key: "aria-label", Val: label}))
		d.FirstChild.AppendChild(textNode("•••"))
		n.Parent.InsertBefore(d, n)
		for c := n; c != nil; {
			next := c.NextSibling
			c.Parent.RemoveChild(c)
			d.AppendChild(c)
			if !rest {
				break
			}
			c = next
		}
	}
	return found
}

// quoted reports whether n begins a quotation; rest says that what follows beside it belongs to it.
func quoted(n *html.Node) (rest, ok bool) {
	class, id := " "+attr(n, "class")+" ", attr(n, "id")
	switch {
	case strings.Contains(class, " moz-cite-prefix "), id != "":
		return true, true
	case strings.Contains(class, " gmail_quote "), strings.Contains(class, " yahoo_quoted "), strings.Contains(class, " protonmail_quote "), strings.Contains(class, " zmail_extra "):
		return false, true
	case n.DataAtom == atom.Blockquote:
		return false, strings.EqualFold(attr(n, "type"), "cite")
	case n.DataAtom == atom.Div && strings.Contains(strings.ReplaceAll(attr(n, "style"), " ", ""), "border-top:solid"):
		return true, headLine.MatchString(words(n))
	}
	return false, false
}

func inside(n *html.Node, a atom.Atom) bool {
	for p := range n.Ancestors() {
		if p.DataAtom == a {
			return true
		}
	}
	return false
}

// saidBefore reports whether anything stands in the letter before n.
func saidBefore(root, n *html.Node) bool {
	for d := range root.Descendants() {
		if d == n {
			return false
		}
		if d.DataAtom == atom.Img || d.Type == html.TextNode && strings.TrimSpace(strings.ReplaceAll(d.Data, "\u00a0", " ")) != "" {
			return true
		}
	}
	return false
}
