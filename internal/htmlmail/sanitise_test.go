package htmlmail

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// corpus reads the attacks: one a line, ⏎ for a line break, \x00 and the like for bytes, X for what they would run.
func corpus(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile("testdata/xss.txt")
	if err != nil {
		t.Fatal(err)
	}
	unescape := strings.NewReplacer("⏎", "\n", `\x00`, "\x00", `\x0b`, "\v", `\x0c`, "\f", "X", "parent.hacked()")
	var out []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n") {
		out = append(out, unescape.Replace(line))
	}
	if len(out) < 200 {
		t.Fatalf("only %d attacks", len(out))
	}
	return out
}

// what may stand in a sanitised letter, written down a second time: a slip in the policy is not repeated here.
var (
	goodTags = strings.Fields(`a abbr address article b bdi bdo big blockquote body br caption center cite code col colgroup dd del dfn div dl
		dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 head header hr html i img ins kbd li main mark ol p pre q s samp section small span
		strike strong sub sup table tbody td tfoot th thead tr tt u ul var wbr`)
	goodAttrs = strings.Fields(`href src alt title dir lang width height align valign bgcolor border cellpadding cellspacing hspace vspace
		colspan rowspan nowrap scope color face size start value type class id style rel`)
	badStyle = regexp.MustCompile(`(?i)url|image|expression|@|\\|<|position|behavior|binding|var\(|attr\(|--|content|cursor|filter|mask|animation|transition`)
)

// wrongs says what a browser would find in s that must not be there.
func wrongs(t testing.TB, s string, tags, attrs []string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for n := range root.Descendants() {
		if n.Type == html.CommentNode || n.Type == html.ElementNode && (n.Namespace != "" || !slices.Contains(tags, n.Data)) {
			out = append(out, "<"+n.Data+">")
		}
		for _, a := range n.Attr {
			switch {
			case !slices.Contains(attrs, a.Key):
				out = append(out, a.Key)
			case a.Key == "href" && !goodAddress(a.Val, "http", "https", "mailto", "tel"),
				a.Key == "src" && !goodAddress(a.Val, "http", "https", "cid", "data"),
				a.Key == "style" && badStyle.MatchString(a.Val):
				out = append(out, a.Key+"="+a.Val)
			}
		}
	}
	return out
}

func goodAddress(v string, schemes ...string) bool {
	u, err := url.Parse(v)
	return err == nil && slices.Contains(schemes, u.Scheme) && (u.Host != "" || u.Opaque != "")
}

func TestAttacksAreHarmless(t *testing.T) {
	t.Parallel()
	for _, attack := range corpus(t) {
		for _, letter := range []string{attack, "<div>" + attack, "<table><tr><td>" + attack + "</td></tr></table>", "<blockquote type=cite>" + attack + "<p>x", attack + attack} {
			clean := Sanitise(letter)
			if w := wrongs(t, clean, goodTags, goodAttrs); len(w) > 0 {
				t.Errorf("%q\nbecomes %q\nwith %q", letter, clean, w)
			}
			if again := Sanitise(clean); again != clean {
				t.Errorf("%q: once %q, twice %q", letter, clean, again)
			}
			documentIsSafe(t, letter)
		}
	}
}

// documentIsSafe parses the whole page and holds its body to the list.
func documentIsSafe(t testing.TB, letter string) {
	t.Helper()
	p, err := Document(letter, Options{Dark: true, Image: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(p.HTML))
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]int{}
	for n := range root.Descendants() {
		switch {
		case n.Type == html.ElementNode && slices.Contains([]string{"meta", "style", "title", "script", "link", "base", "img"}, n.Data):
			ours[n.Data]++
		case n.Type == html.ElementNode && n.Data == "a":
			if attr(n, "target") != "_blank" || attr(n, "rel") != "noopener noreferrer nofollow" {
				t.Errorf("%q: a link %v", letter, n.Attr)
			}
		}
	}
	if ours["meta"] != 5 || ours["style"] != 1 || ours["title"] != 1 || ours["script"]+ours["link"]+ours["base"]+ours["img"] > 0 {
		t.Errorf("%q: the page has %v", letter, ours)
	}
	_, body, _ := strings.Cut(p.HTML, "<body dir=\"auto\">")
	body, rest, _ := strings.Cut(body, "</body>")
	if strings.TrimSpace(rest) != "</html>" {
		t.Errorf("%q: leaves the body", letter)
	}
	if w := wrongs(t, body, append([]string{"details", "summary"}, goodTags...), append([]string{"target", "data-host", "data-blank", "aria-label"}, goodAttrs...)); len(w) > 0 {
		t.Errorf("%q: the page holds %q", letter, w)
	}
}

func TestSanitiseKeepsLetters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"<p>Hello <b>you</b></p>", "<p>Hello <b>you</b></p>"},
		{`<a href="https://a.example/x?a=1&amp;b=2">x</a>`, `<a href="https://a.example/x?a=1&amp;b=2">x</a>`},
		{`<img src="cid:part1@mail" width="20" alt="Logo">`, `<img src="cid:part1@mail" width="20" alt="Logo"/>`},
		{`<div style="color: red; position: fixed; background: url(x)">x</div>`, `<div style="color: red">x</div>`},
		{`<td bgcolor="#ff0000">x</td>`, "x"}, // a cell without its table
		{`<blockquote type="cite">old</blockquote>`, `<blockquote type="cite">old</blockquote>`},
		{`<div class="gmail_quote gmail_quote_container">q</div>`, `<div class="gmail_quote gmail_quote_container">q</div>`},
		{`<div class="mine">q</div>`, `<div>q</div>`},
		{"ሰላም &amp; привет", "ሰላም &amp; привет"},
		{"bad \xff byte", "bad \uFFFD byte"},
		{strings.Repeat("x", MaxHTML+1), ""},
		{"<style>" + strings.Repeat("x", MaxHTML) + "</style><p>x</p>", "<p>x</p>"},
		{"x" + strings.Repeat(" ", maxRaw), ""},
		{strings.Repeat("<div>", 2000) + "x", ""},
	} {
		if got := Sanitise(c.in); got != c.want {
			t.Errorf("%.200q: got %.300q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzSanitise(f *testing.F) {
	for _, attack := range corpus(f) {
		f.Add(attack)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := Sanitise(s)
		if w := wrongs(t, clean, goodTags, goodAttrs); len(w) > 0 {
			t.Fatalf("becomes %q with %q", clean, w)
		}
		if p, err := Document(s, Options{}); err != nil || strings.Contains(p.HTML, "<script") {
			t.Fatalf("%v %q", err, p.HTML)
		}
	})
}
