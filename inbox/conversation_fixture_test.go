package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/testsignal"
	"github.com/parley-hub/parley/staff"
)

// quietBus drops hints: what these tests read stands in the database.
type quietBus struct{ hints atomic.Int64 }

func (b *quietBus) Publish(string, []byte) error { b.hints.Add(1); return nil }
func (b *quietBus) Subscribe(string, func(string, []byte)) (func(), error) {
	return func() {}, nil
}
func (b *quietBus) Close() {}

// office is a database with people and a channel, and the desk on it.
type office struct {
	*Desk
	t       testing.TB
	ctx     context.Context
	bus     *quietBus
	channel int64
	no      int
}

func newOffice(t testing.TB) *office { return officeOn(t, dbtest.DB(t)) }

func officeOn(t testing.TB, pool *pgxpool.Pool) *office {
	t.Helper()
	b := &quietBus{}
	o := &office{Desk: NewDesk(pool, b, slog.New(slog.DiscardHandler)), t: t, ctx: t.Context(), bus: b}
	o.channel = o.id(`INSERT INTO channel (kind, name) VALUES ('telegram', 'Bot') RETURNING id`)
	return o
}

// id runs a statement that returns one number.
func (o *office) id(sql string, args ...any) int64 {
	o.t.Helper()
	var id int64
	if err := o.pool.QueryRow(o.ctx, sql, args...).Scan(&id); err != nil {
		o.t.Fatalf("%v\n%s", err, sql)
	}
	return id
}

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.pool.Exec(o.ctx, sql, args...); err != nil {
		o.t.Fatalf("%v\n%s", err, sql)
	}
}

func (o *office) team() ids.ID {
	o.t.Helper()
	o.no++
	return ids.ID(o.id(`INSERT INTO team (name) VALUES ($1) RETURNING id`, fmt.Sprintf("Team %d", o.no)))
}

func (o *office) agent(role staff.Role, scope staff.Scope, teams ...ids.ID) staff.Access {
	o.t.Helper()
	o.no++
	a := staff.Access{Name: fmt.Sprintf("Agent %d", o.no), Role: role, Scope: scope, Teams: slices.Sorted(slices.Values(teams))}
	a.AgentID = ids.ID(o.id(`INSERT INTO agent (email, name, role, scope, password_hash) VALUES ($1, $2, $3, $4, 'x') RETURNING id`,
		fmt.Sprintf("agent%d@example.org", o.no), a.Name, role, scope))
	for _, t := range teams {
		o.exec(`INSERT INTO team_member (team_id, agent_id) VALUES ($1, $2)`, int64(t), int64(a.AgentID))
	}
	return a
}

// person is a contact with one identity.
type person struct{ contact, identity int64 }

func (o *office) person(name, kind, value string) person {
	o.t.Helper()
	var p person
	p.contact = o.id(`INSERT INTO contact (name) VALUES ($1) RETURNING id`, name)
	p.identity = o.id(`INSERT INTO identity (kind, value, contact_id) VALUES ($1, $2, $3) RETURNING id`, kind, value, p.contact)
	return p
}

func (o *office) stranger() person {
	o.t.Helper()
	o.no++
	return o.person(fmt.Sprintf("Person %d", o.no), "telegram", fmt.Sprint(1000+o.no))
}

// open opens a conversation with a stranger.
func (o *office) open(status Status, team, assignee ids.ID) ids.ID {
	o.t.Helper()
	return o.openWith(o.stranger(), status, team, assignee)
}

func (o *office) openWith(p person, status Status, team, assignee ids.ID) ids.ID {
	o.t.Helper()
	o.no++
	at := time.Now().Add(time.Duration(o.no-100_000) * time.Second).UTC().Truncate(time.Second)
	return ids.ID(o.id(`INSERT INTO conversation (channel_id, contact_id, identity_id, status, team_id, assignee_id, last_at, closed_at, snoozed_until, queued_at)
VALUES ($1, $2, $3, $4::text, nullif($5::bigint, 0), nullif($6::bigint, 0), $7, CASE WHEN $4 = 'closed' THEN now() END,
	CASE WHEN $4 = 'snoozed' THEN now() + interval '1 day' END, CASE WHEN $4 <> 'closed' AND $6 = 0 THEN now() END) RETURNING id`,
		o.channel, p.contact, p.identity, status, int64(team), int64(assignee), at))
}

// hear stores a customer's message the way ingest does: row and counters together.
func (o *office) hear(conversation ids.ID, text string) MessageKey {
	o.t.Helper()
	return o.hearAt(conversation, text, time.Now())
}

func (o *office) hearAt(conversation ids.ID, text string, at time.Time) MessageKey {
	o.t.Helper()
	k := MessageKey{At: at.UTC().Truncate(time.Microsecond), ID: uuid.Must(uuid.NewV7())}
	o.exec(`WITH c AS (UPDATE conversation SET in_count = in_count + 1, message_count = message_count + 1, version = version + 1,
	last_at = greatest(last_at, $2), last_text = $4 WHERE id = $1 RETURNING id, identity_id, in_count)
INSERT INTO message (at, id, conversation_id, identity_id, kind, direction, author_kind, text, status, in_no)
SELECT $2, $3, id, identity_id, 'message', 'in', 'contact', $4, 'received', in_count FROM c`, int64(conversation), k.At, k.ID, text)
	return k
}

// say stores an answer of an agent.
func (o *office) say(a staff.Access, conversation ids.ID, text string) MessageKey {
	o.t.Helper()
	k := MessageKey{At: time.Now().UTC().Truncate(time.Microsecond), ID: uuid.Must(uuid.NewV7())}
	o.exec(`INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, author_id, text, status)
VALUES ($1, $2, $3, 'message', 'out', 'agent', $4, $5, 'sent')`, k.At, k.ID, int64(conversation), int64(a.AgentID), text)
	return k
}

func (o *office) get(a staff.Access, id ids.ID) Conversation {
	o.t.Helper()
	c, err := o.Conversation(o.ctx, a, id)
	if err != nil {
		o.t.Fatalf("conversation %s: %v", id, err)
	}
	return c
}

// pages reads a whole list by pages of the given size.
func (o *office) pages(a staff.Access, q ListQuery, size int) []ids.ID {
	o.t.Helper()
	out := []ids.ID{}
	q.Limit = size
	for {
		items, next, err := o.Conversations(o.ctx, a, q)
		if err != nil {
			o.t.Fatalf("list %+v: %v", q, err)
		}
		for _, c := range items {
			out = append(out, c.ID)
		}
		if next == "" {
			return out
		}
		if len(items) != size {
			o.t.Fatalf("a page of %d with a next one has %d rows", size, len(items))
		}
		q.Cursor = next
	}
}

func wantCode(t testing.TB, err error, code errs.Code, what string) {
	t.Helper()
	if errs.CodeOf(err) != code {
		t.Errorf("%s: got %v, want code %q", what, err, code)
	}
}

func ptr[T any](v T) *T { return &v }

func asE(err error, e **errs.E) bool { return errors.As(err, e) }

func contextWithStop(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	return ctx, stop
}

func untilTrue(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testsignal.Until(t, what, ok)
}

// asEvents gives what the spine has as a tailer would.
func (o *office) asEvents(kind string, conversation ids.ID) []events.Event {
	o.t.Helper()
	var out []events.Event
	for _, r := range o.spine(kind, conversation) {
		out = append(out, events.Event{Kind: r.Kind, ConversationID: int64(conversation), Raw: r.Payload})
	}
	return out
}
