package inbox

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// an excerpt begins so many characters before the first hit and has so many in all
	excerptLead = 40
	excerptText = 180
)

// span is a hit in a text, in bytes.
type span struct{ from, to int }

// excerpt is the part of a text around the first hit of the terms, with all hits in it marked. The text goes out as text:
// there is nothing in it that a browser could take for a page.
func excerpt(text string, terms []term, numbers []string) []Piece {
	marks := spans(text, terms, numbers)
	from := 0
	if len(marks) > 0 {
		from = back(text, marks[0].from, excerptLead)
	}
	to := from + len(clipRunes(text[from:], excerptText))
	pieces := cut(text, from, to, marks)
	for i := range pieces {
		pieces[i].Text = strings.Map(oneLine, pieces[i].Text)
	}
	if len(pieces) > 0 && from > 0 {
		pieces = prepend(pieces, "…")
	}
	if len(pieces) > 0 && to < len(text) {
		pieces = append(pieces, Piece{Text: "…"})
	}
	return pieces
}

func oneLine(r rune) rune {
	if unicode.IsSpace(r) {
		return ' '
	}
	return r
}

func prepend(pieces []Piece, s string) []Piece {
	if pieces[0].Hit {
		return slices.Insert(pieces, 0, Piece{Text: s})
	}
	pieces[0].Text = s + pieces[0].Text
	return pieces
}

// back goes n characters back, and on to the beginning of a word if one is near.
func back(s string, at, n int) int {
	from := at
	for ; n > 0 && from > 0; n-- {
		_, width := utf8.DecodeLastRuneInString(s[:from])
		from -= width
	}
	if from == 0 {
		return 0
	}
	if i := strings.IndexFunc(s[from:at], unicode.IsSpace); i >= 0 {
		from += i
		for r, width := utf8.DecodeRuneInString(s[from:]); unicode.IsSpace(r) && from < at; r, width = utf8.DecodeRuneInString(s[from:]) {
			from += width
		}
	}
	return from
}

// spans are the hits, in order and without overlaps.
func spans(text string, terms []term, numbers []string) []span {
	var out []span
	var recent []word // the last words, for terms of several
	longest := 1
	for _, t := range terms {
		longest = max(longest, len(t.words))
	}
	for w := range words(text) {
		if len(recent) > 0 && w.place <= recent[len(recent)-1].place { // a number joined
			for _, n := range numbers {
				if strings.HasPrefix(w.text, n) {
					out = append(out, span{w.from, w.to})
				}
			}
			for _, t := range terms {
				if len(t.words) == 1 && t.fits(0, w.text) {
					out = append(out, span{w.from, w.to})
				}
			}
			continue
		}
		if recent = append(recent, w); len(recent) > longest {
			recent = recent[1:]
		}
		for _, t := range terms {
			n := len(t.words)
			if n > len(recent) {
				continue
			}
			row := recent[len(recent)-n:]
			fits := true
			for i := range row {
				fits = fits && t.fits(i, row[i].text)
			}
			if fits {
				out = append(out, span{row[0].from, w.to})
			}
		}
		for _, n := range numbers {
			if strings.HasPrefix(w.text, n) {
				out = append(out, span{w.from, w.to})
			}
		}
	}
	return tidy(out)
}

// fits reports whether a word can be the i-th of the term.
func (t term) fits(i int, w string) bool {
	if t.prefix && i == len(t.words)-1 {
		return strings.HasPrefix(w, t.words[i])
	}
	return w == t.words[i]
}

// tidy puts spans in order and joins what overlaps.
func tidy(list []span) []span {
	slices.SortFunc(list, func(a, b span) int { return a.from - b.from })
	var out []span
	for _, s := range list {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// cut makes pieces of text[from:to].
func cut(text string, from, to int, marks []span) []Piece {
	out := []Piece{}
	put := func(a, b int, hit bool) {
		if a, b = max(a, from), min(b, to); a < b {
			out = append(out, Piece{Text: text[a:b], Hit: hit})
		}
	}
	at := from
	for _, m := range marks {
		put(at, m.from, false)
		put(m.from, m.to, true)
		at = max(at, m.to)
	}
	put(at, to, false)
	return out
}

func hits(pieces []Piece) bool {
	return slices.ContainsFunc(pieces, func(p Piece) bool { return p.Hit })
}

// markPieces marks every place of the pieces in a name; they are folded, it is not.
func markPieces(name string, pieces []string) []Piece {
	return mark(name, fold, pieces)
}

// markLower marks a piece that differs in capitals only, as the database compares names of people.
func markLower(name, piece string) []Piece {
	return mark(name, unicode.ToLower, []string{piece})
}

// mark compares character by character, so that a character that grows or shrinks by folding moves nothing.
func mark(name string, same func(rune) rune, pieces []string) []Piece {
	var runes []rune
	var at []int
	for i, r := range name {
		runes, at = append(runes, same(r)), append(at, i)
	}
	at = append(at, len(name))
	var marks []span
	for _, p := range pieces {
		want := []rune(p)
		for i := 0; len(want) > 0 && i+len(want) <= len(runes); i++ {
			if slices.Equal(runes[i:i+len(want)], want) {
				marks = append(marks, span{at[i], at[i+len(want)]})
			}
		}
	}
	return cut(name, 0, len(name), tidy(marks))
}

// markDigits marks a number in an address, whatever stands between its digits.
func markDigits(value string, numbers []string) []Piece {
	var digits []byte
	var at []int
	for i := range len(value) {
		if c := value[i]; c >= '0' && c <= '9' {
			digits, at = append(digits, c), append(at, i)
		}
	}
	for _, n := range numbers {
		if i := strings.Index(string(digits), n); i >= 0 && n != "" {
			return cut(value, 0, len(value), []span{{at[i], at[i+len(n)-1] + 1}})
		}
	}
	return cut(value, 0, len(value), nil)
}

// hasTrigram reports three letters or digits in a row: an index of names knows nothing shorter.
func hasTrigram(pattern string) bool {
	row := 0
	for _, r := range pattern {
		if row++; !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			row = 0
		}
		if row == 3 {
			return true
		}
	}
	return false
}
