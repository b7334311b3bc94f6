package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/events"
)

// way is a running way in with one channel.
type way struct {
	*Ingester
	t       *testing.T
	pool    *pgxpool.Pool
	people  *crm.Service
	channel int64
}

func newWay(t *testing.T) *way {
	t.Helper()
	pool := dbtest.DB(t)
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Embedded(log)
	if err != nil {
		t.Fatal(err)
	}
	people := crm.New(pool, b, log, MergeFollower{})
	w := &way{Ingester: NewIngester(pool, people, b, clock.System, log, IngestConfig{}), t: t, pool: pool, people: people}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; b.Close() })
	if err := pool.QueryRow(ctx, `INSERT INTO channel (kind, name) VALUES ('telegram', 'Bot') RETURNING id`).Scan(&w.channel); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *way) in(evs ...channels.Inbound) error {
	return w.Ingest(context.Background(), w.channel, 0, channels.Batch{Events: evs})
}

func (w *way) must(evs ...channels.Inbound) {
	w.t.Helper()
	if err := w.in(evs...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *way) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *way) want(want int, sql string, args ...any) {
	w.t.Helper()
	if got := w.count(sql, args...); got != want {
		w.t.Errorf("got %d, want %d: %s", got, want, sql)
	}
}

func writes(who, no string, text string) channels.Inbound {
	return channels.Inbound{
		Kind: channels.Message, EventKey: "u" + who + "." + no, ProviderID: who + ":" + no, Chat: who, Direction: channels.In, Content: "text", Text: text,
		Sender: channels.Person{Identities: []channels.Identity{{Kind: crm.KindTelegram, Value: who}}, Name: "Person " + who}, At: time.Now(),
	}
}

func TestStrangerBecomesContactLeadAndConversation(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	first := writes("7", "1", "Hello")
	first.Attribution = map[string]string{"start": "autumn"}
	w.must(first)
	w.must(writes("7", "2", "Anybody there?"))
	w.want(1, `SELECT count(*) FROM contact WHERE name = 'Person 7' AND attribution->>'start' = 'autumn'`)
	w.want(1, `SELECT count(*) FROM lead WHERE closed_at IS NULL AND source = 'telegram'`)
	w.want(1, `SELECT count(*) FROM conversation WHERE status = 'open' AND in_count = 2 AND last_text = 'Anybody there?' AND waiting_since IS NOT NULL AND queued_at IS NOT NULL`)
	w.want(2, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(1, `SELECT count(*) FROM message WHERE kind = 'event' AND data->>'event' = 'contact' AND data ? 'lead_id'`)
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'contact.created'`)
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'lead.created'`)
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'conversation.created'`)
	w.want(0, `SELECT count(*) FROM event WHERE kind = 'conversation.updated'`)
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'message.created' AND (payload->'conversation'->>'in_count')::int = 2`)
	w.want(2, `SELECT count(*) FROM event WHERE kind = 'message.created' AND payload->>'kind' = 'message' AND payload->>'conversation_id' IS NOT NULL`)
}

// The event's item and the one that is read later must be the same.
func TestEventCarriesTheItemThatIsRead(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	w.must(writes("7", "1", "Question"))
	in := writes("7", "2", "See the picture")
	in.ReplyTo, in.Content = "7:1", "photo"
	in.Media = []channels.Media{{Kind: "photo", Ref: json.RawMessage(`{"file_id":"x"}`), Name: "a.jpg", Type: "image/jpeg", Size: 10, Width: 3, Height: 4}}
	w.must(in)
	rows, err := w.pool.Query(context.Background(), `SELECT payload FROM event WHERE kind = 'message.created'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			t.Fatal(err)
		}
		var it Item
		if err := json.Unmarshal(raw, &it); err != nil {
			t.Fatal(err)
		}
		read, err := loadItems(context.Background(), w.pool, []MessageKey{{it.At, it.ID}})
		if err != nil || len(read) != 1 {
			t.Fatalf("load: %v, %d items", err, len(read))
		}
		a, _ := json.Marshal(it)
		b, _ := json.Marshal(read[0])
		var am, bm map[string]any
		if json.Unmarshal(a, &am) != nil || json.Unmarshal(b, &bm) != nil {
			t.Fatal("not JSON")
		}
		for k := range am {
			if fmt.Sprint(am[k]) != fmt.Sprint(bm[k]) {
				t.Errorf("%s: event says %v, table says %v", k, am[k], bm[k])
			}
		}
		n++
	}
	if n != 3 {
		t.Errorf("got %d message events, want 3", n)
	}
}

func TestEveryDeliveryCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	const people, each = 40, 8
	var wg sync.WaitGroup
	for p := range people {
		for i := range each {
			for range 2 {
				wg.Go(func() {
					if err := w.in(writes(fmt.Sprint(100+p), fmt.Sprint(i), "hi")); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	wg.Wait()
	w.want(people, `SELECT count(*) FROM contact`)
	w.want(people, `SELECT count(*) FROM lead`)
	w.want(people, `SELECT count(*) FROM conversation`)
	w.want(people*each, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(people*each, `SELECT sum(in_count) FROM conversation`)
}

// CRM 4.3: per person number-only, id-only and linked events, each delivered twice, all at once.
func TestMixedIdentitiesEndAsOnePerson(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	const people = 50
	for p := range people {
		id := channels.Identity{Kind: crm.KindTelegram, Value: fmt.Sprint(500 + p)}
		nr := channels.Identity{Kind: crm.KindPhone, Value: fmt.Sprintf("+7912%07d", p)}
		var wg sync.WaitGroup
		for i := range 8 {
			in := writes(fmt.Sprint(500+p), fmt.Sprint(i), "hi")
			in.Sender.Identities = [][]channels.Identity{{nr}, {nr}, {nr}, {id}, {id}, {id}, {id, nr}, {nr, id}}[i]
			for range 2 {
				wg.Go(func() {
					if err := w.in(in); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
	}
	w.want(people, `SELECT count(*) FROM contact WHERE merged_into IS NULL`)
	w.want(people, `SELECT count(*) FROM lead WHERE closed_at IS NULL`)
	w.want(people*8, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(people, `SELECT count(*) FROM conversation WHERE status <> 'closed'`)
	w.want(0, `SELECT count(*) FROM conversation c JOIN contact p ON p.id = c.contact_id WHERE p.merged_into IS NOT NULL`)
}

func TestClosedConversationOpensAgainOrIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	ctx := context.Background()
	w.must(writes("7", "1", "Hello"))
	if _, err := w.pool.Exec(ctx, `UPDATE conversation SET status = 'closed', closed_at = now() - interval '3 days', queued_at = NULL`); err != nil {
		t.Fatal(err)
	}
	w.must(writes("7", "2", "Me again"))
	w.want(1, `SELECT count(*) FROM conversation WHERE status = 'open'`)
	w.want(1, `SELECT count(*) FROM conversation`)
	if _, err := w.pool.Exec(ctx, `UPDATE conversation SET status = 'closed', closed_at = now() - interval '8 days'`); err != nil {
		t.Fatal(err)
	}
	w.must(writes("7", "3", "And again"))
	w.want(1, `SELECT count(*) FROM conversation n JOIN conversation o ON o.id = n.previous_id WHERE n.status = 'open' AND o.status = 'closed' AND n.number > o.number`)
}

func TestEditsReactionsAndDeletionsFindTheirMessage(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	w.must(writes("7", "1", "Helo"))
	edit := writes("7", "1e", "Hello")
	edit.Kind, edit.ProviderID, edit.TargetID = channels.Edit, "", "7:1"
	react := writes("7", "1r", "")
	react.Kind, react.ProviderID, react.TargetID, react.Emojis = channels.Reaction, "", "7:1", []string{"👍", "🔥"}
	fewer := writes("7", "1s", "")
	fewer.Kind, fewer.ProviderID, fewer.TargetID, fewer.Emojis = channels.Reaction, "", "7:1", []string{"🔥"}
	w.must(edit, react)
	w.want(2, `SELECT count(*) FROM reaction`)
	w.must(fewer)
	w.want(1, `SELECT count(*) FROM reaction WHERE emoji = '🔥'`)
	w.want(1, `SELECT count(*) FROM message WHERE text = 'Hello' AND edited_at IS NOT NULL`)
	w.want(1, `SELECT count(*) FROM message_revision WHERE text = 'Helo'`)
	w.want(1, `SELECT count(*) FROM conversation WHERE last_text = 'Hello'`)
	gone := writes("7", "1d", "")
	gone.Kind, gone.ProviderID, gone.TargetID = channels.Revoke, "", "7:1"
	w.must(gone)
	w.want(1, `SELECT count(*) FROM message WHERE deleted_at IS NOT NULL`)
	unseen := writes("7", "9e", "edited before we ever saw it")
	unseen.Kind, unseen.ProviderID, unseen.TargetID = channels.Edit, "", "7:9"
	w.must(unseen)
	w.want(1, `SELECT count(*) FROM message WHERE text = 'edited before we ever saw it'`)
}

func TestAnEditBringsItsFilesOnce(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	picture := func(id, ref string) channels.Media {
		return channels.Media{Kind: "photo", Ref: json.RawMessage(ref), Name: id + ".jpg", Type: "image/jpeg", Size: 10}
	}
	first := writes("7", "1", "The old plan")
	first.Media = []channels.Media{picture("old", `{"file_id":"x1","unique":"old"}`)}
	w.must(first)
	edit := func(key, text string, m ...channels.Media) {
		e := writes("7", key, text)
		e.Kind, e.ProviderID, e.TargetID, e.Media = channels.Edit, "", "7:1", m
		w.must(e)
	}
	edit("e1", "The new plan", picture("old", `{"file_id":"x2","unique":"old"}`))
	w.want(1, `SELECT count(*) FROM attachment`)
	edit("e2", "The new plan", picture("new", `{"file_id":"y","unique":"new"}`))
	w.want(2, `SELECT count(*) FROM attachment WHERE state = 'pending'`)
	w.want(1, `SELECT count(*) FROM attachment WHERE name = 'new.jpg' AND position = 1`)
	w.want(1, `SELECT count(*) FROM message WHERE version = 3 AND edited_at IS NOT NULL`)
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'message.updated' AND payload->>'text' = 'The new plan' AND json_array_length(payload->'attachments') = 2`)
}

func TestHostileTextIsStoredAndBounded(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	bad := []string{
		"a\x00b", "\xff\xfe\xfd", strings.Repeat("x", 3<<20), strings.Repeat("\n", 1_000_000), "\u202Eevil", "<script>alert(1)</script>", "'; DROP TABLE message; --",
		strings.Repeat("𝕏", 50_000), "ሰላም", "\ufffe\uffff",
	}
	for i, text := range bad {
		in := writes("7", fmt.Sprint(i), text)
		in.Sender.Name, in.Sender.Username, in.Subject, in.HTML = text, text, text, text
		in.Data, in.ChatData = json.RawMessage(`{"x":"\u0000"}`), json.RawMessage(`nonsense`)
		w.must(in)
	}
	w.want(len(bad), `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(0, `SELECT count(*) FROM quarantine`)
	w.want(0, `SELECT count(*) FROM message WHERE length(text) > 1048576`)
}

func TestPoisonIsSetAsideAndHurtsOnlyItself(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	if _, err := w.pool.Exec(context.Background(), `ALTER TABLE message ADD CONSTRAINT no_poison CHECK (text <> 'poison')`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := w.pool.Exec(context.Background(), `ALTER TABLE message DROP CONSTRAINT IF EXISTS no_poison`); err != nil {
			t.Error(err)
		}
	})
	err := w.Ingest(context.Background(), w.channel, 0, channels.Batch{
		Events: []channels.Inbound{writes("1", "1", "fine"), writes("2", "1", "poison"), writes("3", "1", "fine too")},
		Cursor: &channels.Cursor{Name: "update_id", Value: "3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.want(2, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(1, `SELECT count(*) FROM quarantine WHERE event_key = 'u2.1'`)
	w.want(1, `SELECT count(*) FROM channel_cursor WHERE value = '3'`)
	if _, err := w.pool.Exec(context.Background(), `ALTER TABLE message DROP CONSTRAINT no_poison`); err != nil {
		t.Fatal(err)
	}
	if err := w.Retry(context.Background(), w.channel, int64(w.count(`SELECT id FROM quarantine`))); err != nil {
		t.Fatal(err)
	}
	w.want(3, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(0, `SELECT count(*) FROM quarantine WHERE resolved_at IS NULL`)
}

func TestMergeMovesConversationsAndUndoPutsThemBack(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	ctx := context.Background()
	w.must(writes("1", "1", "from one"))
	w.must(writes("2", "1", "from two"))
	ids := []int64{int64(w.count(`SELECT min(id) FROM contact`)), int64(w.count(`SELECT max(id) FROM contact`))}
	by := events.Actor{Kind: "agent", ID: 1}
	m, err := w.people.Merge(ctx, by, ids[0], ids[1:])
	if err != nil {
		t.Fatal(err)
	}
	w.want(2, `SELECT count(*) FROM conversation WHERE contact_id = $1`, ids[0])
	w.want(1, `SELECT count(*) FROM conversation WHERE status <> 'closed'`)
	w.want(1, `SELECT count(*) FROM conversation WHERE merged_into IS NOT NULL`)
	w.must(writes("2", "2", "after the merge"))
	w.want(2, `SELECT count(*) FROM message WHERE conversation_id = (SELECT id FROM conversation WHERE status <> 'closed') AND kind = 'message'`)
	if _, err := w.people.Undo(ctx, by, m.Merges[0]); err != nil {
		t.Fatal(err)
	}
	w.want(2, `SELECT count(*) FROM conversation WHERE status <> 'closed'`)
	w.want(1, `SELECT count(*) FROM conversation WHERE contact_id = $1 AND chat = '1' AND message_count = 2`, ids[0])
	w.want(1, `SELECT count(*) FROM conversation WHERE contact_id = $1 AND chat = '2' AND in_count = 2`, ids[1])
	w.want(1, `SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE m.text = 'after the merge' AND c.contact_id = $1`, ids[1])
}

func TestHistoryAsksNothingOfAnybody(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	old := writes("7", "1", "long ago")
	old.History, old.At = true, time.Now().AddDate(-2, 0, 0)
	w.must(old)
	w.want(0, `SELECT count(*) FROM lead`)
	w.want(1, `SELECT count(*) FROM conversation WHERE status = 'closed' AND in_count = 0 AND queued_at IS NULL`)
	w.want(1, `SELECT count(*) FROM message WHERE history AND at < now() - interval '1 year'`)
}

func TestGroupIsAContactWithParticipants(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	for i, who := range []string{"1", "2"} {
		in := writes(who, fmt.Sprint(i), "hello all")
		in.Chat = "-100"
		in.Group = &channels.Person{Identities: []channels.Identity{{Kind: crm.KindTelegram, Value: "-100"}}, Name: "The group"}
		w.must(in)
	}
	w.want(1, `SELECT count(*) FROM contact WHERE kind = 'group' AND name = 'The group'`)
	w.want(2, `SELECT count(*) FROM participant`)
	w.want(1, `SELECT count(*) FROM conversation`)
	w.want(0, `SELECT count(*) FROM lead`)
}
