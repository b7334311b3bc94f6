package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type quietBus struct{}

func (quietBus) Publish(string, []byte) error                           { return nil }
func (quietBus) Subscribe(string, func(string, []byte)) (func(), error) { return func() {}, nil }
func (quietBus) Close()                                                 {}

// office is a database with people, and the service on it.
type office struct {
	*Service
	t       testing.TB
	ctx     context.Context
	desk    *inbox.Desk
	looking map[[2]int64]bool
	seen    int64 // the last event that was followed
	no      int
}

func newOffice(t testing.TB) *office {
	t.Helper()
	pool := dbtest.DB(t)
	box, _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	o := &office{t: t, ctx: t.Context(), desk: inbox.NewDesk(pool, quietBus{}, log), looking: map[[2]int64]bool{}}
	guard := egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	o.Service = New(Config{
		BaseURL: "https://hub.example.org",
		Looking: func(agent, conversation int64) bool { return o.looking[[2]int64{agent, conversation}] },
	}, pool, quietBus{}, box, guard, log)
	o.exec(`INSERT INTO channel (id, kind, name) VALUES (1, 'telegram', 'Bot')`)
	return o
}

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.pool.Exec(o.ctx, sql, args...); err != nil {
		o.t.Fatalf("%v\n%s", err, sql)
	}
}

func (o *office) id(sql string, args ...any) int64 {
	o.t.Helper()
	var id int64
	if err := o.pool.QueryRow(o.ctx, sql, args...).Scan(&id); err != nil {
		o.t.Fatalf("%v\n%s", err, sql)
	}
	return id
}

// hire makes somebody who is at work.
func (o *office) hire(scope staff.Scope, teams ...ids.ID) staff.Access {
	o.t.Helper()
	o.no++
	a := staff.Access{Name: fmt.Sprintf("Agent %d", o.no), Role: staff.Member, Scope: scope, Teams: teams}
	a.AgentID = ids.ID(o.id(`INSERT INTO agent (email, name, role, scope, password_hash) VALUES ($1, $2, 'agent', $3, 'x') RETURNING id`,
		fmt.Sprintf("a%d@example.org", o.no), a.Name, scope))
	for _, t := range teams {
		o.exec(`INSERT INTO team_member (team_id, agent_id) VALUES ($1, $2)`, int64(t), int64(a.AgentID))
	}
	o.exec(`INSERT INTO agent_status (agent_id, status) VALUES ($1, 'online')`, int64(a.AgentID))
	a.SessionID = ids.ID(o.id(`INSERT INTO session (token_hash, agent_id, expires_at) VALUES ($1, $2, now() + interval '1 day') RETURNING id`,
		[]byte(a.Name), int64(a.AgentID)))
	return a
}

func (o *office) team() ids.ID {
	o.t.Helper()
	o.no++
	return ids.ID(o.id(`INSERT INTO team (name) VALUES ($1) RETURNING id`, fmt.Sprintf("Team %d", o.no)))
}

func (o *office) open(team, assignee ids.ID) ids.ID {
	o.t.Helper()
	o.no++
	contact := o.id(`INSERT INTO contact (name) VALUES ('Sara Bekele') RETURNING id`)
	identity := o.id(`INSERT INTO identity (kind, value, contact_id) VALUES ('telegram', $1, $2) RETURNING id`, fmt.Sprint(o.no), contact)
	return ids.ID(o.id(`INSERT INTO conversation (channel_id, contact_id, identity_id, team_id, assignee_id)
VALUES (1, $1, $2, nullif($3::bigint, 0), nullif($4::bigint, 0)) RETURNING id`, contact, identity, int64(team), int64(assignee)))
}

// hears has the customer write, as ingest tells it.
func (o *office) hears(conversation ids.ID, text string) {
	o.t.Helper()
	err := postgres.InTx(o.ctx, o.pool, func(tx pgx.Tx) error {
		var team, assignee int64
		if err := tx.QueryRow(o.ctx, `SELECT coalesce(team_id, 0), coalesce(assignee_id, 0) FROM conversation WHERE id = $1`, int64(conversation)).Scan(&team, &assignee); err != nil {
			return err
		}
		id := uuid.Must(uuid.NewV7())
		return events.Append(o.ctx, tx, events.Event{
			Kind: inbox.EventMessageCreated, Actor: events.Actor{Kind: "contact", ID: 1}, SubjectKind: "message", SubjectID: id.String(),
			ConversationID: int64(conversation), TeamID: team, AssigneeID: assignee, TeamBefore: team, AssigneeBefore: assignee,
			Payload: inbox.Item{ID: id, Kind: "message", Direction: "in", Text: text, Data: []byte(`{}`)},
		})
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// catchUp follows what has happened since.
func (o *office) catchUp() {
	o.t.Helper()
	f := o.Follower()
	err := postgres.InTx(o.ctx, o.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(o.ctx, `SELECT id, kind, actor_kind, coalesce(actor_id, 0), coalesce(conversation_id, 0), coalesce(team_id, 0),
	coalesce(assignee_id, 0), coalesce(team_before, 0), coalesce(assignee_before, 0), payload FROM event WHERE id > $1 AND kind = ANY ($2) ORDER BY id`, o.seen, f.Kinds)
		if err != nil {
			return err
		}
		var evs []events.Event
		var e events.Event
		if _, err := pgx.ForEachRow(rows, []any{
			&o.seen, &e.Kind, &e.Actor.Kind, &e.Actor.ID, &e.ConversationID, &e.TeamID, &e.AssigneeID, &e.TeamBefore, &e.AssigneeBefore, &e.Raw,
		}, func() error { evs = append(evs, e); e.Raw = nil; return nil }); err != nil {
			return err
		}
		return f.Handle(o.ctx, tx, evs)
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// bell is what somebody has, as "kind times text", newest first.
func (o *office) bell(a staff.Access) []string {
	o.t.Helper()
	list, err := o.List(o.ctx, a, Key{}, 50)
	if err != nil {
		o.t.Fatal(err)
	}
	out := []string{}
	for _, n := range list {
		s := fmt.Sprintf("%s %d %s", n.Kind, n.Times, n.Text)
		if n.ReadAt != nil {
			s += " (read)"
		}
		out = append(out, s)
	}
	return out
}

// pushes takes the jobs that wait.
func (o *office) pushes() []pushArgs {
	o.t.Helper()
	return takePushes(o.ctx, o.t, o.pool)
}

func takePushes(ctx context.Context, t testing.TB, pool *pgxpool.Pool) []pushArgs {
	t.Helper()
	rows, err := pool.Query(ctx, `DELETE FROM river_job WHERE kind = 'push' RETURNING args`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[pushArgs])
	if err != nil {
		t.Fatal(err)
	}
	return list
}
