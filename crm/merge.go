package crm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	mergeKindProvider = "provider" // asserted by a provider (R7)
	mergeKindAgent    = "agent"    // done by hand
	maxMergeAtOnce    = 50
)

// Merged is the outcome of a merge by hand.
type Merged struct {
	Batch  int64
	Merges []int64
}

// Merge joins the contacts from into into, each as a merge of its own with one batch, in one transaction. Merging a
// contact that was merged already means its survivor. ErrInvalid names what is wrong.
func (s *Service) Merge(ctx context.Context, by events.Actor, into int64, from []int64) (Merged, error) {
	var out Merged
	if len(from) == 0 || len(from) > maxMergeAtOnce {
		return out, errs.Field("from", "name 1 to %d contacts to merge", maxMergeAtOnce)
	}
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		out = Merged{}
		if err := idem.Done(ctx, tx); err != nil {
			return err
		}
		target, err := Survivor(ctx, tx, into)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT nextval('merge_batch_seq')`).Scan(&out.Batch); err != nil {
			return err
		}
		for _, f := range slices.Sorted(slices.Values(from)) {
			loser, err := Survivor(ctx, tx, f)
			if err != nil {
				return err
			}
			if loser == target {
				return errs.Field("from", "contact %d and %d are one already", f, into)
			}
			id, err := s.merge(ctx, tx, by, mergeKindAgent, out.Batch, target, loser)
			if err != nil {
				return err
			}
			out.Merges = append(out.Merges, id)
		}
		return nil
	})
	if err == nil {
		events.Wake(s.bus)
	}
	return out, err
}

// Survivor follows merged_into to the live contact: merged ids redirect for ever (R13).
func Survivor(ctx context.Context, db postgres.DB, id int64) (int64, error) {
	for range 100 {
		var next *int64
		err := db.QueryRow(ctx, `SELECT merged_into FROM contact WHERE id = $1`, id).Scan(&next)
		if err == pgx.ErrNoRows {
			return 0, errs.New(errs.NotFound, "Contact not found")
		}
		if err != nil || next == nil {
			return id, err
		}
		id = *next
	}
	return 0, fmt.Errorf("contact %d: merges go round in a circle", id)
}

func (s *Service) mergeOne(ctx context.Context, tx pgx.Tx, by events.Actor, kind string, batch, into, from int64) error {
	if batch == 0 {
		if err := tx.QueryRow(ctx, `SELECT nextval('merge_batch_seq')`).Scan(&batch); err != nil {
			return err
		}
	}
	_, err := s.merge(ctx, tx, by, kind, batch, into, from)
	return err
}

// merge moves everything of contact from to contact into and writes down each row as it was (R13, R15: identities
// first, so that an ingest that waits for them finds the survivor).
func (s *Service) merge(ctx context.Context, tx pgx.Tx, by events.Actor, kind string, batch, into, from int64) (int64, error) {
	if err := lockPeople(ctx, tx, into, from); err != nil {
		return 0, err
	}
	var id int64
	if err := tx.QueryRow(ctx, `INSERT INTO merge (batch, into_id, from_id, kind, actor_id) VALUES ($1, $2, $3, $4, nullif($5, 0)) RETURNING id`,
		batch, into, from, kind, by.ID).Scan(&id); err != nil {
		return 0, err
	}
	rec := recorder{merge: id}
	moves, err := moveIdentities(ctx, tx, from, into)
	if err != nil {
		return 0, fmt.Errorf("move identities: %w", err)
	}
	rec.add("crm", moves)
	if moves, err = moveAssertions(ctx, tx, from, into); err != nil {
		return 0, fmt.Errorf("move what was said: %w", err)
	}
	rec.add("crm", moves)
	if moves, err = moveContacts(ctx, tx, from, into); err != nil {
		return 0, fmt.Errorf("unite contacts: %w", err)
	}
	rec.add("crm", moves)
	// A hold goes along, and stays with the survivor when the merge is undone: it is lifted by people only.
	if _, err := tx.Exec(ctx, `UPDATE contact SET legal_hold = true WHERE id = $2 AND EXISTS (SELECT 1 FROM contact WHERE id = $1 AND legal_hold)`, from, into); err != nil {
		return 0, fmt.Errorf("pass the legal hold on: %w", err)
	}
	moves, leadEvents, err := moveLeads(ctx, tx, by, from, into)
	if err != nil {
		return 0, fmt.Errorf("move leads: %w", err)
	}
	rec.add("crm", moves)
	for _, f := range s.followers {
		if moves, err = f.Move(ctx, tx, from, into); err != nil {
			return 0, fmt.Errorf("move rows of %s: %w", f.Room(), err)
		}
		rec.add(f.Room(), moves)
	}
	if err := rec.write(ctx, tx); err != nil {
		return 0, fmt.Errorf("record moves: %w", err)
	}
	briefs, err := loadBriefs(ctx, tx, into, from)
	if err != nil {
		return 0, err
	}
	evs := append(leadEvents, mergeEvent(EventContactMerged, by, id, into, from))
	for _, b := range briefs {
		evs = append(evs, contactEvent(EventContactUpdated, by, b))
	}
	return id, events.Append(ctx, tx, evs...)
}

// lockPeople takes the rows in the house's order: all identities of both, then both contacts, each ascending.
func lockPeople(ctx context.Context, tx postgres.DB, a, b int64) error {
	if _, err := tx.Exec(ctx, `SELECT 1 FROM identity WHERE contact_id IN ($1, $2) ORDER BY kind, value FOR UPDATE`, a, b); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT merged_into IS NULL FROM contact WHERE id IN ($1, $2) ORDER BY id FOR UPDATE`, a, b)
	if err != nil {
		return err
	}
	live, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		return err
	}
	if len(live) != 2 || !live[0] || !live[1] {
		return errs.New(errs.Conflict, "One of the contacts was merged or removed meanwhile: look again")
	}
	return nil
}

func moveIdentities(ctx context.Context, tx postgres.DB, from, into int64) ([]Move, error) {
	return recordMoves(ctx, tx, "identity", `
UPDATE identity SET contact_id = $2 WHERE contact_id = $1 RETURNING id::text, jsonb_build_object('contact_id', $1::bigint)`, from, into)
}

// moveContacts unites the fields by the rules of R12: manual over verified over imported over pushed, lists unite,
// the survivor wins ties; the loser stays as a redirect.
func moveContacts(ctx context.Context, tx postgres.DB, from, into int64) ([]Move, error) {
	type card struct {
		ID          int64
		Name        string
		NameSource  string
		OwnerID     *int64
		Language    string
		Tags        []string
		Fields      map[string]any
		Attribution map[string]any
	}
	rows, err := tx.Query(ctx, `SELECT id, name, name_source, owner_id, language, tags, fields, attribution FROM contact WHERE id IN ($1, $2)`, from, into)
	if err != nil {
		return nil, err
	}
	cards, err := pgx.CollectRows(rows, pgx.RowToStructByPos[card])
	if err != nil {
		return nil, err
	}
	var w, l card
	for _, c := range cards {
		if c.ID == into {
			w = c
		} else {
			l = c
		}
	}
	values := func(c card) map[string]any {
		return map[string]any{
			"name": c.Name, "name_source": c.NameSource, "owner_id": c.OwnerID, "language": c.Language,
			"tags": c.Tags, "fields": c.Fields, "attribution": c.Attribution,
		}
	}
	record := map[string]any{"before": values(w)}
	rank := map[string]int{"pushed": 0, "imported": 1, "verified": 2, "manual": 3}
	if rank[l.NameSource] > rank[w.NameSource] || (w.Name == nameless && l.Name != nameless) {
		w.Name, w.NameSource = l.Name, l.NameSource
	}
	if w.OwnerID == nil {
		w.OwnerID = l.OwnerID
	}
	if w.Language == "" {
		w.Language = l.Language
	}
	w.Tags = slices.Clone(w.Tags)
	for _, t := range l.Tags {
		if !slices.Contains(w.Tags, t) {
			w.Tags = append(w.Tags, t)
		}
	}
	w.Fields, w.Attribution = united(w.Fields, l.Fields), united(w.Attribution, l.Attribution)
	record["after"] = values(w)
	before, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	if _, err = tx.Exec(ctx, `UPDATE contact SET version = version + 1, updated_at = now(), name = $2, name_source = $3, owner_id = $4, language = $5, tags = $6, fields = $7, attribution = $8 WHERE id = $1`,
		into, w.Name, w.NameSource, w.OwnerID, w.Language, w.Tags, w.Fields, w.Attribution); err != nil {
		return nil, err
	}
	if _, err = tx.Exec(ctx, `UPDATE contact SET version = version + 1, updated_at = now(), merged_into = $2 WHERE id = $1`, from, into); err != nil {
		return nil, err
	}
	return []Move{
		{Table: "contact", RowID: strconv.FormatInt(into, 10), Before: before},
		{Table: "contact_merged", RowID: strconv.FormatInt(from, 10), Before: json.RawMessage(`{}`)},
	}, nil
}

func united(a, b map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, b)
	maps.Copy(out, a)
	return out
}

// moveLeads moves all leads; of two open ones in a pipeline the survivor's stays open.
func moveLeads(ctx context.Context, tx postgres.DB, by events.Actor, from, into int64) ([]Move, []events.Event, error) {
	const before = `jsonb_build_object('contact_id', l.contact_id, 'outcome', l.outcome, 'closed_at', l.closed_at, 'stage_id', l.stage_id)`
	closed, err := recordMoves(ctx, tx, "lead", `
WITH l AS MATERIALIZED (
    SELECT * FROM lead x WHERE contact_id = $1 AND closed_at IS NULL
      AND EXISTS (SELECT 1 FROM lead o WHERE o.contact_id = $2 AND o.pipeline_id = x.pipeline_id AND o.closed_at IS NULL)
    ORDER BY id FOR UPDATE)
UPDATE lead n SET version = n.version + 1, updated_at = now(), contact_id = $2, closed_at = now(), outcome = 'merged' FROM l WHERE n.id = l.id
RETURNING n.id::text, `+before, from, into)
	if err != nil {
		return nil, nil, err
	}
	moved, err := recordMoves(ctx, tx, "lead", `
WITH l AS MATERIALIZED (SELECT * FROM lead x WHERE contact_id = $1 ORDER BY id FOR UPDATE)
UPDATE lead n SET version = n.version + 1, updated_at = now(), contact_id = $2 FROM l WHERE n.id = l.id
RETURNING n.id::text, `+before, from, into)
	if err != nil {
		return nil, nil, err
	}
	moves := append(closed, moved...)
	evs, err := leadEvents(ctx, tx, by, moves)
	return moves, evs, err
}

func leadEvents(ctx context.Context, tx postgres.DB, by events.Actor, moves []Move) ([]events.Event, error) {
	var list []int64
	for _, m := range moves {
		if id, err := strconv.ParseInt(m.RowID, 10, 64); err == nil && m.Table == "lead" {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	leads, err := loadLeads(ctx, tx, list)
	var evs []events.Event
	for _, l := range leads {
		evs = append(evs, leadEvent(EventLeadUpdated, by, l))
	}
	return evs, err
}

func mergeEvent(kind string, by events.Actor, id, into, from int64) events.Event {
	return events.Event{Kind: kind, Actor: by, SubjectKind: "contact", SubjectID: strconv.FormatInt(into, 10), Payload: struct {
		Into    ids.ID `json:"into"`
		From    ids.ID `json:"from"`
		MergeID ids.ID `json:"merge_id"`
	}{ids.ID(into), ids.ID(from), ids.ID(id)}}
}
