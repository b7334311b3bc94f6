// Package htmlmail makes HTML that strangers wrote fit to be shown.
//
// Invariants. What Sanitise gives out consists of an allow-list of elements, attributes, style properties and address
// schemes; nothing in it runs, submits, embeds or navigates by itself. Document sanitises again, whatever it is given,
// and builds a page that asks nobody outside for anything: pictures are addresses that the caller made, or blank. The
// page is meant for a frame without scripts and without our origin, under Policy: three walls, each of which is enough.
//
// Failure. HTML that cannot be read, or is larger than MaxHTML, becomes "": the message's plain text stands in its place.
package htmlmail

import (
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

// MaxHTML is how much HTML of one message is kept and shown, in bytes.
const MaxHTML = 1 << 20

// maxRaw is how much a stranger's HTML may hold besides, in bytes: styles and comments that do not stay.
const maxRaw = 4 << 20

// maxStyle bounds one value of a style, in bytes.
const maxStyle = 200

var (
	sizeValue  = regexp.MustCompile(`^\d{1,5}(\.\d{1,3})?(%|px)?$`)
	colorValue = regexp.MustCompile(`^(#[0-9A-Fa-f]{3,8}|[A-Za-z]{3,30})$`)
	wordValue  = regexp.MustCompile(`^[A-Za-z0-9 -]{1,40}$`)
	faceValue  = regexp.MustCompile(`^[\p{L}0-9 ,'-]{1,200}$`)
	// The marks by which mail programs say where a quotation begins.
	quoteClass = regexp.MustCompile(`^(gmail_quote|gmail_quote_container|gmail_extra|gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote|zmail_extra| )+$`)
	quoteID    = regexp.MustCompile(`^(x_)*(appendonsend|divRplyFwdMsg|mail-editor-reference-message-container)$`)
	styleValue = regexp.MustCompile(`^[\p{L}0-9 #%.,()'"+/!_-]+$`)
	styleCall  = regexp.MustCompile(`[A-Za-z-]*\(`)
)

// styles are the properties that lay out a letter. None of them takes an address, leaves its place in the flow, or reacts
// to the reader.
var styles = []string{ //nolint:gochecknoglobals // a table
	"background", "background-color", "color", "font", "font-family", "font-size", "font-style", "font-variant", "font-weight",
	"line-height", "letter-spacing", "word-spacing", "text-align", "text-decoration", "text-indent", "text-transform",
	"vertical-align", "white-space", "word-break", "word-wrap", "overflow-wrap", "direction",
	"margin", "margin-top", "margin-right", "margin-bottom", "margin-left",
	"padding", "padding-top", "padding-right", "padding-bottom", "padding-left",
	"border", "border-top", "border-right", "border-bottom", "border-left", "border-color", "border-style", "border-width",
	"border-top-color", "border-top-style", "border-top-width", "border-left-color", "border-left-style", "border-left-width",
	"border-bottom-color", "border-bottom-style", "border-bottom-width", "border-right-color", "border-right-style", "border-right-width",
	"border-collapse", "border-spacing", "border-radius", "table-layout", "caption-side", "empty-cells",
	"width", "height", "max-width", "min-width", "max-height", "min-height", "display", "float", "clear", "list-style-type",
}

// policy is made once: it is read only and safe for concurrent use.
var policy = sync.OnceValue(func() *bluemonday.Policy { //nolint:gochecknoglobals // the one place that says what mail may hold
	p := bluemonday.NewPolicy()
	p.AllowElements(
		"abbr", "address", "article", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup",
		"dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header",
		"hr", "i", "ins", "kbd", "li", "main", "mark", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong",
		"sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr",
	)
	p.AllowNoAttrs().OnElements("font", "span", "img")
	p.RequireParseableURLs(true)
	p.AllowURLSchemes("http", "https", "mailto", "tel", "cid")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src", "alt").OnElements("img")
	p.AllowAttrs("title").Globally()
	p.AllowAttrs("dir").Matching(regexp.MustCompile(`(?i)^(ltr|rtl|auto)$`)).Globally()
	p.AllowAttrs("lang").Matching(wordValue).Globally()
	p.AllowAttrs("width", "height").Matching(sizeValue).OnElements("img", "table", "td", "th", "tr", "col", "colgroup", "hr")
	p.AllowAttrs("align", "valign").Matching(wordValue).OnElements(
		"img", "table", "tbody", "thead", "tfoot", "td", "th", "tr", "col", "colgroup", "div", "p", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "caption")
	p.AllowAttrs("bgcolor").Matching(colorValue).OnElements("table", "tbody", "thead", "tfoot", "td", "th", "tr")
	p.AllowAttrs("border", "cellpadding", "cellspacing", "hspace", "vspace").Matching(sizeValue).OnElements("table", "img")
	p.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^\d{1,3}$`)).OnElements("td", "th")
	p.AllowAttrs("nowrap", "scope").Matching(wordValue).OnElements("td", "th")
	p.AllowAttrs("color").Matching(colorValue).OnElements("font")
	p.AllowAttrs("face").Matching(faceValue).OnElements("font")
	p.AllowAttrs("size").Matching(regexp.MustCompile(`^[+-]?\d{1,2}$`)).OnElements("font", "hr")
	p.AllowAttrs("start", "value").Matching(regexp.MustCompile(`^-?\d{1,6}$`)).OnElements("ol", "li")
	p.AllowAttrs("type").Matching(regexp.MustCompile(`^(1|a|A|i|I|disc|circle|square)$`)).OnElements("ol", "ul", "li")
	p.AllowAttrs("type").Matching(regexp.MustCompile(`(?i)^cite$`)).OnElements("blockquote")
	p.AllowAttrs("class").Matching(quoteClass).OnElements("div", "blockquote", "span")
	p.AllowAttrs("id").Matching(quoteID).OnElements("div")
	p.AllowStyles(styles...).MatchingHandler(harmless).Globally()
	p.SkipElementsContent("head", "template", "svg", "math", "textarea", "select", "button", "xmp", "audio", "video", "canvas")
	return p
})

// harmless is a value of a style that only says how something looks: no address, no escape, no function but a colour's.
func harmless(v string) bool {
	if len(v) > maxStyle || !styleValue.MatchString(v) {
		return false
	}
	for _, call := range styleCall.FindAllString(v, -1) {
		switch strings.ToLower(call) {
		case "rgb(", "rgba(", "hsl(", "hsla(":
		default:
			return false
		}
	}
	return true
}

// Sanitise keeps of a stranger's HTML what a letter needs. It is a fixed point: its own output comes out unchanged.
func Sanitise(s string) string {
	if len(s) > maxRaw {
		return ""
	}
	root, err := parse(policy().Sanitize(strings.ToValidUTF8(s, "\uFFFD")))
	if err != nil {
		return ""
	}
	tidy(root)
	out := render(root)
	if len(out) > MaxHTML {
		return ""
	}
	return out
}
