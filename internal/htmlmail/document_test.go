package htmlmail

import (
	"strings"
	"testing"
)

// body is what stands inside the page's body.
func body(t *testing.T, letter string, o Options) string {
	t.Helper()
	p, err := Document(letter, o)
	if err != nil {
		t.Fatal(err)
	}
	_, b, _ := strings.Cut(p.HTML, `<body dir="auto">`)
	b, _, _ = strings.Cut(b, "</body>")
	return b
}

func TestPictures(t *testing.T) {
	t.Parallel()
	letter := `<img src="cid:logo@x"><img src="https://a.example/p.png" width="300" height="200" alt="Offer"><img src="http://a.example/t.gif" width="1" height="1"><img src="cid:gone">`
	known := func(s string) string {
		if s == "cid:logo@x" {
			return "/api/images?token=1"
		}
		return ""
	}
	p, err := Document(letter, Options{Image: known, Sources: []string{"https://hub.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Blocked != 2 {
		t.Errorf("%d pictures blocked, want 2: a missing part of the mail itself is none", p.Blocked)
	}
	for _, want := range []string{
		`<img src="/api/images?token=1" loading="lazy" referrerpolicy="no-referrer"/>`,
		`<span data-blank="" style="width:300px;height:200px;">Offer</span>`,
		`<span data-blank="" style="">picture</span>`,
		`img-src data: https://hub.example; base-uri`,
	} {
		if !strings.Contains(p.HTML, want) {
			t.Errorf("%q is missing in\n%s", want, p.HTML)
		}
	}
	if strings.Contains(p.HTML, "a.example") {
		t.Errorf("the page names the sender's server:\n%s", p.HTML)
	}
	all := func(s string) string { return "/i?" + s }
	if p, err = Document(letter, Options{Image: all}); err != nil || p.Blocked != 0 || strings.Count(p.HTML, "<img ") != 4 {
		t.Errorf("got %v, %d blocked\n%s", err, p.Blocked, p.HTML)
	}
}

func TestLinksShowWhereTheyLead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		mark string
	}{
		{`<a href="https://evil.example/x">https://bank.example</a>`, "evil.example"},
		{`<a href="https://evil.example/x">www.bank.example</a>`, "evil.example"},
		{`<a href="https://bank.example@evil.example/x">bank.example/login</a>`, "evil.example"},
		{`<a href="https://www.bank.example/x">bank.example</a>`, ""},
		{`<a href="https://BANK.example/x">bank.example</a>`, ""},
		{`<a href="https://evil.example/x">Our offer</a>`, ""},
		{`<a href="mailto:a@b.example">a@b.example</a>`, ""},
	} {
		got := body(t, c.in, Options{})
		if has := strings.Contains(got, "data-host"); has != (c.mark != "") || !strings.Contains(got, c.mark) {
			t.Errorf("%s: got %s", c.in, got)
		}
	}
}

func TestQuotationsAreFolded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`<p>Yes.</p><div class="gmail_quote">On Monday<blockquote type="cite">old</blockquote></div><p>after</p>`, `<div class="gmail_quote">On Monday<blockquote type="cite">old</blockquote></div></details><p>after</p>`},
		{`Yes.<div class="moz-cite-prefix">On Monday</div><blockquote type="cite">old</blockquote>`, `<div class="moz-cite-prefix">On Monday</div><blockquote type="cite">old</blockquote></details>`},
		{`Yes.<div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p><b>От:</b> Анна</p></div></div>`, "</div></details></div>"},
		{`Yes.<div id="appendonsend"></div><hr><div>old</div>`, `<hr/><div>old</div></details>`},
		{`<div class="gmail_quote">passed on</div>`, ""},
		{`Yes.<blockquote>a saying</blockquote>`, ""},
		{`Yes.<div style="border-top:solid #E1E1E1 1.0pt">A footer</div>`, ""},
	} {
		got := body(t, c.in, Options{Lang: "ru"})
		if c.want == "" {
			if strings.Contains(got, "<details") {
				t.Errorf("%s: folded into %s", c.in, got)
			}
			continue
		}
		if strings.Count(got, "<details><summary") != 1 || !strings.Contains(got, c.want) || !strings.Contains(got, "Показать") {
			t.Errorf("%s: got %s", c.in, got)
		}
	}
}

func TestSheetFollowsTheThemeUnlessTheLetterIsPainted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		dark bool
	}{
		{"<p>Hello</p>", true},
		{`<p style="color:black;background:white">Hello</p>`, true},
		{`<font color="#000000">Hello</font>`, true},
		{`<table bgcolor="#ffffff"><tr><td>x</td></tr></table>`, true},
		{`<p style="color: #1f497d">Hello</p>`, false},
		{`<div style="background-color:#eeeeee">x</div>`, false},
		{`<table bgcolor="#ff0000"><tr><td>x</td></tr></table>`, false},
	} {
		p, err := Document(c.in, Options{Dark: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(p.HTML, `<html lang="en" data-dark>`); got != c.dark {
			t.Errorf("%s: dark is %v", c.in, got)
		}
		if c.dark && strings.Contains(p.HTML, "black") {
			t.Errorf("%s: black ink on a dark sheet: %s", c.in, p.HTML)
		}
	}
	if p, _ := Document("x", Options{}); strings.Contains(p.HTML, " data-dark>") {
		t.Error("a light theme got a dark sheet")
	}
}

func TestSimpleLettersAreReadAsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     string
		simple bool
	}{
		{`<div dir="ltr">Hello,<br>can you call me?</div>`, true},
		{`<p style="color:black;font-weight:normal">Hello</p><ul><li>one</li></ul>`, true},
		{`<p>Yes</p><blockquote type="cite"><table><tr><td><b>old</b></td></tr></table></blockquote>`, true},
		{`<p>Hello <b>you</b></p>`, false},
		{`<p>See <img src="cid:a"/></p>`, false},
		{`<table><tr><td>1</td><td>2</td></tr></table>`, false},
		{`<p style="color:#ff0000">Hello</p>`, false},
		{`<span style="font-weight:bold">Hello</span>`, false},
		{`<blockquote type="cite"><b>passed on</b></blockquote>`, false},
	} {
		if got := Simple(Sanitise(c.in)); got != c.simple {
			t.Errorf("%s: simple is %v", c.in, got)
		}
	}
}
