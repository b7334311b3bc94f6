package telegram

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"
	"github.com/google/go-cmp/cmp"
)

// wellFormed fails unless s is nothing but text, escaped, and properly nested tags of the safe set.
func wellFormed(t testing.TB, s string) {
	t.Helper()
	token := regexp.MustCompile(`^(?:<(/?)(b|i|u|s|code|pre|blockquote|tg-spoiler|a)(?: href="([^"<>]*)")?>|&(?:lt|gt|amp|quot);|[^<>&"])`)
	var open []string
	for rest := s; rest != ""; {
		m := token.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("not safe at %.60q of %.200q", rest, s)
		}
		rest = rest[len(m[0]):]
		switch {
		case m[2] == "":
		case m[1] == "":
			if (m[2] == "a") != strings.Contains(m[0], "href=") {
				t.Fatalf("link without an address, or an address elsewhere: %q", m[0])
			}
			if m[2] == "a" {
				u, err := url.Parse(m[3])
				if err != nil || !slices.Contains([]string{"http", "https", "mailto", "tel", "tg"}, strings.ToLower(u.Scheme)) {
					t.Fatalf("unsafe link %q", m[3])
				}
				if slices.Contains(open, "a") {
					t.Fatalf("link in a link: %q", s)
				}
			}
			open = append(open, m[2])
		default:
			if len(open) == 0 || open[len(open)-1] != m[2] {
				t.Fatalf("unexpected end of %s in %q", m[2], s)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v not closed in %q", open, s)
	}
}

func TestOverlappingEntitiesStayWellFormed(t *testing.T) {
	t.Parallel()
	r := fromEntities("abcdef", []models.MessageEntity{
		{Type: "bold", Offset: 0, Length: 4},
		{Type: "italic", Offset: 2, Length: 4},
		{Type: "underline", Offset: -1, Length: 3},
		{Type: "code", Offset: 5, Length: 100},
		{Type: "strikethrough", Offset: 3, Length: 0},
	})
	want := "<b>ab<i>cd</i></b><i>e<code>f</code></i>"
	if got := r.html(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFromHTML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, text, html string }{
		{"plain", "plain", ""},
		{"a &lt;b&gt; &amp; &quot;c&quot; &nbsp;d", "a <b> & \"c\" \u00a0d", ""},
		{"<b>x</b><strong>y</strong>", "xy", "<b>x</b><b>y</b>"},
		{"<p>one</p><p>two</p>", "one\ntwo", ""},
		{"one<br>two<br/>three", "one\ntwo\nthree", ""},
		{"<ul><li>a</li><li>b</li></ul>", "• a\n• b", ""},
		{`<a href="https://x.y/?a=1&amp;b=2" onclick="evil()">l</a>`, "l", `<a href="https://x.y/?a=1&amp;b=2">l</a>`},
		{`<a href="javascript:alert(1)">l</a> <a>m</a>`, "l m", ""},
		{"<script>alert(1)</script>ok<style>b{}</style>", "ok", ""},
		{"<b>never closed", "never closed", "<b>never closed</b>"},
		{"</b>stray", "stray", ""},
		{"<b><i>x</b>y</i>", "xy", "<i><b>x</b>y</i>"},
		{"5 < 6 and 7 > 3", "5 < 6 and 7 > 3", ""},
		{"<!-- gone -->kept<unknown attr>too</unknown>", "kepttoo", ""},
		{`<span class="tg-spoiler">s</span><span class="x">t</span>`, "st", "<tg-spoiler>s</tg-spoiler>t"},
		{"<pre>a\n b</pre><blockquote>q</blockquote>", "a\n bq", "<pre>a\n b</pre><blockquote>q</blockquote>"},
		{"👍🏽<b>👍</b>", "👍🏽👍", "👍🏽<b>👍</b>"},
	} {
		r := fromHTML(c.in).trim()
		if r.text != c.text || r.html() != c.html {
			t.Errorf("%s: got %q %q, want %q %q", c.in, r.text, r.html(), c.text, c.html)
		}
		wellFormed(t, r.html())
	}
}

func TestSplitAtSensibleBorders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		in    string
		limit int
		want  []string
	}{
		{"short", "hello", 10, []string{"hello"}},
		{"empty", "", 10, []string{""}},
		{"lines", "first line\nsecond line", 15, []string{"first line", "second line"}},
		{"paragraphs first", "one. two\n\nthree four", 16, []string{"one. two", "three four"}},
		{"sentence", "One two. Three four", 12, []string{"One two.", "Three four"}},
		{"word", "alpha beta gamma", 12, []string{"alpha beta", "gamma"}},
		{"no border", strings.Repeat("x", 25), 10, []string{strings.Repeat("x", 10), strings.Repeat("x", 10), "xxxxx"}},
		{"surrogates", strings.Repeat("😀", 6), 5, []string{"😀😀", "😀😀", "😀😀"}},
		{"marks stay", "aaaae\u0301bbbb", 5, []string{"aaaa", "e\u0301bbb", "b"}},
	} {
		var got []string
		for _, p := range (rich{text: c.in}).split(c.limit) {
			got = append(got, p.text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

func TestSplitKeepsFormatting(t *testing.T) {
	t.Parallel()
	r := fromHTML("<b>bold words here</b> and <i>more of them</i>")
	var got []string
	for _, p := range r.split(12) {
		wellFormed(t, p.html())
		got = append(got, p.html())
	}
	want := []string{"<b>bold words</b>", "<b>here</b> and", "<i>more of them</i>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
