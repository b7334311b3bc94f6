package htmlmail

import (
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Simple reports whether a sanitised letter says nothing by its looks that its plain text does not say, quoted parts left
// aside: such a letter is read best as text among the other messages.
func Simple(letter string) bool {
	root, err := parse(letter)
	if err != nil {
		return true
	}
	fold(root, "")
	for _, n := range elements(root) {
		if inside(n, atom.Details) || n.DataAtom == atom.Details {
			continue
		}
		switch n.DataAtom {
		case atom.A, atom.Address, atom.Article, atom.Bdi, atom.Bdo, atom.Blockquote, atom.Br, atom.Center, atom.Div, atom.Font, atom.Footer, atom.Header,
			atom.Hr, atom.Li, atom.Main, atom.Ol, atom.P, atom.Pre, atom.Section, atom.Span, atom.Ul, atom.Wbr, atom.Abbr, atom.Small:
		default:
			return false
		}
		if painted(n) {
			return false
		}
	}
	return true
}

// painted reports whether n chooses a colour, or weight or slant for words.
func painted(n *html.Node) bool {
	if !plain("color", attr(n, "color")) || !plain("background", attr(n, "bgcolor")) {
		return true
	}
	for name, value := range declarations(attr(n, "style")) {
		switch {
		case !plain(name, value):
			return true
		case name == "font-weight" && value != "normal" && value != "400", name == "font-style" && value != "normal", name == "text-decoration" && value != "none":
			return true
		}
	}
	return false
}
