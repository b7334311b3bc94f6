package htmlmail

import (
	"cmp"
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxImages is how many pictures of one letter are shown.
const maxImages = 500

// Options say how a letter is shown.
type Options struct {
	// Image gives the address under which a picture is shown; source is cid:... or http(s)://... . "" = it is not shown,
	// and its place stays blank.
	Image func(source string) string
	// Sources are the places that those addresses point at, for the page's policy; data: is always one.
	Sources []string
	// Dark is the reader's theme. A letter that brings its own colours stays on a light sheet.
	Dark bool
	// Lang is the reader's language: en, ru or am.
	Lang string
}

// Page is a letter as a document of its own.
type Page struct {
	HTML string
	// Blocked counts the pictures from elsewhere that are not shown, those too small to see included.
	Blocked int
}

// Policy is the content security policy of a page: nothing but its own styles and the pictures that we give out.
func Policy(sources ...string) string {
	return "default-src 'none'; style-src 'unsafe-inline'; img-src " + strings.Join(append([]string{"data:"}, sources...), " ") +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
}

// Document builds the page of a letter. It sanitises what it is given, also if that was done before.
func Document(letter string, o Options) (Page, error) {
	root, err := parse(Sanitise(letter))
	if err != nil {
		return Page{}, err
	}
	w := wordsOf(o.Lang)
	dark := o.Dark && !coloured(root)
	if dark {
		uncolour(root)
	}
	p := Page{}
	p.links(root)
	p.images(root, o, w)
	fold(root, w.quote)
	var b strings.Builder
	err = page.Execute(&b, map[string]any{
		"Lang": w.lang, "Title": w.title, "Dark": dark, "Policy": metaPolicy(o.Sources),
		"Body": template.HTML(render(root)), //nolint:gosec // Sanitise made it, and render escapes what was put in
	})
	p.HTML = b.String()
	return p, err
}

// metaPolicy is Policy without what a page cannot say of itself.
func metaPolicy(sources []string) string {
	p, _, _ := strings.Cut(Policy(sources...), "; frame-ancestors")
	return p
}

// links open in a window that knows nothing of this one. Where the words name another place than the link leads to, the
// true one stands beside them.
func (p *Page) links(root *html.Node) {
	for _, n := range elements(root) {
		if n.DataAtom != atom.A {
			continue
		}
		u, err := url.Parse(strings.TrimSpace(attr(n, "href")))
		if err != nil { // tidy left none
			continue
		}
		setAttr(n, "href", u.String())
		setAttr(n, "target", "_blank")
		setAttr(n, "rel", "noopener noreferrer nofollow")
		setAttr(n, "title", u.String())
		if u.Host == "" {
			continue
		}
		if named := namedHost(words(n)); named != "" && !sameSite(named, u.Hostname()) {
			mark := element("span", atom.Span, html.Attribute{Key: "data-host", Val: ""})
			mark.AppendChild(textNode(u.Hostname()))
			n.Parent.InsertBefore(mark, n.NextSibling)
		}
	}
}

// namedHost is the host that the words of a link look like; "" when they are just words.
func namedHost(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text, " \t\n@") {
		return ""
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || !strings.Contains(u.Hostname(), ".") {
		return ""
	}
	return u.Hostname()
}

// sameSite is about the reader's impression, not about a boundary: www.a.example and a.example are one place to him.
func sameSite(a, b string) bool {
	a, b = strings.TrimPrefix(strings.ToLower(a), "www."), strings.TrimPrefix(strings.ToLower(b), "www.")
	return a == b
}

func (p *Page) images(root *html.Node, o Options, w labels) {
	shown := 0
	for _, n := range elements(root) {
		if n.DataAtom != atom.Img {
			continue
		}
		source := strings.TrimSpace(attr(n, "src"))
		address := ""
		if o.Image != nil && shown < maxImages {
			address = o.Image(source)
		}
		if address != "" {
			shown++
			setAttr(n, "src", address)
			setAttr(n, "loading", "lazy")
			setAttr(n, "referrerpolicy", "no-referrer")
			continue
		}
		if !strings.HasPrefix(source, "cid:") {
			p.Blocked++
		}
		blank(n, w)
	}
}

// blank leaves an empty place of the same size; nothing where the picture was too small to be seen, which only counted
// its readers.
func blank(n *html.Node, w labels) {
	width, height := size(n, "width"), size(n, "height")
	if width > 0 && width <= 3 || height > 0 && height <= 3 {
		n.Parent.RemoveChild(n)
		return
	}
	style := ""
	if width > 0 {
		style = "width:" + strconv.Itoa(min(width, 2000)) + "px;"
	}
	if height > 0 {
		style += "height:" + strconv.Itoa(min(height, 2000)) + "px;"
	}
	place := element("span", atom.Span, html.Attribute{Key: "data-blank", Val: ""}, html.Attribute{Key: "style", Val: style})
	alt := strings.TrimSpace(attr(n, "alt"))
	place.AppendChild(textNode(cmp.Or(alt, w.picture)))
	n.Parent.InsertBefore(place, n)
	n.Parent.RemoveChild(n)
}

// size is a length of a picture in pixels; 0 when it does not say.
func size(n *html.Node, key string) int {
	v := attr(n, key)
	for name, value := range declarations(attr(n, "style")) {
		if name == key {
			v = value
		}
	}
	px, err := strconv.ParseFloat(strings.TrimSuffix(v, "px"), 64)
	if err != nil || px < 0 || px > 1e6 {
		return 0
	}
	return int(px + 0.5)
}
