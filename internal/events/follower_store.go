package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	beginFollowerSQL = `INSERT INTO follower (name, epoch, xid, id, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	followerSQL      = `SELECT epoch, xid, id, at FROM follower WHERE name = $1`
	lockFollowerSQL  = followerSQL + ` FOR UPDATE`
	moveFollowerSQL  = `UPDATE follower SET epoch = $2, xid = $3, id = $4, at = $5
WHERE name = $1 AND epoch = $6 AND xid = $7 AND id = $8`
	parkSQL = `INSERT INTO follower_dead (follower, epoch, xid, id, error, event) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING`
	parkedSQL = `SELECT follower, epoch, xid, id, at, error, event FROM follower_dead ORDER BY at DESC, follower, epoch DESC, xid DESC, id DESC LIMIT $1`
)

func scanPlace(r pgx.Row) (p place, err error) {
	err = r.Scan(&p.cursor.Epoch, &p.cursor.XID, &p.cursor.ID, &p.at)
	p.at = p.at.UTC()
	return p, err
}

// followerPlace returns where the follower stands, and puts a new one at first.
func followerPlace(ctx context.Context, db postgres.DB, name string, first place) (place, error) {
	if _, err := db.Exec(ctx, beginFollowerSQL, name, first.cursor.Epoch, first.cursor.XID, first.cursor.ID, first.at); err != nil {
		return place{}, fmt.Errorf("begin follower %s: %w", name, err)
	}
	p, err := scanPlace(db.QueryRow(ctx, followerSQL, name))
	if err != nil {
		return place{}, fmt.Errorf("read the cursor of follower %s: %w", name, err)
	}
	return p, nil
}

func lockFollower(ctx context.Context, tx pgx.Tx, name string) (place, error) {
	p, err := scanPlace(tx.QueryRow(ctx, lockFollowerSQL, name))
	if err != nil {
		return place{}, fmt.Errorf("lock follower %s: %w", name, err)
	}
	return p, nil
}

// moveFollower moves the cursor from one place to another; when it is not there any more nothing happens.
func moveFollower(ctx context.Context, db postgres.DB, name string, from Cursor, to place) error {
	c := to.cursor
	if _, err := db.Exec(ctx, moveFollowerSQL, name, c.Epoch, c.XID, c.ID, to.at, from.Epoch, from.XID, from.ID); err != nil {
		return fmt.Errorf("move follower %s: %w", name, err)
	}
	return nil
}

// park sets an event aside that this follower cannot handle, and moves on.
func (l *loop) park(ctx context.Context, e *Event, cause error) error {
	doc, err := json.Marshal(map[string]any{
		"kind": e.Kind, "actor_kind": e.Actor.Kind, "actor_id": e.Actor.ID, "subject_kind": e.SubjectKind, "subject_id": e.SubjectID,
		"conversation_id": e.ConversationID, "team_id": e.TeamID, "assignee_id": e.AssigneeID,
		"team_before": e.TeamBefore, "assignee_before": e.AssigneeBefore, "at": e.At, "payload": e.Raw,
	})
	if err != nil {
		return fmt.Errorf("park event %s: %w", e.Cursor, err)
	}
	to := after(l.at, []Event{*e})
	err = postgres.InTx(ctx, l.fs.pool, func(tx pgx.Tx) error {
		p, err := lockFollower(ctx, tx, l.Name)
		if err != nil {
			return err
		}
		if p.cursor != l.saved.cursor {
			return nil // another node has it now; begin reads its cursor
		}
		if _, err := tx.Exec(ctx, parkSQL, l.Name, e.Cursor.Epoch, e.Cursor.XID, e.Cursor.ID, printable(cause.Error()), doc); err != nil {
			return fmt.Errorf("park event %s: %w", e.Cursor, err)
		}
		return moveFollower(ctx, tx, l.Name, p.cursor, to)
	})
	if err != nil {
		return err
	}
	l.log.ErrorContext(ctx, "an event failed for good and was set aside", "cursor", e.Cursor.String(), "kind", e.Kind, "subject_id", e.SubjectID, "error", cause)
	l.at, l.saved, l.savedAt, l.skipped = to, to, time.Now(), 0
	return nil
}

// printable cuts s to what a text column takes, whatever a panic may have said.
func printable(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if len(s) > maxParkedError {
		s = strings.ToValidUTF8(s[:maxParkedError], "")
	}
	return s
}

// maxParkedError is enough for a message with a stack.
const maxParkedError = 8 << 10

// Parked is an event that a follower gave up.
type Parked struct {
	Follower string          `json:"follower"`
	Cursor   string          `json:"cursor"`
	At       time.Time       `json:"at"`
	Error    string          `json:"error"`
	Event    json.RawMessage `json:"event"`
}

// ParkedEvents lists what followers gave up, newest first, for the admin.
func ParkedEvents(ctx context.Context, db postgres.DB, limit int) ([]Parked, error) {
	rows, err := db.Query(ctx, parkedSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("list parked events: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Parked, error) {
		var p Parked
		var c Cursor
		err := r.Scan(&p.Follower, &c.Epoch, &c.XID, &c.ID, &p.At, &p.Error, &p.Event)
		p.Cursor, p.At = c.String(), p.At.UTC()
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("list parked events: %w", err)
	}
	return out, nil
}

// transient reports whether err says nothing about the event: the database is away, restarting, full or overloaded, or
// the follower asked for patience. Such failures are retried for ever and never park anything.
func transient(err error) bool {
	if errs.IsTemporary(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "25006", "25P03", "55P03", "57P01", "57P02", "57P03", "57P05": // read-only, idle, lock wait, shutting down
			return true
		}
		switch pg.Code[:min(2, len(pg.Code))] {
		case "08", "40", "53", "58": // connection, conflict, resources, input/output
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err)
}
