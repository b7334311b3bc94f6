package inbox

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Hello, World":             "hello world",
		"Ёлка и ёж: ЙОД":           "елка и еж йод",
		"и\u0306од":                "йод", // as a Mac writes it
		"Café Łódź Ångström naïve": "cafe lodz angstrom naive",
		"cafe\u0301":               "cafe",
		"ሰላም፡ዓለም። እንዴት፤ነህ":          "ሰላም አለም እንዴት ነህ",
		"ሠላም ሐኪም ኀይል ፀሐይ ሃገር":       "ሰላም ሀኪም ሀይል ጸሀይ ሀገር",
		"anna.lee@example.com":      "anna lee example com",
		"https://example.com/a-b?c": "https example com a b c",
		"don't 12:30 -5 1e5":        "don t 12 30 5 1e5",
		"call +7 (912) 345-67-89!":  "call 7 912 345 67 89 79123456789",
		"+79123456789":              "79123456789",
		"2, 3, 4567890 of them":     "2 3 4567890 of them",
		"1 234 567":                 "1 234 567 1234567",
		"12 34":                     "12 34",
		"":                          "",
		"…!? 🎉":                     "",
	} {
		var got []string
		for w := range words(text) {
			got = append(got, w.text)
		}
		if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"Hello, World", "Ёж +7 (912) 345-67-89", "ሰላም፡ዓለም", "a\u0301\u0306", strings.Repeat("x", 200), "1-2-3-4-5-6-7-8-9-10-11", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		last := 0
		for w := range words(s) {
			if w.text == "" || w.from < 0 || w.from >= w.to || w.to > len(s) || w.place < 1 || w.place > maxWords {
				t.Fatalf("%q: %+v", s, w)
			}
			if w.place > last+1 {
				t.Fatalf("%q: from place %d to %d", s, last, w.place)
			}
			last = max(last, w.place)
			if n := utf8.RuneCountInString(w.text); n > maxWord {
				t.Fatalf("%q has %d characters", w.text, n)
			}
			for _, r := range w.text { // nothing that a tsquery could take for an operator
				if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.M, r) {
					t.Fatalf("%q holds %q", w.text, r)
				}
				if fold(r) != r {
					t.Fatalf("%q is not folded: %q", w.text, r)
				}
			}
		}
	})
}
