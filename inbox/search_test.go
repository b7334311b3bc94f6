package inbox

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// searcher is an office with a finder.
type searcher struct {
	*office
	*Finder
}

func newSearcher(t testing.TB) *searcher {
	t.Helper()
	o := newOffice(t)
	f, err := NewFinder(o.ctx, o.pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return &searcher{o, f}
}

// fill indexes what is there as it was before the index.
func (s *searcher) fill() {
	s.t.Helper()
	s.exec(`UPDATE search_fill SET at = DEFAULT, message_id = DEFAULT, done_at = NULL`)
	if err := FillSearch(s.ctx, s.office.pool, slog.New(slog.DiscardHandler)); err != nil {
		s.t.Fatal(err)
	}
}

// follow lets the follower see events of the messages.
func (s *searcher) follow(keys ...MessageKey) {
	s.t.Helper()
	var evs []events.Event
	for _, k := range keys {
		evs = append(evs, events.Event{Kind: EventMessageUpdated, SubjectKind: "message", SubjectID: k.ID.String(), Raw: fmt.Appendf(nil, `{"at": %q}`, k.At.Format(time.RFC3339Nano))})
	}
	if err := postgres.InTx(s.ctx, s.office.pool, func(tx pgx.Tx) error { return SearchFollower().Handle(s.ctx, tx, evs) }); err != nil {
		s.t.Fatal(err)
	}
}

func (s *searcher) find(a staff.Access, text string, kinds ...string) Found {
	s.t.Helper()
	out, err := s.Search(s.ctx, a, SearchQuery{Text: text, Kinds: kinds})
	if err != nil {
		s.t.Fatalf("search %q: %v", text, err)
	}
	return out
}

// texts are the found messages, hits in brackets, newest first.
func (s *searcher) texts(a staff.Access, text string) string {
	s.t.Helper()
	var out []string
	for _, m := range s.find(a, text, FindMessages).Messages.Items {
		out = append(out, bracketed(m.Text))
	}
	return strings.Join(out, " | ")
}

func bracketed(pieces []Piece) string {
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

func (s *searcher) file(k MessageKey, kind, name string) {
	s.t.Helper()
	s.exec(`INSERT INTO attachment (id, message_at, message_id, kind, name, size) VALUES ($1, $2, $3, $4, $5, 10)`, uuid.Must(uuid.NewV7()), k.At, k.ID, kind, name)
}

func TestSearchFindsWordsInThreeScripts(t *testing.T) {
	t.Parallel()
	s := newSearcher(t)
	boss := s.agent(staff.Admin, staff.ScopeAll)
	id := s.open(Open, 0, 0)
	base := time.Now().Add(-time.Hour)
	for i, text := range []string{
		"Do you have forty seats by the window?", "Сколько стоит ёлка?", "ሠላም፡ዓለም። እንዴት ነህ", "Write to anna@example.com or call 8 (912) 345-67-89",
		"Заказы готовы", "Forty-two invoices", "the window seat is taken",
	} {
		s.hearAt(id, text, base.Add(time.Duration(i)*time.Minute))
	}
	s.fill()
	for ask, want := range map[string]string{
		"seat":                "the window [seat] is taken | Do you have forty [seats] by the window?",
		"SEAT window":         "the [window] [seat] is taken | Do you have forty [seats] by the [window]?",
		`"window seat"`:       "the [window seat] is taken",
		"seat -taken":         "Do you have forty [seats] by the window?",
		"елка":                "Сколько стоит [ёлка]?",
		"Ёлк":                 "Сколько стоит [ёлка]?",
		"заказ":               "[Заказы] готовы",
		`"заказ"`:             "",
		"ሰላም":                 "[ሠላም]፡ዓለም። እንዴት ነህ",
		"አለም":                 "ሠላም፡[ዓለም]። እንዴት ነህ",
		"እን":                  "ሠላም፡ዓለም። [እንዴት] ነህ",
		"anna@example.com":    "Write to [anna@example.com] or call 8 (912) 345-67-89",
		"example":             "Write to anna@[example].com or call 8 (912) 345-67-89",
		"+79123456789":        "Write to anna@example.com or call [8 (912) 345-67-89]",
		"912 345":             "Write to anna@example.com or call 8 ([912]) [345]-67-89",
		"forty two":           "[Forty]-[two] invoices",
		"nowhere":             "",
		"from:me seat":        "",
		"before:2001-01-01 s": "",
	} {
		if d := cmp.Diff(want, s.texts(boss, ask)); d != "" {
			t.Errorf("%s: %s", ask, d)
		}
	}
}

func TestSearchFilters(t *testing.T) {
	t.Parallel()
	s := newSearcher(t)
	team := s.team()
	boss, other := s.agent(staff.Admin, staff.ScopeAll), s.agent(staff.Member, staff.ScopeAll)
	anna, bob := s.person("Anna Lee", "phone", "+79123456789"), s.person("Bob", "telegram", "77")
	ofAnna, ofBob := s.openWith(anna, Open, team, 0), s.openWith(bob, Closed, 0, 0)
	s.exec(`UPDATE conversation SET channel_id = (SELECT id FROM channel LIMIT 1) WHERE id = $1`, int64(ofBob))
	mail := s.id(`INSERT INTO channel (kind, name) VALUES ('email', 'Info desk') RETURNING id`)
	s.exec(`UPDATE conversation SET channel_id = $1 WHERE id = $2`, mail, int64(ofBob))
	base := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	a := s.hearAt(ofAnna, "order one", base)
	s.hearAt(ofBob, "order two https://example.org", base.AddDate(0, 1, 0))
	c := s.hearAt(ofAnna, "", base.AddDate(0, 2, 0))
	s.say(other, ofBob, "order shipped")
	s.say(boss, ofAnna, "order paid")
	s.file(a, "document", "Договор Ёлка № 12.pdf")
	s.file(c, "photo", "")
	s.file(c, "sticker", "smile.webp")
	s.fill()
	for ask, want := range map[string]string{
		"order":                   "[order] paid | [order] shipped | [order] two https://example.org | [order] one",
		"order from:anna":         "[order] one",
		`order from:"+7 912 345"`: "[order] one",
		"order from:me":           "[order] paid",
		"order from:bob from:me":  "[order] paid | [order] two https://example.org",
		"order from:nobody":       "",
		"order from:" + strings.ToLower(other.Name[:3]) + " channel:email": "[order] shipped",
		"channel:email":                         "order shipped | order two https://example.org",
		"channel:desk order -shipped":           "[order] two https://example.org",
		"channel:fax":                           "",
		"in:team order":                         "[order] paid | [order] one",
		"in:nowhere order":                      "",
		"has:link":                              "order two https://example.org",
		"has:file":                              " | order one",
		"has:photo":                             "",
		"has:voice":                             "",
		"order after:2026-04-10 before:2026-05": "[order] two https://example.org",
		"order before:2026-03-10":               "",
		"order before:2026-03-11":               "[order] one",
		"":                                      "",
		"-order":                                "",
	} {
		if d := cmp.Diff(want, s.texts(boss, ask)); d != "" {
			t.Errorf("%s: %s", ask, d)
		}
	}
	if got := s.find(boss, "has:photo", FindMessages).Messages.Items; len(got) != 1 || got[0].ID != c.ID {
		t.Errorf("has:photo finds %+v", got)
	}
	for ask, want := range map[string]string{
		"елка":              "Договор [Ёлка] № 12.pdf",
		"говор":             "До[говор] Ёлка № 12.pdf",
		"№ pdf":             "Договор Ёлка № 12.[pdf]",
		"12.p":              "Договор Ёлка № [12.p]df",
		"pdf from:anna":     "Договор Ёлка № 12.[pdf]",
		"pdf from:bob":      "",
		"smile":             "[smile].webp",
		"100%":              "",
		"has:file до":       "[До]говор Ёлка № 12.pdf",
		"pdf after:2026-04": "",
		"order":             "",
		"pdf channel:email": "",
	} {
		var got []string
		for _, f := range s.find(boss, ask, FindFiles).Files.Items {
			got = append(got, bracketed(f.Name))
		}
		if d := cmp.Diff(want, strings.Join(got, " | ")); d != "" {
			t.Errorf("files, %s: %s", ask, d)
		}
	}
	people := func(ask string) string {
		var got []string
		for _, p := range s.find(boss, ask, FindPeople).People.Items {
			got = append(got, fmt.Sprintf("%s %s %s", bracketed(p.Name), bracketed(p.Address), p.ConversationID))
		}
		return strings.Join(got, " | ")
	}
	for ask, want := range map[string]string{
		"nna":         "A[nna] Lee +79123456789 " + ofAnna.String(),
		"345-67":      "Anna Lee +7912[34567]89 " + ofAnna.String(),
		"8 (912) 345": "Anna Lee +7[912345]6789 " + ofAnna.String(),
		"nna from:me": "",
		"zz":          "",
	} {
		if d := cmp.Diff(want, people(ask)); d != "" {
			t.Errorf("people, %s: %s", ask, d)
		}
	}
}

// TestSearchShowsWhatTheScopeCovers: for every kind of caller, exactly his messages and files are found, page by page,
// and no person leads to a conversation that he may not see.
func TestSearchShowsWhatTheScopeCovers(t *testing.T) {
	t.Parallel()
	z := newZoo(t)
	s := &searcher{office: z.office}
	var err error
	if s.Finder, err = NewFinder(z.ctx, z.office.pool); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Finder.Close)
	for _, k := range z.message {
		s.file(k, "document", "scan.pdf")
	}
	s.fill()
	for name, a := range z.agents {
		want := z.want(a, func(Conversation) bool { return true })
		for _, tc := range []struct {
			kind, ask string
		}{{FindMessages, "hello"}, {FindMessages, "has:file"}, {FindMessages, "hel -bye"}, {FindFiles, "scan"}, {FindFiles, "has:file s"}} {
			for _, size := range []int{7, 50} {
				got := s.all(a, SearchQuery{Text: tc.ask, Kinds: []string{tc.kind}, Limit: size})
				slices.Sort(got)
				if d := cmp.Diff(slices.Sorted(slices.Values(want)), got); d != "" {
					t.Errorf("%s, %s %q by %d: (-want +got)\n%s", name, tc.kind, tc.ask, size, d)
				}
			}
		}
		got := s.all(a, SearchQuery{Text: "person", Kinds: []string{FindPeople}, Limit: 50})
		if people := len(z.rows); len(got) != people {
			t.Errorf("%s finds %d people of %d", name, len(got), people)
		}
		for _, id := range got {
			if id != 0 && !slices.Contains(want, id) {
				t.Errorf("%s: a person leads to conversation %s", name, id)
			}
		}
	}
}

// all reads every page of one kind and returns the conversations, 0 for a person without one.
func (s *searcher) all(a staff.Access, q SearchQuery) []ids.ID {
	s.t.Helper()
	out := []ids.ID{}
	for {
		found, err := s.Search(s.ctx, a, q)
		if err != nil {
			s.t.Fatal(err)
		}
		var next *string
		switch q.Kinds[0] {
		case FindMessages:
			next = found.Messages.NextCursor
			for _, m := range found.Messages.Items {
				out = append(out, m.ConversationID)
			}
		case FindFiles:
			next = found.Files.NextCursor
			for _, m := range found.Files.Items {
				out = append(out, m.ConversationID)
			}
		case FindPeople:
			next = found.People.NextCursor
			for _, p := range found.People.Items {
				out = append(out, ids.Of(p.ConversationID))
			}
		}
		if next == nil {
			return out
		}
		q.Cursor = *next
	}
}

func TestSearchFollowsEditsAndDeletions(t *testing.T) {
	t.Parallel()
	s := newSearcher(t)
	boss := s.agent(staff.Admin, staff.ScopeAll)
	p := s.stranger()
	id := s.openWith(p, Open, 0, 0)
	k, other := s.hear(id, "pineapple"), s.hear(id, "pineapple too")
	s.follow(k, other, k)
	if got := s.texts(boss, "pineapple"); got != "[pineapple] too | [pineapple]" {
		t.Errorf("found %q", got)
	}
	s.exec(`UPDATE message SET text = 'mango' WHERE id = $1`, k.ID)
	s.follow(k)
	if got := s.texts(boss, "pineapple"); got != "[pineapple] too" {
		t.Errorf("after the edit: %q", got)
	}
	if got := s.texts(boss, "mango"); got != "[mango]" {
		t.Errorf("the new text: %q", got)
	}
	s.exec(`UPDATE message SET deleted_at = now() WHERE id = $1`, k.ID)
	if got := s.texts(boss, "mango"); got != "" {
		t.Errorf("deleted, not yet followed: %q", got)
	}
	s.follow(k)
	if n := s.id(`SELECT count(*) FROM message_search WHERE message_id = $1`, k.ID); n != 0 {
		t.Error("a deleted message is still in the index")
	}
	s.exec(`INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, text, status) VALUES (now(), gen_random_uuid(), $1, 'event', 'in', 'system', 'pineapple', 'received')`, int64(id))
	s.fill()
	if got := s.texts(boss, "pineapple"); got != "[pineapple] too" {
		t.Errorf("a system line is found: %q", got)
	}
	before := s.id(`SELECT count(*) FROM message_search`)
	err := postgres.InTx(s.ctx, s.office.pool, func(tx pgx.Tx) error { return MergeFollower{}.Erase(s.ctx, tx, boss.Actor(), []int64{p.contact}) })
	if err != nil {
		t.Fatal(err)
	}
	if n := s.id(`SELECT count(*) FROM message_search`); before == 0 || n != 0 {
		t.Errorf("the index had %d rows and has %d after the erasure", before, n)
	}
	s.follow(other)
	s.fill()
	if n := s.id(`SELECT count(*) FROM message_search`); n != 0 {
		t.Errorf("the erased came back: %d rows", n)
	}
}

func TestSearchRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newSearcher(t)
	a := s.agent(staff.Member, staff.ScopeOwn)
	for field, q := range map[string]SearchQuery{
		"query.q":      {Text: "has:gold"},
		"query.limit":  {Text: "x", Limit: 51},
		"query.kinds":  {Text: "x", Kinds: []string{"houses"}},
		"query.cursor": {Text: "x", Kinds: []string{FindMessages}, Cursor: "AAAA"},
		"query.zone":   {Text: "x", Zone: "Moon/Base"},
	} {
		_, err := s.Search(s.ctx, a, q)
		var e *errs.E
		if !asE(err, &e) || e.Code != errs.Invalid || e.Field != field {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := s.Search(s.ctx, a, SearchQuery{Text: "x", Cursor: spot{noon, uuid.Nil}.String()}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a cursor without its kind: %v", err)
	}
	for _, p := range []spot{{noon, uuid.Must(uuid.NewV7())}, {time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), uuid.Nil}, {end().at, uuid.Max}} {
		if got, err := parseSpot(p.String()); err != nil || got != p {
			t.Errorf("%v became %v, %v", p, got, err)
		}
	}
	if got := idIn(asUUID(1<<62 + 12345)); got != 1<<62+12345 {
		t.Errorf("a contact's id became %d", got)
	}
}

func errCode(err error) string {
	var e *errs.E
	if !asE(err, &e) {
		return ""
	}
	code, _ := e.Extra["code"].(string)
	return code
}
