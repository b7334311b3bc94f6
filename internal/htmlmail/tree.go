package htmlmail

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// parse reads HTML as the content of a body.
func parse(s string) (*html.Node, error) {
	root := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(s), root)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		root.AppendChild(n)
	}
	return root, nil
}

func render(root *html.Node) string {
	var b strings.Builder
	for c := range root.ChildNodes() {
		_ = html.Render(&b, c) // a strings.Builder takes everything, and the tree has no raw text elements
	}
	return b.String()
}

// tidy does what a policy by attributes cannot say: links lead where people expect, pictures come from where pictures do.
func tidy(root *html.Node) {
	for _, n := range elements(root) {
		switch n.DataAtom {
		case atom.A:
			if !scheme(attr(n, "href"), "http", "https", "mailto", "tel") {
				unwrap(n)
			}
		case atom.Img:
			if !scheme(attr(n, "src"), "http", "https", "cid") {
				n.Parent.RemoveChild(n)
			}
		}
	}
}

// elements lists the elements below root, so that the tree may be changed meanwhile.
func elements(root *html.Node) []*html.Node {
	var out []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func scheme(address string, allowed ...string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || !slices.Contains(allowed, u.Scheme) {
		return false
	}
	return u.Scheme != "http" && u.Scheme != "https" || u.Host != ""
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == key {
			return a.Val
		}
	}
	return ""
}

func setAttr(n *html.Node, key, value string) {
	if i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key }); i >= 0 {
		n.Attr[i].Val = value
		return
	}
	n.Attr = append(n.Attr, html.Attribute{Key: key, Val: value})
}

// unwrap puts the children of n in its place.
func unwrap(n *html.Node) {
	for n.FirstChild != nil {
		c := n.FirstChild
		n.RemoveChild(c)
		n.Parent.InsertBefore(c, n)
	}
	n.Parent.RemoveChild(n)
}

func element(name string, a atom.Atom, attrs ...html.Attribute) *html.Node {
	return &html.Node{Type: html.ElementNode, Data: name, DataAtom: a, Attr: attrs}
}

func textNode(s string) *html.Node { return &html.Node{Type: html.TextNode, Data: s} }

// words is the text below n.
func words(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}
