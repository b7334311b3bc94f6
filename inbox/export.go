package inbox

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	// maxExport is above what one person can have said, in bytes.
	maxExport = 20 << 30
	// exportTime is how long gathering may take.
	exportTime = 2 * time.Hour
	// exportChunk is how many messages are read at once.
	exportChunk = 500
	// maxExports is how many an agent may have under way.
	maxExports = 10
)

// Exports gathers all that is kept of one person, for that person: a zip of JSON and files. It is made in the
// background, belongs to whoever asked for it, and is gone after a week. Asking and fetching stand in the audit.
type Exports struct {
	pool   *pgxpool.Pool
	bus    bus.Bus
	people *crm.Service
	store  blob.Store
	log    *slog.Logger
}

// NewExports makes the desk for exports.
func NewExports(pool *pgxpool.Pool, b bus.Bus, people *crm.Service, store blob.Store, log *slog.Logger) *Exports {
	return &Exports{pool: pool, bus: b, people: people, store: store, log: log.With("component", "exports")}
}

// Export is one person's data on its way.
type Export struct {
	ID        ids.ID    `json:"id"`
	Contact   crm.Named `json:"contact"`
	State     string    `json:"state" enum:"queued,working,done,failed,expired"`
	Done      int       `json:"done" doc:"messages and files gathered so far"`
	Total     int       `json:"total"`
	Size      int64     `json:"size" doc:"bytes"`
	Error     string    `json:"error"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

type exportPerson struct {
	ID int64 `json:"id"`
}

func (exportPerson) Kind() string { return "export_person" }

// InsertOpts chooses the queue for what takes long.
func (exportPerson) InsertOpts() jobs.Opts { return jobs.Opts{Queue: jobs.Slow, MaxAttempts: 5} }

const (
	exportColumnsSQL = `SELECT x.id, x.contact_id, p.name, x.state, x.done, x.total, x.size, x.error, x.created_at, x.expires_at
FROM contact_export x JOIN contact p ON p.id = x.contact_id WHERE x.agent_id = $1`
	insertExportSQL = `INSERT INTO contact_export (contact_id, agent_id) SELECT $1, $2
WHERE (SELECT count(*) FROM contact_export WHERE agent_id = $2 AND state IN ('queued', 'working')) < $3 RETURNING id`
	takeExportSQL   = `UPDATE contact_export SET state = 'working', done = 0 WHERE id = $1 AND state IN ('queued', 'working') RETURNING contact_id`
	finishExportSQL = `UPDATE contact_export SET state = 'done', blob = $2, size = $3, done = total WHERE id = $1 AND state = 'working'`
	expireExportSQL = `UPDATE contact_export SET state = 'expired', blob = '', size = 0 WHERE state <> 'expired' AND expires_at < now()`

	exportTotalSQL = `SELECT (SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.contact_id = $1)::int
	+ (SELECT count(*) FROM attachment f JOIN conversation c ON c.id = f.conversation_id WHERE c.contact_id = $1 AND f.state = 'ok')::int`
	exportMessagesSQL = `SELECT m.at, m.id, jsonb_build_object('at', m.at, 'id', m.id, 'conversation', c.number, 'channel', h.kind, 'kind', m.kind,
	'direction', m.direction, 'author', m.author_kind, 'text', m.text, 'html', m.html, 'subject', m.subject, 'data', m.data, 'status', m.status,
	'edited_at', m.edited_at, 'deleted_at', m.deleted_at,
	'earlier', (SELECT jsonb_agg(jsonb_build_object('at', v.at, 'text', v.text) ORDER BY v.no) FROM message_revision v WHERE v.message_at = m.at AND v.message_id = m.id),
	'reactions', (SELECT jsonb_agg(jsonb_build_object('at', r.at, 'emoji', r.emoji)) FROM reaction r WHERE r.message_at = m.at AND r.message_id = m.id))
FROM conversation c JOIN message m ON m.conversation_id = c.id JOIN channel h ON h.id = c.channel_id
WHERE c.contact_id = $1 AND (m.at, m.id) > ($2, $3) ORDER BY m.at, m.id LIMIT $4`
	exportFilesSQL = `SELECT f.id::text, f.name, f.type, f.blob, f.message_id::text FROM attachment f JOIN conversation c ON c.id = f.conversation_id
WHERE c.contact_id = $1 AND f.state = 'ok' ORDER BY f.created_at, f.id`
)

func scanExport(row pgx.CollectableRow) (e Export, err error) {
	err = row.Scan(&e.ID, &e.Contact.ID, &e.Contact.Name, &e.State, &e.Done, &e.Total, &e.Size, &e.Error, &e.CreatedAt, &e.ExpiresAt)
	e.CreatedAt, e.ExpiresAt = e.CreatedAt.UTC(), e.ExpiresAt.UTC()
	return e, err
}

func (x *Exports) event(kind string, by events.Actor, id, contact int64) events.Event {
	return events.Event{
		Kind: kind, Actor: by, SubjectKind: "contact", SubjectID: ids.ID(contact).String(),
		Payload: map[string]any{"export_id": ids.ID(id), "contact_id": ids.ID(contact)},
	}
}

// Ask begins an export of a person.
func (x *Exports) Ask(ctx context.Context, a staff.Access, contact ids.ID) (Export, error) {
	if err := may(a, staff.ManageData, "export people"); err != nil {
		return Export{}, err
	}
	var out Export
	err := postgres.InTx(ctx, x.pool, func(tx pgx.Tx) error {
		live, err := crm.Survivor(ctx, tx, int64(contact))
		if err != nil {
			return err
		}
		var id int64
		err = tx.QueryRow(ctx, insertExportSQL, live, int64(a.AgentID), maxExports).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return errs.New(errs.TooMany, "%d exports are being made for you already.", maxExports)
		}
		if err != nil {
			return fmt.Errorf("ask for an export: %w", err)
		}
		if err := jobs.InsertTx(ctx, tx, exportPerson{ID: id}); err != nil {
			return err
		}
		if err := events.Append(ctx, tx, x.event("data.export_asked", a.Actor(), id, live)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, exportColumnsSQL+` AND x.id = $2`, int64(a.AgentID), id)
		if err != nil {
			return err
		}
		out, err = pgx.CollectExactlyOneRow(rows, scanExport)
		return err
	})
	if err == nil {
		events.Wake(x.bus)
	}
	return out, err
}

// List gives the caller's exports, the newest first.
func (x *Exports) List(ctx context.Context, a staff.Access) ([]Export, error) {
	rows, err := x.pool.Query(ctx, exportColumnsSQL+` ORDER BY x.id DESC LIMIT 100`, int64(a.AgentID))
	if err != nil {
		return nil, fmt.Errorf("list exports: %w", err)
	}
	return pgx.CollectRows(rows, scanExport)
}

// Open gives a finished export to whoever asked for it, and writes that down.
func (x *Exports) Open(ctx context.Context, a staff.Access, id ids.ID) (*Stored, error) {
	if err := may(a, staff.ManageData, "export people"); err != nil {
		return nil, err
	}
	var s Stored
	var contact int64
	var state string
	err := x.pool.QueryRow(ctx, `SELECT contact_id, state, blob, created_at FROM contact_export WHERE id = $1 AND agent_id = $2`, int64(id), int64(a.AgentID)).
		Scan(&contact, &state, &s.Hash, &s.At)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && state == "expired":
		return nil, errs.New(errs.NotFound, "There is no such export, or its week is over.")
	case err != nil:
		return nil, fmt.Errorf("find export: %w", err)
	case state != "done":
		return nil, errs.New(errs.Unavailable, "The export is not ready yet.")
	}
	if s.ReadSeekCloser, s.Size, err = x.store.Open(ctx, s.Hash); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, x.pool, func(tx pgx.Tx) error {
		return events.Append(ctx, tx, x.event("data.export_fetched", a.Actor(), int64(id), contact))
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	events.Wake(x.bus)
	s.Name, s.Type = fmt.Sprintf("contact-%d.zip", contact), "application/zip"
	return &s, nil
}

type exportsDue struct{}

func (exportsDue) Kind() string { return "exports_expire" }

// Workers make the exports, and take away what nobody may fetch any more; the store's sweep removes the bytes.
func (x *Exports) Workers() []jobs.Worker {
	return []jobs.Worker{
		jobs.Work(exportTime, func(ctx context.Context, p exportPerson) error { return x.make(ctx, p.ID) }),
		jobs.Every(time.Hour, exportsDue{}, func(ctx context.Context) error {
			_, err := x.pool.Exec(ctx, expireExportSQL)
			return err
		}),
	}
}

// make does an export from the beginning, however often it was begun before.
func (x *Exports) make(ctx context.Context, id int64) error {
	var contact int64
	err := x.pool.QueryRow(ctx, takeExportSQL, id).Scan(&contact)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // done, expired, or its agent is gone
	}
	if err != nil {
		return fmt.Errorf("take export %d: %w", id, err)
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := x.gather(ctx, w, id, contact)
		_ = w.CloseWithError(err) // never fails
		done <- err
	}()
	key, size, err := x.store.Put(ctx, r, maxExport)
	_ = r.CloseWithError(err) // lets gather end when the store failed
	if err = errors.Join(<-done, err); err == nil {
		_, err = x.pool.Exec(ctx, finishExportSQL, id, key, size)
	}
	if err == nil || ctx.Err() != nil {
		return err // stopped: another node, or the next start, begins anew
	}
	x.log.ErrorContext(ctx, "export failed", "export_id", id, "contact_id", contact, "err", err)
	_, err = x.pool.Exec(ctx, `UPDATE contact_export SET state = 'failed', error = 'It could not be made; the log of the server says why.' WHERE id = $1`, id)
	return err
}

// gather writes the zip.
func (x *Exports) gather(ctx context.Context, w io.Writer, id, contact int64) error {
	if _, err := x.pool.Exec(ctx, `UPDATE contact_export SET total = (`+exportTotalSQL+`) WHERE id = $2`, contact, id); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	z := zip.NewWriter(w)
	person, err := x.people.Contact(ctx, contact)
	if err != nil {
		return err
	}
	f, err := z.Create("contact.json")
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	enc.SetIndent("", "  ")
	if err := enc.Encode(person); err != nil {
		return err
	}
	n, err := x.messages(ctx, z, id, contact)
	if err != nil {
		return fmt.Errorf("messages: %w", err)
	}
	if err := x.files(ctx, z, id, contact, n); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return z.Close()
}

func (x *Exports) messages(ctx context.Context, z *zip.Writer, id, contact int64) (n int, err error) {
	f, err := z.Create("messages.json")
	if err != nil {
		return 0, err
	}
	at, last := time.Time{}, "00000000-0000-0000-0000-000000000000"
	for sep := "[\n"; ; {
		rows, err := x.pool.Query(ctx, exportMessagesSQL, contact, at, last, exportChunk)
		if err != nil {
			return n, err
		}
		var line []byte
		got := 0
		if _, err := pgx.ForEachRow(rows, []any{&at, &last, &line}, func() error {
			got++
			_, err := fmt.Fprintf(f, "%s%s", sep, line)
			sep = ",\n"
			return err
		}); err != nil {
			return n, err
		}
		n += got
		if _, err := x.pool.Exec(ctx, `UPDATE contact_export SET done = $2 WHERE id = $1`, id, n); err != nil {
			return n, err
		}
		if got < exportChunk {
			if n == 0 {
				_, err = io.WriteString(f, "[]\n")
			} else {
				_, err = io.WriteString(f, "\n]\n")
			}
			return n, err
		}
	}
}

func (x *Exports) files(ctx context.Context, z *zip.Writer, id, contact int64, n int) error {
	type file struct {
		ID, Name, Type, Blob string
		Message              *string
	}
	rows, err := x.pool.Query(ctx, exportFilesSQL, contact)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[file])
	if err != nil {
		return err
	}
	for i, a := range list {
		r, _, err := x.store.Open(ctx, a.Blob)
		if errs.Is(err, errs.NotFound) {
			continue // lost with the disk; the message still names it
		}
		if err != nil {
			return err
		}
		// Pictures and films are compressed already.
		f, err := z.CreateHeader(&zip.FileHeader{Name: "files/" + a.ID + " " + fileName(a.Name), Method: zip.Store})
		if err == nil {
			_, err = io.Copy(f, r)
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		if _, err := x.pool.Exec(ctx, `UPDATE contact_export SET done = $2 WHERE id = $1`, id, n+i+1); err != nil {
			return err
		}
	}
	return nil
}
