package inbox

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
)

var noon = time.Date(2026, 5, 31, 12, 0, 0, 0, time.UTC)

func TestParseQuery(t *testing.T) {
	t.Parallel()
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	for _, tc := range []struct {
		text string
		ts   string // the question to the index
		want query
	}{
		{"", "", query{}},
		{"  \t ", "", query{}},
		{"Invoice", "'invoice':*", query{}},
		{"two words", "'two':* & 'words':*", query{}},
		{"to be or", "'to' & 'be' & 'or':*", query{}},
		{"a", "'a':*", query{}},
		{"plan b", "'plan':* & 'b'", query{}},
		{"same same", "'same':*", query{}},
		{`"Exact phrase" now`, "('exact' <-> 'phrase') & 'now':*", query{}},
		{`„Guten Tag“ «добрый день»`, "('guten' <-> 'tag') & ('добрый' <-> 'день')", query{}},
		{`"never closed`, "('never' <-> 'closed')", query{}},
		{"hello -spam", "'hello':* & !('spam':*)", query{}},
		{`-"bad words" good`, "'good':* & !(('bad' <-> 'words'))", query{}},
		{"- -- ---", "", query{}},
		{"foo-bar", "('foo' <-> 'bar':*)", query{}},
		{"anna@example.com", "('anna' <-> 'example' <-> 'com':*)", query{}},
		{"http://example.com:80/x", "('http' <-> 'example' <-> 'com' <-> '80' <-> 'x':*)", query{}},
		{"12:30", "('12' <-> '30':*)", query{}},
		{"+7 912 345-67-89", "(('7' & '912':* & ('345' <-> '67' <-> '89':*)) | '79123456789':* | '89123456789':*)", query{}},
		{"Ёлка ሠላም", "'елка':* & 'ሰላም':*", query{}},
		{"! & | ( ) ' : * <->", "", query{}},
		{"it's", "('it' <-> 's':*)", query{}},
		{"from:me", "", query{from: []string{"me"}}},
		{`From:"Anna Lee" from:bob x`, "'x':*", query{from: []string{"Anna Lee", "bob"}}},
		{"channel:telegram in:sales team:Support", "", query{channels: []string{"telegram"}, teams: []string{"sales", "Support"}}},
		{"has:photo HAS:Link", "'has:photo' & 'has:link'", query{has: []string{"photo", "link"}}},
		{"has:", "", query{}},
		{"before:2026-05-01 after:2025", "", query{before: day(2026, 5, 1), after: day(2025, 1, 1)}},
		{"after:2026-02", "", query{after: day(2026, 2, 1)}},
		{"after:7d before:today", "", query{before: day(2026, 5, 31), after: day(2026, 5, 24)}},
		{"after:yesterday after:1y", "", query{after: day(2026, 5, 30)}},
		{"after:2w", "", query{after: day(2026, 5, 17)}},
		{"unknown:filter", "('unknown' <-> 'filter':*)", query{}},
		{"-from:me", "!(('from' <-> 'me':*))", query{}},
	} {
		got, err := parseQuery(tc.text, time.UTC, noon)
		if err != nil {
			t.Errorf("%q: %v", tc.text, err)
			continue
		}
		if d := cmp.Diff(tc.ts, got.tsquery(nil)); d != "" {
			t.Errorf("%q: %s", tc.text, d)
		}
		got.terms = nil
		if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(query{}, term{})); d != "" {
			t.Errorf("%q: %s", tc.text, d)
		}
	}
	addis, err := time.LoadLocation("Africa/Addis_Ababa")
	if err != nil {
		t.Fatal(err)
	}
	q, err := parseQuery("after:today", addis, time.Date(2026, 5, 31, 22, 0, 0, 0, time.UTC))
	if want := time.Date(2026, 5, 31, 21, 0, 0, 0, time.UTC); err != nil || !q.after.Equal(want) {
		t.Errorf("today in Addis Ababa begins at %v, %v; want %v", q.after.UTC(), err, want)
	}
	for _, bad := range []string{
		strings.Repeat("x", maxQuery+1), "has:sound", "before:soon", "after:2026-13-01", "after:99999d", "a\x00b", "\xff", "after:d", "after:-7d",
		strings.Repeat("from:a ", maxFilters+1), "a b c d e f g h i j k l m n o p q",
	} {
		if _, err := parseQuery(bad, time.UTC, noon); !errs.Is(err, errs.Invalid) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

// FuzzParseQuery: whatever is typed, the question is one that the database understands.
func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{
		`two "exact words" -no from:me has:photo after:7d`, "+7 912 345-67-89", "from:'); drop table message; --", `\' & ! ( <-> :*`, "-", `"`, "ሰላም፡ዓለም ёж",
		"a:b:c", "from:\"", "8 (912) 3456789 -8", "\u0301\u0302", "ᾳ ǆ ß İ",
	} {
		f.Add(s)
	}
	tx := dbtest.Tx(f)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parseQuery(s, time.UTC, noon)
		if err != nil {
			return
		}
		if !utf8.ValidString(s) {
			t.Fatalf("%q passed", s)
		}
		ts := q.tsquery([]string{markOfAgent(1)})
		var nodes int
		if err := tx.QueryRow(t.Context(), `SELECT numnode($1::text::tsquery)`, ts).Scan(&nodes); err != nil {
			t.Fatalf("%q became %q: %v", s, ts, err)
		}
		if nodes == 0 {
			t.Fatalf("%q became %q, which asks for nothing", s, ts)
		}
		for _, p := range q.patterns() {
			if len(p) < 3 {
				t.Fatalf("%q: a pattern %q that fits everything", s, p)
			}
		}
	})
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	show := func(pieces []Piece) string {
		var b strings.Builder
		for _, p := range pieces {
			if p.Hit {
				b.WriteString("[" + p.Text + "]")
			} else {
				b.WriteString(p.Text)
			}
		}
		return b.String()
	}
	for _, tc := range []struct{ ask, text, want string }{
		{"seat", "Do you have forty SEATS?", "Do you have forty [SEATS]?"},
		{`"forty seats"`, "forty of forty seats, seats", "forty of [forty seats], seats"},
		{"елка", "Ёлка, ёлки", "[Ёлка], ёлки"},
		{"ሰላም", "ሠላም፡ዓለም", "[ሠላም]፡ዓለም"},
		{"cafe", "Au cafe\u0301", "Au [cafe\u0301]"},
		{"+79123456789", "Call 8 (912) 345-67-89 or +7 912 3456789.", "Call [8 (912) 345-67-89] or +[7 912 3456789]."},
		{"345", "8 (912) 345-67-89", "8 (912) [345]-67-89"},
		{"nothing", "there is none", "there is none"},
		{"-seat forty", "forty seats", "[forty] seats"},
		{"<b>", "a <b>b</b>\nc", "a <[b]>[b]</[b]> c"},
		{"x", "", ""},
	} {
		q, err := parseQuery(tc.ask, time.UTC, noon)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, show(excerpt(tc.text, q.wanted(), q.numbers()))); d != "" {
			t.Errorf("%q in %q: %s", tc.ask, tc.text, d)
		}
	}
	q, err := parseQuery("needle", time.UTC, noon)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("hay ", 500) + "needle" + strings.Repeat(" hay", 500)
	got := show(excerpt(long, q.wanted(), nil))
	if !strings.Contains(got, "hay [needle] hay") || !strings.HasPrefix(got, "…hay ") || !strings.HasSuffix(got, "…") || utf8.RuneCountInString(got) > excerptText+4 {
		t.Errorf("a long text is shown as %q", got)
	}
	for name, want := range map[string]string{"Договор Ёлка.PDF": "Договор [Ёлка].PDF", "елка ЁЛКА": "[елка] [ЁЛКА]"} {
		if d := cmp.Diff(want, show(markPieces(name, []string{folded("ёлка")}))); d != "" {
			t.Error(d)
		}
	}
	if d := cmp.Diff("+7 [912-345] 6789", show(markDigits("+7 912-345 6789", []string{"912345"}))); d != "" {
		t.Error(d)
	}
}
