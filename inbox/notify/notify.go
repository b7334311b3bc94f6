package notify

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

// What somebody is told about.
const (
	Assigned = "assigned" // a conversation was given to him
	Message  = "message"  // the customer wrote in a conversation of his
	Called   = "mention"  // a note names him or his team
	Queue    = "queue"    // the customer wrote where nobody of his team has taken over
)

// The events of notifications go to the agent they are for.
const (
	EventUpdated = "notification.updated"
	EventRead    = "notification.read"
)

const (
	unreadShown = 100 // more unread than this is "99+" anyway
	keepFor     = 90 * 24 * time.Hour
	maxReadIDs  = 200
)

// Notification is one line of somebody's bell. Times counts the things of one kind that came while it was unread.
type Notification struct {
	ID             ids.ID     `json:"id"`
	Version        int        `json:"version"`
	AgentID        ids.ID     `json:"agent_id"`
	Kind           string     `json:"kind" enum:"assigned,message,mention,queue"`
	ConversationID ids.ID     `json:"conversation_id"`
	MessageID      *uuid.UUID `json:"message_id"`
	Title          string     `json:"title" doc:"the customer's name"`
	Text           string     `json:"text"`
	Actor          string     `json:"actor" doc:"the colleague who did it, empty for the customer and the hub"`
	Times          int        `json:"times"`
	At             time.Time  `json:"at"`
	ReadAt         *time.Time `json:"read_at"`
}

// ReadNews is the payload of EventRead.
type ReadNews struct {
	AgentID        ids.ID   `json:"agent_id"`
	IDs            []ids.ID `json:"ids"`
	ConversationID *ids.ID  `json:"conversation_id"`
	All            bool     `json:"all"`
}

// ReadWhat names what was read: single ones, those of a conversation, or all.
type ReadWhat struct {
	IDs          []ids.ID
	Conversation ids.ID
	All          bool
}

// Config is what the service needs to know about its place.
type Config struct {
	BaseURL string // where people reach the hub; push services are told it as the sender
	// Looking reports whether an agent has a conversation on the screen just now; nil = nobody ever has.
	Looking func(agent, conversation int64) bool
}

// Service keeps the bells and the subscriptions of devices. It is safe for concurrent use.
type Service struct {
	pool  *pgxpool.Pool
	bus   bus.Bus
	box   *secret.Box
	guard egress.Guard
	cfg   Config
	log   *slog.Logger
}

// New makes the service on a migrated database.
func New(cfg Config, pool *pgxpool.Pool, b bus.Bus, box *secret.Box, guard egress.Guard, log *slog.Logger) *Service {
	if cfg.Looking == nil {
		cfg.Looking = func(int64, int64) bool { return false }
	}
	return &Service{pool: pool, bus: b, box: box, guard: guard, cfg: cfg, log: log.With("component", "notify")}
}

// Workers are the service's background work.
func (s *Service) Workers() []jobs.Worker {
	return []jobs.Worker{
		jobs.Work(pushTime, s.push),
		jobs.Every(24*time.Hour, oldDue{}, s.sweep),
	}
}

type oldDue struct{}

func (oldDue) Kind() string { return "old_notifications" }

const (
	columns = `n.id, n.version, n.agent_id, n.kind, n.conversation_id, n.message_id, n.title, n.text, n.actor, n.times, n.at, n.read_at`

	listSQL = `SELECT ` + columns + ` FROM notification n WHERE n.agent_id = $1 AND (n.at, n.id) < ($2, $3) ORDER BY n.at DESC, n.id DESC LIMIT $4`

	unreadSQL = `SELECT count(*)::int FROM (SELECT 1 FROM notification WHERE agent_id = $1 AND read_at IS NULL LIMIT $2) x`

	readSQL = `UPDATE notification SET read_at = now(), version = version + 1
WHERE agent_id = $1 AND read_at IS NULL AND ($2 OR conversation_id = $3 OR id = ANY ($4::bigint[])) RETURNING id`

	sweepSQL = `DELETE FROM notification WHERE at < now() - make_interval(secs => $1)`
)

func scan(row pgx.CollectableRow) (Notification, error) {
	var n Notification
	err := row.Scan(&n.ID, &n.Version, &n.AgentID, &n.Kind, &n.ConversationID, &n.MessageID, &n.Title, &n.Text, &n.Actor, &n.Times, &n.At, &n.ReadAt)
	n.At = n.At.UTC()
	if n.ReadAt != nil {
		*n.ReadAt = n.ReadAt.UTC()
	}
	return n, err
}

// Key is a place in the list: behind the notification of that time and id. The zero value is its beginning.
type Key struct {
	At time.Time
	ID ids.ID
}

// List returns the caller's notifications, newest first.
func (s *Service) List(ctx context.Context, a staff.Access, after Key, limit int) ([]Notification, error) {
	if after.ID == 0 {
		after = Key{At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: 1}
	}
	rows, err := s.pool.Query(ctx, listSQL, int64(a.AgentID), after.At, int64(after.ID), limit)
	if err != nil {
		return nil, fmt.Errorf("list notifications: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// Unread counts the caller's unread ones, at most unreadShown.
func (s *Service) Unread(ctx context.Context, a staff.Access) (int, error) {
	var n int
	err := s.pool.QueryRow(ctx, unreadSQL, int64(a.AgentID), unreadShown).Scan(&n)
	return n, err
}

// Read marks the caller's own as read; those that are already change nothing.
func (s *Service) Read(ctx context.Context, a staff.Access, w ReadWhat) error {
	if len(w.IDs) > maxReadIDs {
		return errs.Field("ids", "names more than %d", maxReadIDs)
	}
	wake := false
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		evs, err := read(ctx, tx, int64(a.AgentID), w)
		if err != nil {
			return err
		}
		wake = len(evs) > 0
		if err := events.Append(ctx, tx, evs...); err != nil {
			return err
		}
		return idem.Done(ctx, tx)
	})
	if err == nil && wake {
		events.Wake(s.bus)
	}
	return err
}

func read(ctx context.Context, tx pgx.Tx, agent int64, w ReadWhat) ([]events.Event, error) {
	keys := make([]int64, len(w.IDs))
	for i, id := range w.IDs {
		keys[i] = int64(id)
	}
	rows, err := tx.Query(ctx, readSQL, agent, w.All, int64(w.Conversation), keys)
	if err != nil {
		return nil, fmt.Errorf("mark notifications as read: %w", err)
	}
	marked, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(marked) == 0 {
		return nil, err
	}
	slices.Sort(marked)
	news := ReadNews{AgentID: ids.ID(agent), IDs: []ids.ID{}, All: w.All}
	if w.Conversation != 0 {
		news.ConversationID = &w.Conversation
	}
	for _, id := range marked[:min(len(marked), maxReadIDs)] { // more only with all or a conversation, which say so
		news.IDs = append(news.IDs, ids.ID(id))
	}
	return []events.Event{{
		Kind: EventRead, Actor: events.Actor{Kind: "agent", ID: agent}, SubjectKind: "agent", SubjectID: ids.ID(agent).String(), Payload: news,
	}}, nil
}

// sweep forgets what is old, read or not.
func (s *Service) sweep(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, sweepSQL, keepFor.Seconds())
	return err
}
