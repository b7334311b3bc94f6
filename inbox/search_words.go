package inbox

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What counts as a word is decided here, for texts and for questions alike, and not by the database: its parser takes
// addresses, paths and signed numbers for single words, and its idea of a letter is that of the server's locale.
const (
	// maxWord is how much of a word is kept, in characters.
	maxWord = 64
	// maxWords of a text are searched; a place in a tsvector ends at 16,383.
	maxWords = 16_000
	// a telephone number has at least so many digits, however they are grouped
	minPhone, maxPhone = 7, 15
)

// word is a run of letters and digits, folded, and where it stands in the text (bytes). A word that is several joined
// has the place of the first.
type word struct {
	text     string
	place    int // counted from 1
	from, to int
}

// words cuts a text into words. Digits in groups, as telephone numbers are written, are also one word.
func words(s string) iter.Seq[word] {
	return func(yield func(word) bool) {
		c := cutter{yield: yield}
		for i, r := range s {
			if !c.take(s, i, r) {
				return
			}
		}
		if c.end(len(s)) {
			c.endNumber()
		}
	}
}

// cutter is the state of words.
type cutter struct {
	yield func(word) bool
	runes []rune // of the open word
	open  bool
	from  int
	place int

	digits bool // the open word has nothing else
	number word // groups of digits so far
	groups int
	gap    int // characters since the last group
}

func (c *cutter) take(s string, i int, r rune) bool {
	mark := unicode.Is(unicode.Mn, r)
	if !mark && !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Mc, r) {
		if c.open && !c.end(i) {
			return false
		}
		c.gap++
		if c.groups > 0 && (c.gap > 2 || !strings.ContainsRune(" -().\u00a0\u2011\u2013", r)) {
			return c.endNumber()
		}
		return true
	}
	if !c.open {
		if mark {
			return true
		}
		c.open, c.from, c.digits = true, i, true
	}
	if n := len(c.runes); mark || n >= maxWord {
		if r == 0x306 && n > 0 && c.runes[n-1] == 'и' { // й as Macs write it
			c.runes[n-1] = 'й'
		}
		return true
	}
	c.runes = append(c.runes, fold(r))
	c.digits = c.digits && r >= '0' && r <= '9'
	return true
}

// end closes the open word.
func (c *cutter) end(to int) bool {
	if !c.open {
		return true
	}
	text := string(c.runes)
	c.runes, c.open = c.runes[:0], false
	c.place++
	if c.place > maxWords {
		return false
	}
	if !c.yield(word{text, c.place, c.from, to}) {
		return false
	}
	if !c.digits {
		return c.endNumber()
	}
	if c.groups == 0 {
		c.number = word{place: c.place, from: c.from}
	}
	c.groups, c.gap = c.groups+1, 0
	c.number.text, c.number.to = c.number.text+text, to
	if len(c.number.text) > maxPhone {
		c.groups, c.number = 0, word{}
	}
	return true
}

func (c *cutter) endNumber() bool {
	n, groups := c.number, c.groups
	c.number, c.groups, c.gap = word{}, 0, 0
	if groups < 2 || len(n.text) < minPhone {
		return true
	}
	return c.yield(n)
}

// folded is the name of a file as names are compared, character by character. Macs send them decomposed.
func folded(s string) string { return strings.Map(fold, norm.NFC.String(s)) }

// fold makes one of what people write in two ways: capitals, accents of Latin letters, Russian ё, and the Amharic
// letters that sound alike.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	r = unicode.ToLower(r)
	switch {
	case r == 'ё':
		return 'е'
	case r == 'ø':
		return 'o'
	case r == 'đ':
		return 'd'
	case r == 'ł':
		return 'l'
	case r == 'ı':
		return 'i'
	case r >= 0xC0 && r <= 0x24F, r >= 0x1E00 && r <= 0x1EFF:
		// only here: й is no и, though it is written as one with a mark
		if d := norm.NFD.PropertiesString(string(r)).Decomposition(); len(d) > 0 {
			base, _ := utf8.DecodeRune(d)
			return fold(base)
		}
	case r >= 0x1200 && r <= 0x137F:
		return foldEthiopic(r)
	}
	return r
}

func foldEthiopic(r rune) rune {
	switch {
	case r >= 0x1210 && r <= 0x1216: // ሐ
		r -= 0x10
	case r >= 0x1280 && r <= 0x1286: // ኀ
		r -= 0x80
	case r >= 0x1220 && r <= 0x1226: // ሠ
		r += 0x10
	case r >= 0x12D0 && r <= 0x12D6: // ዐ
		r -= 0x30
	case r >= 0x1340 && r <= 0x1346: // ፀ
		r -= 0x08
	}
	switch r {
	case 0x1203, 0x12BB: // ሃ, ኻ
		return 0x1200
	case 0x12A3: // ኣ
		return 0x12A0
	}
	return r
}
