package inbox

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func TestErasedPersonLeavesNoWords(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Admin, staff.ScopeAll)
	p, other := o.person("Sara", "telegram", "secret5"), o.stranger()
	id, kept := o.openWith(p, Open, 0, 0), o.openWith(other, Open, 0, 0)
	k := o.hear(id, "secret word")
	o.hear(kept, "hello")
	o.exec(`INSERT INTO message_raw VALUES ($1, $2, 'secret')`, k.At, k.ID)
	o.exec(`INSERT INTO message_revision (message_at, message_id, no, text) VALUES ($1, $2, 1, 'secret')`, k.At, k.ID)
	o.exec(`INSERT INTO attachment (id, message_at, message_id, name) VALUES ($3, $1, $2, 'secret.pdf')`, k.At, k.ID, uuid.Must(uuid.NewV7()))
	o.exec(`UPDATE conversation SET last_text = 'secret word', subject = 'secret', chat = 'secret5' WHERE id = $1`, int64(id))
	o.exec(`INSERT INTO outbox (client_id, channel_id, conversation_id, message_at, message_id, args) VALUES ($1, $2, $3, $4, $5, '{"text":"secret"}')`,
		uuid.Must(uuid.NewV7()), o.channel, int64(id), k.At, k.ID)
	people := crm.New(o.pool, o.bus, slog.New(slog.DiscardHandler), MergeFollower{})
	if err := people.EraseContact(o.ctx, events.System, p.contact); err != nil {
		t.Fatal(err)
	}
	rows, err := o.pool.Query(o.ctx, `SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
	AND NOT relispartition AND relname NOT IN ('event', 'quarantine')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	for _, name := range tables {
		if n := o.id(`SELECT count(*) FROM ` + name + ` x WHERE x::text LIKE '%secret%'`); n > 0 {
			t.Errorf("%d rows of %s still hold words", n, name)
		}
	}
	if n := o.id(`SELECT count(*) FROM message_raw`) + o.id(`SELECT count(*) FROM attachment`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	c := o.get(a, id)
	if c.Status != Closed || c.InCount != 1 || c.Contact.Name != "Erased" {
		t.Errorf("conversation %+v", c)
	}
	tl, err := o.ContactTimeline(o.ctx, a, ids.ID(p.contact), TimelineQuery{})
	if err != nil || len(tl.Items) != 1 || tl.Items[0].DeletedAt == nil || strings.Contains(tl.Items[0].Text, "secret") {
		t.Errorf("timeline %+v, %v", tl.Items, err)
	}
	if got := o.get(a, kept); got.Status != Open || got.LastText != "hello" {
		t.Errorf("somebody else's conversation %+v", got)
	}
	if n := len(o.spine(EventConversationUpdated, id)); n != 1 {
		t.Errorf("%d events", n)
	}
	if err := people.EraseContact(o.ctx, events.System, 1<<40); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}
