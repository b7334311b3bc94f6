package crm

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
)

// Follower is a room that keeps rows of its own per contact and lets them move with a merge, in the merge's
// transaction.
type Follower interface {
	// Room names the follower in the record of moves.
	Room() string
	// Move points the rows of contact from at contact into, and returns what they were before.
	Move(ctx context.Context, tx pgx.Tx, from, into int64) ([]Move, error)
	// Undo puts back what Move returned, in reverse order. identities have just gone back to from: rows made after
	// the merge (at) through one of them follow (R14).
	Undo(ctx context.Context, tx pgx.Tx, u Undone, moves []Move) error
}

// Move is one row that a merge changed, with the fields as they were.
type Move struct {
	Table  string
	RowID  string
	Before json.RawMessage
}

// Undone is the merge that is being taken back.
type Undone struct {
	From, Into int64
	At         time.Time
	Identities []int64
}

// Service is the room's door.
type Service struct {
	pool      *pgxpool.Pool
	bus       bus.Bus
	log       *slog.Logger
	followers []Follower
}

// New makes the service. followers move their rows with every merge, in the order given.
func New(pool *pgxpool.Pool, b bus.Bus, log *slog.Logger, followers ...Follower) *Service {
	return &Service{pool: pool, bus: b, log: log, followers: followers}
}
