package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// The events of canned answers are hints that carry the id alone: who may see an answer is decided when it is read.
const (
	EventCannedUpdated = "canned.updated"
	EventCannedDeleted = "canned.deleted"
)

// Whose a canned answer is.
const (
	cannedOwn  = "own"
	cannedTeam = "team"
	cannedAll  = "all"
)

const (
	maxCanned      = 1000 // that one agent sees
	maxCannedText  = 20_000
	maxCannedTitle = 100
	maxShortcut    = 32
)

// Canned is an answer that is written once and used often. Text may hold variables in double braces, which the composer
// replaces: contact.name, contact.first_name, agent.name, conversation.number.
type Canned struct {
	ID          ids.ID       `json:"id"`
	Version     int          `json:"version"`
	Scope       string       `json:"scope" enum:"own,team,all"`
	AgentID     ids.ID       `json:"agent_id" doc:"who made it"`
	TeamID      *ids.ID      `json:"team_id"`
	Shortcut    string       `json:"shortcut"`
	Title       string       `json:"title"`
	Text        string       `json:"text"`
	Attachments []CannedFile `json:"attachments" nullable:"false"`
	Used        int          `json:"used" doc:"how often it was used"`
	UsedAt      *time.Time   `json:"used_at"`
	Mine        bool         `json:"mine" doc:"the caller may change it"`
}

// CannedFile is a file that a canned answer brings along.
type CannedFile struct {
	ID   uuid.UUID `json:"id"`
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	Type string    `json:"type"`
	Size int64     `json:"size"`
}

// CannedInput is a canned answer as somebody writes it. Attachments names files that it has already, and new uploads.
type CannedInput struct {
	Scope       string
	TeamID      *ids.ID
	Shortcut    string
	Title       string
	Text        string
	Attachments []uuid.UUID
}

const (
	cannedColumns = `n.id, n.version, n.scope, n.agent_id, n.team_id, n.shortcut, n.title, n.text, n.used, n.used_at`

	// $1 the caller, $2 his teams
	cannedVisible = `(n.scope = 'all' OR n.scope = 'own' AND n.agent_id = $1::bigint OR n.scope = 'team' AND n.team_id = ANY ($2::bigint[]))`

	listCannedSQL = `SELECT ` + cannedColumns + ` FROM canned n WHERE ` + cannedVisible + ` ORDER BY lower(n.title), n.id LIMIT $3`
	getCannedSQL  = `SELECT ` + cannedColumns + ` FROM canned n WHERE ` + cannedVisible + ` AND n.id = $3`
	lockCannedSQL = getCannedSQL + ` FOR UPDATE`

	cannedFilesSQL = `SELECT canned_id, id, kind, name, type, size FROM canned_file WHERE canned_id = ANY ($1::bigint[]) ORDER BY canned_id, position, id`

	insertCannedSQL = `INSERT INTO canned (scope, agent_id, team_id, shortcut, title, text) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`
	updateCannedSQL = `UPDATE canned SET version = version + 1, scope = $2, team_id = $3, shortcut = $4, title = $5, text = $6, updated_at = now(),
	agent_id = CASE WHEN $2 = 'own' THEN $7 ELSE agent_id END WHERE id = $1`
	deleteCannedSQL = `DELETE FROM canned WHERE id = $1`

	dropCannedFilesSQL  = `DELETE FROM canned_file WHERE canned_id = $1 AND NOT id = ANY ($2::uuid[])`
	orderCannedFilesSQL = `UPDATE canned_file f SET position = u.n FROM unnest($2::uuid[]) WITH ORDINALITY u (id, n) WHERE f.id = u.id AND f.canned_id = $1`
	// an upload becomes the answer's own: it must outlive the day after which unused uploads go
	takeCannedFilesSQL = `WITH taken AS (
	DELETE FROM attachment WHERE id = ANY ($2::uuid[]) AND uploader_id = $3 AND message_id IS NULL AND state = 'ok'
	RETURNING id, kind, name, type, size, width, height, duration_ms, blob, preview
) INSERT INTO canned_file (id, canned_id, kind, name, type, size, width, height, duration_ms, blob, preview)
SELECT id, $1, kind, name, type, size, width, height, duration_ms, blob, preview FROM taken`
	countCannedFilesSQL = `SELECT count(*)::int FROM canned_file WHERE canned_id = $1`

	usedCannedSQL = `UPDATE canned SET used = used + 1, used_at = now() WHERE id = $1`
	useFileSQL    = `INSERT INTO attachment (id, uploader_id, kind, name, type, size, width, height, duration_ms, state, blob, preview)
SELECT $2, $3, kind, name, type, size, width, height, duration_ms, 'ok', blob, preview FROM canned_file WHERE id = $1 RETURNING ` + attachmentColumns
)

func noCanned() error {
	return errs.New(errs.NotFound, "There is no such canned answer, or it is not for you.")
}

// mayEditCanned: one's own, those of one's teams, and for who manages teams everybody's.
func mayEditCanned(a staff.Access, scope string, team *ids.ID) bool {
	switch scope {
	case cannedOwn:
		return a.Can(staff.Reply)
	case cannedTeam:
		return a.Can(staff.Reply) && team != nil && a.InTeam(*team) || a.Can(staff.ManageTeams)
	}
	return a.Can(staff.ManageTeams)
}

// cannedWho makes $1 and $2 of cannedVisible. Who manages teams sees what he manages.
func (d *Desk) cannedWho(ctx context.Context, a staff.Access, more ...any) ([]any, error) {
	teams := teamsOf(a)
	if a.Can(staff.ManageTeams) {
		rows, err := d.pool.Query(ctx, `SELECT id FROM team`)
		if err != nil {
			return nil, fmt.Errorf("list teams: %w", err)
		}
		if teams, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return nil, fmt.Errorf("list teams: %w", err)
		}
	}
	return append([]any{int64(a.AgentID), orEmpty(teams)}, more...), nil
}

// CannedAnswers lists what the caller may use, by title.
func (d *Desk) CannedAnswers(ctx context.Context, a staff.Access) ([]Canned, error) {
	args, err := d.cannedWho(ctx, a, maxCanned)
	if err != nil {
		return nil, err
	}
	return d.readCanned(ctx, a, listCannedSQL, args)
}

func (d *Desk) readCanned(ctx context.Context, a staff.Access, sql string, args []any) ([]Canned, error) {
	rows, err := d.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list canned answers: %w", err)
	}
	at := map[int64]int{}
	keys := []int64{}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Canned, error) {
		c, err := scanCanned(row, a)
		at[int64(c.ID)] = len(keys)
		keys = append(keys, int64(c.ID))
		return c, err
	})
	if err != nil || len(keys) == 0 {
		return orEmpty(list), err
	}
	if rows, err = d.pool.Query(ctx, cannedFilesSQL, keys); err != nil {
		return nil, fmt.Errorf("list files of canned answers: %w", err)
	}
	var id int64
	var f CannedFile
	_, err = pgx.ForEachRow(rows, []any{&id, &f.ID, &f.Kind, &f.Name, &f.Type, &f.Size}, func() error {
		list[at[id]].Attachments = append(list[at[id]].Attachments, f)
		return nil
	})
	return list, err
}

func scanCanned(row pgx.CollectableRow, a staff.Access) (Canned, error) {
	c := Canned{Attachments: []CannedFile{}}
	err := row.Scan(&c.ID, &c.Version, &c.Scope, &c.AgentID, &c.TeamID, &c.Shortcut, &c.Title, &c.Text, &c.Used, &c.UsedAt)
	utc(c.UsedAt)
	c.Mine = mayEditCanned(a, c.Scope, c.TeamID)
	return c, err
}

func (in *CannedInput) check() error {
	in.Title = strings.Join(strings.Fields(storable(in.Title, 4*maxCannedTitle)), " ")
	in.Shortcut = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(storable(in.Shortcut, 4*maxShortcut)), "/"))
	in.Text = strings.TrimSpace(storable(in.Text, 4*maxCannedText))
	switch {
	case in.Scope != cannedOwn && in.Scope != cannedTeam && in.Scope != cannedAll:
		return errs.Field("scope", "must be own, team or all")
	case in.Scope == cannedTeam && in.TeamID == nil:
		return errs.Field("team_id", "is needed for an answer of a team")
	case in.Title == "" || utf8.RuneCountInString(in.Title) > maxCannedTitle:
		return errs.Field("title", "must have 1 to %d characters", maxCannedTitle)
	case utf8.RuneCountInString(in.Shortcut) > maxShortcut || strings.ContainsFunc(in.Shortcut, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '-' && r != '_'
	}):
		return errs.Field("shortcut", "must be at most %d letters, digits, - or _", maxShortcut)
	case utf8.RuneCountInString(in.Text) > maxCannedText:
		return errs.Field("text", "must have at most %d characters", maxCannedText)
	case in.Text == "" && len(in.Attachments) == 0:
		return errs.Field("text", "is empty: write something or attach a file")
	case len(in.Attachments) > maxSendFiles:
		return errs.Field("attachments", "has more than %d files", maxSendFiles)
	}
	if in.Scope != cannedTeam {
		in.TeamID = nil
	}
	in.Attachments = orEmpty(in.Attachments)
	return nil
}

// CreateCanned makes a canned answer of the caller's own, of a team, or for everybody.
func (d *Desk) CreateCanned(ctx context.Context, a staff.Access, in CannedInput) (Canned, error) {
	return d.writeCanned(ctx, a, 0, 0, in)
}

// UpdateCanned replaces one over the version that the caller saw; errs.Conflict when it is newer.
func (d *Desk) UpdateCanned(ctx context.Context, a staff.Access, id ids.ID, version int, in CannedInput) (Canned, error) {
	return d.writeCanned(ctx, a, int64(id), version, in)
}

func (d *Desk) writeCanned(ctx context.Context, a staff.Access, id int64, version int, in CannedInput) (Canned, error) {
	if err := in.check(); err != nil {
		return Canned{}, err
	}
	if !mayEditCanned(a, in.Scope, in.TeamID) {
		return Canned{}, errs.New(errs.Forbidden, "You may not write canned answers for others there.")
	}
	args, err := d.cannedWho(ctx, a)
	if err != nil {
		return Canned{}, err
	}
	err = d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if in.TeamID != nil {
			if err := teamExists(ctx, tx, *in.TeamID); err != nil {
				return nil, err
			}
		}
		var err error
		if id == 0 {
			err = tx.QueryRow(ctx, insertCannedSQL, in.Scope, int64(a.AgentID), in.TeamID, in.Shortcut, in.Title, in.Text).Scan(&id)
		} else if err = lockCanned(ctx, tx, a, args, id, version); err == nil {
			_, err = tx.Exec(ctx, updateCannedSQL, id, in.Scope, in.TeamID, in.Shortcut, in.Title, in.Text, int64(a.AgentID))
		}
		if err != nil {
			return nil, err
		}
		if err := keepCannedFiles(ctx, tx, a, id, in.Attachments); err != nil {
			return nil, err
		}
		return []events.Event{cannedEvent(EventCannedUpdated, a, id)}, nil
	})
	if err != nil {
		return Canned{}, err
	}
	return d.cannedByID(ctx, a, id)
}

func (d *Desk) cannedByID(ctx context.Context, a staff.Access, id int64) (Canned, error) {
	args, err := d.cannedWho(ctx, a, id)
	if err != nil {
		return Canned{}, err
	}
	list, err := d.readCanned(ctx, a, getCannedSQL, args)
	if err != nil {
		return Canned{}, err
	}
	if len(list) == 0 {
		return Canned{}, noCanned()
	}
	return list[0], nil
}

// lockCanned takes the row if the caller may change it; version 0 takes any.
func lockCanned(ctx context.Context, tx pgx.Tx, a staff.Access, args []any, id int64, version int) error {
	rows, err := tx.Query(ctx, lockCannedSQL, append(args[:2:2], id)...)
	if err != nil {
		return fmt.Errorf("lock canned answer %d: %w", id, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Canned, error) { return scanCanned(row, a) })
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return noCanned()
	case err != nil:
		return fmt.Errorf("lock canned answer %d: %w", id, err)
	case !c.Mine:
		return errs.New(errs.Forbidden, "You may not change this canned answer.")
	case version != 0 && version != c.Version:
		return &errs.E{Code: errs.Conflict, Msg: "Somebody changed this canned answer meanwhile.", Extra: map[string]any{"version": c.Version}}
	}
	return nil
}

func keepCannedFiles(ctx context.Context, tx pgx.Tx, a staff.Access, id int64, files []uuid.UUID) error {
	if _, err := tx.Exec(ctx, dropCannedFilesSQL, id, files); err != nil {
		return fmt.Errorf("drop files of canned answer %d: %w", id, err)
	}
	if len(files) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, takeCannedFilesSQL, id, files, int64(a.AgentID)); err != nil {
		return fmt.Errorf("keep files of canned answer %d: %w", id, err)
	}
	if _, err := tx.Exec(ctx, orderCannedFilesSQL, id, files); err != nil {
		return fmt.Errorf("order files of canned answer %d: %w", id, err)
	}
	var n int
	if err := tx.QueryRow(ctx, countCannedFilesSQL, id).Scan(&n); err != nil {
		return fmt.Errorf("count files of canned answer %d: %w", id, err)
	}
	if n != len(files) {
		return errs.Field("attachments", "one is no upload of yours, or is used already")
	}
	return nil
}

// DeleteCanned removes one that the caller may change.
func (d *Desk) DeleteCanned(ctx context.Context, a staff.Access, id ids.ID) error {
	args, err := d.cannedWho(ctx, a)
	if err != nil {
		return err
	}
	return d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := lockCanned(ctx, tx, a, args, int64(id), 0); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, deleteCannedSQL, int64(id)); err != nil {
			return nil, fmt.Errorf("delete canned answer %s: %w", id, err)
		}
		return []events.Event{cannedEvent(EventCannedDeleted, a, int64(id))}, nil
	})
}

// UseCanned counts a use and makes uploads of the caller from the answer's files, to be named by the message.
func (d *Desk) UseCanned(ctx context.Context, a staff.Access, id ids.ID) ([]Attachment, error) {
	if err := may(a, staff.Reply, "answer"); err != nil {
		return nil, err
	}
	c, err := d.cannedByID(ctx, a, int64(id))
	if err != nil {
		return nil, err
	}
	files := []Attachment{}
	err = d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if _, err := tx.Exec(ctx, usedCannedSQL, int64(id)); err != nil {
			return nil, fmt.Errorf("count use of canned answer %s: %w", id, err)
		}
		for _, f := range c.Attachments {
			u, err := scanAttachment(tx.QueryRow(ctx, useFileSQL, f.ID, newMessageID(), int64(a.AgentID)))
			if errors.Is(err, pgx.ErrNoRows) {
				continue // taken out of the answer a moment ago
			}
			if err != nil {
				return nil, fmt.Errorf("use file of canned answer %s: %w", id, err)
			}
			files = append(files, u)
		}
		return nil, nil // a use moves nobody's screen
	})
	return files, err
}

func cannedEvent(kind string, a staff.Access, id int64) events.Event {
	return events.Event{
		Kind: kind, Actor: a.Actor(), SubjectKind: "canned", SubjectID: ids.ID(id).String(),
		Payload: map[string]any{"id": ids.ID(id)},
	}
}
