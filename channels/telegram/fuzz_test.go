package telegram

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
)

// FuzzConvert: no update panics, and what comes out is complete, bounded, storable and safe.
func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/updates/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkEvents(t, convert(raw, testBot, testNow())) })
}

// FuzzEntities: whatever the offsets, the HTML is well-formed and safe, and keeps the text.
func FuzzEntities(f *testing.F) {
	f.Add("Bold 👍🏽 italic <b>", []byte(`[{"type":"bold","offset":0,"length":9},{"type":"italic","offset":5,"length":11}]`))
	f.Add("link", []byte(`[{"type":"text_link","offset":0,"length":4,"url":"javascript:alert(1)"}]`))
	f.Add("https://x", []byte(`[{"type":"url","offset":0,"length":9},{"type":"email","offset":3,"length":90000000000}]`))
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		var entities []models.MessageEntity
		if json.Unmarshal(raw, &entities) != nil {
			return
		}
		text = clean(text, 1<<16)
		h := fromEntities(text, entities).html()
		wellFormed(t, h)
		if h != "" && fromHTMLExact(h) != text {
			t.Fatalf("%q became %q", text, h)
		}
	})
}

// fromHTMLExact is the text of our own HTML.
func fromHTMLExact(h string) string { return fromHTML(h).text }

// FuzzHTML: whatever an agent's editor sends, what goes to Telegram is well-formed, and every part is small enough.
func FuzzHTML(f *testing.F) {
	f.Add("<b>x</b> &amp; <a href='https://x.y'>z</a><br><script>a</script>")
	f.Add("<a href=\"j&#97;vascript:alert(1)\">x</a><<b</b")
	f.Add("<!-- <b> -->\x00<span class=tg-spoiler>s")
	f.Fuzz(func(t *testing.T, s string) {
		r := fromHTML(s)
		if !utf8.ValidString(r.text) {
			t.Fatalf("not UTF-8: %q", r.text)
		}
		wellFormed(t, r.html())
		for _, p := range r.split(64) {
			if units(p.text) > 64 {
				t.Fatalf("%d units", units(p.text))
			}
			wellFormed(t, p.html())
		}
	})
}
