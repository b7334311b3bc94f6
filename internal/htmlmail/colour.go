package htmlmail

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// coloured reports whether the letter paints anything itself, so that dark ink could meet a dark sheet.
func coloured(root *html.Node) bool {
	for _, n := range elements(root) {
		if !plain("color", attr(n, "color")) || !plain("background", attr(n, "bgcolor")) {
			return true
		}
		for name, value := range declarations(attr(n, "style")) {
			if !plain(name, value) {
				return true
			}
		}
	}
	return false
}

// uncolour takes away the black ink and the white paper that mail programs write down without meaning anything by it.
func uncolour(root *html.Node) {
	for _, n := range elements(root) {
		n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "color" || a.Key == "bgcolor" })
		style := attr(n, "style")
		if style == "" {
			continue
		}
		var keep []string
		for name, value := range declarations(style) {
			if name != "color" && !strings.HasPrefix(name, "background") {
				keep = append(keep, name+":"+value)
			}
		}
		setAttr(n, "style", strings.Join(keep, ";"))
	}
}

// declarations are the properties of a style attribute with their values.
func declarations(style string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for part := range strings.SplitSeq(style, ";") {
			name, value, ok := strings.Cut(part, ":")
			if ok && !yield(strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)) {
				return
			}
		}
	}
}

// plain is a colour that stands in letters whose writer chose none.
func plain(name, value string) bool {
	value = strings.ToLower(strings.ReplaceAll(value, " ", ""))
	switch value {
	case "", "inherit", "initial", "transparent", "none", "currentcolor":
		return true
	}
	switch {
	case name == "color":
		return slices.Contains([]string{"black", "windowtext", "#000", "#000000", "rgb(0,0,0)"}, value)
	case strings.HasPrefix(name, "background"):
		return slices.Contains([]string{"white", "window", "#fff", "#ffffff", "rgb(255,255,255)", "rgba(0,0,0,0)"}, value)
	}
	return true
}
