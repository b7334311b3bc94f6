package inbox

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func newExports(t *testing.T, o *office) (*Exports, *crm.Service) {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	people := crm.New(o.pool, o.bus, slog.New(slog.DiscardHandler), MergeFollower{})
	return NewExports(o.pool, o.bus, people, store, slog.New(slog.DiscardHandler)), people
}

func TestExportHoldsAllOfOnePerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	x, people := newExports(t, o)
	admin, other := o.agent(staff.Admin, staff.ScopeAll), o.agent(staff.Admin, staff.ScopeAll)
	p, stranger := o.person("Sara", "telegram", "5"), o.stranger()
	mine, theirs := o.openWith(p, Open, 0, 0), o.openWith(stranger, Open, 0, 0)
	k := o.hear(mine, "the first word")
	for range exportChunk + 3 { // more than a page
		o.hear(mine, "and more")
	}
	o.hear(theirs, "somebody else's word")
	o.exec(`INSERT INTO message_revision (message_at, message_id, no, text) VALUES ($1, $2, 1, 'as it was before')`, k.At, k.ID)
	key, _, err := x.store.Put(o.ctx, strings.NewReader("the bytes"), 100)
	if err != nil {
		t.Fatal(err)
	}
	o.exec(`INSERT INTO attachment (id, conversation_id, message_at, message_id, name, state, blob) VALUES ($1, $2, $3, $4, '../door.jpg', 'ok', $5), ($6, $2, $3, $4, 'lost.jpg', 'ok', repeat('0', 64))`,
		uuid.Must(uuid.NewV7()), int64(mine), k.At, k.ID, key, uuid.Must(uuid.NewV7()))

	e, err := x.Ask(o.ctx, admin, ids.ID(p.contact))
	if err != nil || e.State != "queued" || e.Contact.Name != "Sara" {
		t.Fatalf("asked: %+v, %v", e, err)
	}
	if _, err := x.Open(o.ctx, admin, e.ID); !errs.Is(err, errs.Unavailable) {
		t.Errorf("not ready: %v", err)
	}
	if err := x.make(o.ctx, int64(e.ID)); err != nil {
		t.Fatal(err)
	}
	list, err := x.List(o.ctx, admin)
	if err != nil || len(list) != 1 || list[0].State != "done" || list[0].Done != list[0].Total || list[0].Total != exportChunk+6 || list[0].Size == 0 {
		t.Fatalf("made: %+v, %v", list, err)
	}
	f, err := x.Open(o.ctx, admin, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(f)
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	inside := map[string]string{}
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := e.Name
		if strings.HasPrefix(name, "files/") {
			_, name, _ = strings.Cut(name, " ")
		}
		inside[name] = string(b)
	}
	var messages []map[string]any
	if err := json.Unmarshal([]byte(inside["messages.json"]), &messages); err != nil || len(messages) != exportChunk+4 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	if messages[0]["text"] != "the first word" || !strings.Contains(inside["messages.json"], "as it was before") {
		t.Errorf("the first is %v", messages[0])
	}
	if !strings.Contains(inside["contact.json"], `"Sara"`) || inside["door.jpg"] != "the bytes" || len(inside) != 3 {
		t.Errorf("inside: %d entries, %q", len(inside), inside["door.jpg"])
	}
	if strings.Contains(inside["messages.json"], "somebody else") {
		t.Error("somebody else's words are inside")
	}

	// Nobody else fetches it; who fetched it stands in the spine for the audit.
	if _, err := x.Open(o.ctx, other, e.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("a colleague fetched it: %v", err)
	}
	if _, err := x.Ask(o.ctx, o.agent(staff.Member, staff.ScopeAll), ids.ID(p.contact)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an agent exported: %v", err)
	}
	if n := o.id(`SELECT count(*) FROM event WHERE kind IN ('data.export_asked', 'data.export_fetched')`); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	// Erasing the person takes the export along, and one made too late finds nothing.
	second, err := x.Ask(o.ctx, admin, ids.ID(p.contact))
	if err != nil {
		t.Fatal(err)
	}
	if err := people.EraseContact(o.ctx, events.System, p.contact); err != nil {
		t.Fatal(err)
	}
	if err := x.make(o.ctx, int64(second.ID)); err != nil {
		t.Fatal(err)
	}
	if n := o.id(`SELECT count(*) FROM contact_export WHERE blob <> '' OR state <> 'expired'`); n != 0 {
		t.Errorf("%d exports outlived the person", n)
	}
}

func TestExportsExpire(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	x, _ := newExports(t, o)
	admin := o.agent(staff.Admin, staff.ScopeAll)
	e, err := x.Ask(o.ctx, admin, ids.ID(o.stranger().contact))
	if err != nil {
		t.Fatal(err)
	}
	if err := x.make(o.ctx, int64(e.ID)); err != nil {
		t.Fatal(err)
	}
	o.exec(expireExportSQL)
	if n := o.id(`SELECT count(*) FROM contact_export WHERE state = 'done'`); n != 1 {
		t.Error("it went before its time")
	}
	o.exec(`UPDATE contact_export SET expires_at = now() - interval '1 second'`)
	o.exec(expireExportSQL)
	if _, err := x.Open(o.ctx, admin, e.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("after its week: %v", err)
	}
	for range maxExports {
		if _, err := x.Ask(o.ctx, admin, e.Contact.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := x.Ask(o.ctx, admin, e.Contact.ID); !errs.Is(err, errs.TooMany) {
		t.Errorf("one more than allowed: %v", err)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	x, people := newExports(t, o)
	_ = x
	admin := o.agent(staff.Admin, staff.ScopeAll)
	keeper := NewKeeper(o.pool, o.bus)
	p, held := o.person("Sara", "telegram", "5"), o.person("Held", "telegram", "6")
	if _, err := people.SetHold(o.ctx, events.System, held.contact, true); err != nil {
		t.Fatal(err)
	}
	words := func(conversation ids.ID, age string, n int) {
		o.exec(`INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, text, status)
SELECT now() - $2::interval - n * interval '1 second', gen_random_uuid(), $1, 'message', 'in', 'contact', 'word ' || $2, 'received' FROM generate_series(1, $3::int) n`, int64(conversation), age, n)
	}
	mine, kept := o.openWith(p, Open, 0, 0), o.openWith(held, Open, 0, 0)
	words(mine, "40 days", keepChunk+5)
	words(mine, "20 days", 3)
	words(mine, "5 days", 2)
	words(kept, "40 days", 4)
	o.exec(`INSERT INTO message_raw SELECT at, id, 'raw' FROM message`)
	o.exec(`INSERT INTO attachment (id, conversation_id, message_at, message_id, name, state, blob) SELECT gen_random_uuid(), conversation_id, at, id, 'x.pdf', 'ok', repeat('a', 64) FROM message`)
	o.exec(`UPDATE conversation SET last_at = now() - interval '40 days', last_text = 'word' WHERE id = $1`, int64(kept))

	r := Retention{ChannelID: ids.ID(o.channel), Version: 1, MessageDays: 30, FileDays: 10, RawDays: 2}
	got, err := keeper.SetRetention(o.ctx, admin, r)
	if err != nil || got.MessageDays != 30 || got.Version != 2 {
		t.Fatalf("set %+v, %v", got, err)
	}
	if _, err := keeper.SetRetention(o.ctx, admin, r); !errs.Is(err, errs.Conflict) {
		t.Errorf("an old version: %v", err)
	}
	r.Version, r.RawDays = 2, -1
	if _, err := keeper.SetRetention(o.ctx, admin, r); !errs.Is(err, errs.Invalid) {
		t.Errorf("less than nothing: %v", err)
	}
	if _, err := keeper.Retention(o.ctx, admin, 1<<40); !errs.Is(err, errs.NotFound) {
		t.Errorf("no channel: %v", err)
	}
	if err := keeper.Sweep(o.ctx); err != nil {
		t.Fatal(err)
	}
	count := func(sql string) int64 { return o.id(`SELECT count(*) FROM ` + sql) }
	for sql, want := range map[string]int64{
		`message WHERE text <> ''`:                    3 + 2 + 4,
		`message`:                                     keepChunk + 5 + 3 + 2 + 4,
		`message_raw`:                                 4, // of the one who is held
		`attachment WHERE state = 'ok'`:               2 + 4,
		`attachment WHERE state = 'expired'`:          3,
		`conversation WHERE last_text <> ''`:          1,
		`message WHERE data ? 'kept_until'`:           keepChunk + 5,
		`event WHERE kind LIKE 'data.reten%'`:         1,
		`contact WHERE legal_hold`:                    1,
		`event WHERE kind = 'contact.hold'`:           1,
		`attachment WHERE blob = '' AND state = 'ok'`: 0,
	} {
		if got := count(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
	// A hold keeps from erasing by hand too, and goes along with a merge.
	if err := people.EraseContact(o.ctx, events.System, held.contact); !errs.Is(err, errs.Conflict) {
		t.Errorf("erased under hold: %v", err)
	}
	if _, err := people.Merge(o.ctx, events.System, p.contact, []int64{held.contact}); err != nil {
		t.Fatal(err)
	}
	if err := people.EraseContact(o.ctx, events.System, p.contact); !errs.Is(err, errs.Conflict) {
		t.Errorf("erased after a merge: %v", err)
	}
	if _, err := people.SetHold(o.ctx, events.System, held.contact, false); err != nil {
		t.Fatal(err)
	}
	o.exec(`UPDATE contact SET legal_hold = false`)
	if err := people.EraseContact(o.ctx, events.System, p.contact); err != nil {
		t.Errorf("after the hold: %v", err)
	}
}
