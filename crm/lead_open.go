package crm

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// reopenLost: a lead lost less than this long ago is the same matter again (R19).
const reopenLost = 30 * 24 * time.Hour

// LeadWant asks that a contact has an open lead.
type LeadWant struct {
	ContactID   int64
	ContactName string
	PipelineID  int64 // 0 = the default pipeline
	ChannelID   int64
	Source      string // channel kind
	OwnerID     int64
	Attribution map[string]string
	New         bool // the contact was made in this transaction, so there is no lead yet
}

const (
	// OFFSET 0 keeps each test a probe of the index: as an anti join it would read all open leads.
	leadlessSQL = `
SELECT w.id FROM unnest($1::bigint[]) w (id)
WHERE NOT EXISTS (SELECT 1 FROM lead o WHERE o.contact_id = w.id AND o.closed_at IS NULL OFFSET 0)`
	// Both statements see only contacts without any open lead; the partial unique index decides between rivals.
	reopenLeadsSQL = `
UPDATE lead l SET closed_at = NULL, outcome = NULL, version = l.version + 1, updated_at = now(), stage_at = now(),
       stage_id = (SELECT id FROM stage s WHERE s.pipeline_id = l.pipeline_id ORDER BY position LIMIT 1)
WHERE l.id IN (
    SELECT DISTINCT ON (contact_id) id FROM lead x
    WHERE contact_id = ANY ($1::bigint[])
      AND NOT EXISTS (SELECT 1 FROM lead o WHERE o.contact_id = x.contact_id AND o.closed_at IS NULL OFFSET 0)
    ORDER BY contact_id, id DESC)
  AND l.outcome = 'lost' AND l.closed_at > now() - make_interval(secs => $2)
RETURNING ` + leadColumns
	insertLeadsSQL = `
INSERT INTO lead (contact_id, pipeline_id, stage_id, owner_id, source, channel_id, attribution, previous_lead)
SELECT w.contact_id, p.id, (SELECT id FROM stage s WHERE s.pipeline_id = p.id ORDER BY position LIMIT 1), nullif(w.owner_id, 0),
       w.source, nullif(w.channel_id, 0), w.attribution,
       (SELECT id FROM lead x WHERE x.contact_id = w.contact_id AND x.outcome = 'won' ORDER BY id DESC LIMIT 1)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::jsonb[])
         AS w (contact_id, pipeline_id, owner_id, source, channel_id, attribution)
JOIN pipeline p ON p.id = w.pipeline_id OR (w.pipeline_id = 0 AND p.is_default)
WHERE NOT EXISTS (SELECT 1 FROM lead o WHERE o.contact_id = w.contact_id AND o.closed_at IS NULL OFFSET 0)
ORDER BY w.contact_id
ON CONFLICT (contact_id, pipeline_id) WHERE closed_at IS NULL DO NOTHING
RETURNING ` + leadColumns
	touchLeadsSQL = `
UPDATE lead l SET version = l.version + 1, updated_at = now(), attribution = ` + withLastTouch + `
FROM unnest($1::bigint[], $2::jsonb[]) AS n (contact_id, last)
WHERE l.contact_id = n.contact_id AND l.closed_at IS NULL AND NOT l.attribution @> n.last
RETURNING ` + touchedColumns
	touchedColumns = `l.id, l.version, l.contact_id, l.pipeline_id, l.stage_id, l.title, l.owner_id, l.source, l.attribution, l.outcome, l.previous_lead, l.closed_at, l.created_at, l.updated_at, l.amount, l.stage_at`
	leadColumns    = `id, version, contact_id, pipeline_id, stage_id, title, owner_id, source, attribution, outcome, previous_lead, closed_at, created_at, updated_at, amount, stage_at`
)

type leadRow struct {
	ID           int64
	Version      int
	ContactID    int64
	PipelineID   int64
	StageID      int64
	Title        string
	OwnerID      *int64
	Source       string
	Attribution  json.RawMessage
	Outcome      *string
	PreviousLead *int64
	ClosedAt     *time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Amount       int64
	StageAt      time.Time
}

func (r leadRow) lead(contactName string) Lead {
	l := Lead{
		ID: ids.ID(r.ID), Version: r.Version, Contact: Named{ids.ID(r.ContactID), contactName}, PipelineID: ids.ID(r.PipelineID),
		StageID: ids.ID(r.StageID), Title: r.Title, Source: r.Source, Attribution: map[string]string{}, Outcome: r.Outcome,
		ClosedAt: r.ClosedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		Amount: r.Amount, StageAt: r.StageAt,
	}
	if r.OwnerID != nil {
		l.OwnerID = namedOwner(*r.OwnerID)
	}
	if r.PreviousLead != nil {
		l.PreviousLead = namedOwner(*r.PreviousLead)
	}
	if err := json.Unmarshal(r.Attribution, &l.Attribution); err != nil || l.Attribution == nil {
		l.Attribution = map[string]string{}
	}
	return l
}

// OpenLeads gives every contact an open lead, in the caller's transaction: any open one is left as it is, one lost
// less than 30 days ago is reopened, else a new one is made (the successor of a won one names it). The last touch of the
// wants is noted on the open lead. It returns the leads that it opened, made or touched; their events are appended.
func OpenLeads(ctx context.Context, tx postgres.DB, wants []LeadWant) ([]Lead, error) {
	wants = slices.Clone(wants)
	slices.SortStableFunc(wants, func(a, b LeadWant) int { return int(a.ContactID - b.ContactID) })
	wants = slices.CompactFunc(wants, func(a, b LeadWant) bool { return a.ContactID == b.ContactID })
	touched, last := lastTouches(wants)
	names := map[int64]string{}
	for _, w := range wants {
		names[w.ContactID] = w.ContactName
	}
	wants, err := leadless(ctx, tx, wants)
	if err != nil || len(wants)+len(touched) == 0 {
		return nil, err
	}
	var contact, pipeline, owner, channel []int64
	var source, attribution []string
	for _, w := range wants {
		contact, pipeline, owner, channel = append(contact, w.ContactID), append(pipeline, w.PipelineID), append(owner, w.OwnerID), append(channel, w.ChannelID)
		source, attribution = append(source, w.Source), append(attribution, string(attributionJSON(w.Attribution)))
	}
	var leads []Lead
	var evs []events.Event
	collect := func(kind string) func(pgx.Rows) error {
		return func(rows pgx.Rows) error {
			list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[leadRow])
			for _, r := range list {
				l := r.lead(names[r.ContactID])
				leads, evs = append(leads, l), append(evs, leadEvent(kind, events.Actor{Kind: "system"}, l))
			}
			return err
		}
	}
	b := &pgx.Batch{}
	if len(wants) > 0 {
		b.Queue(reopenLeadsSQL, contact, reopenLost.Seconds()).Query(collect(EventLeadUpdated))
		b.Queue(insertLeadsSQL, contact, pipeline, owner, source, channel, attribution).Query(collect(EventLeadCreated))
	}
	if len(touched) > 0 {
		b.Queue(touchLeadsSQL, touched, last).Query(collect(EventLeadUpdated))
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}
	if len(evs) == 0 {
		return leads, nil
	}
	return leads, events.Append(ctx, tx, evs...)
}

// leadless keeps the wants of those who have no open lead: nearly everybody who writes has one.
func leadless(ctx context.Context, tx postgres.DB, wants []LeadWant) ([]LeadWant, error) {
	var known []int64
	for _, w := range wants {
		if !w.New {
			known = append(known, w.ContactID)
		}
	}
	if len(known) == 0 {
		return wants, nil
	}
	rows, err := tx.Query(ctx, leadlessSQL, known)
	if err != nil {
		return nil, err
	}
	without, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(wants, func(w LeadWant) bool { return !w.New && !slices.Contains(without, w.ContactID) }), nil
}

func leadEvent(kind string, by events.Actor, l Lead) events.Event {
	return events.Event{Kind: kind, Actor: by, SubjectKind: "lead", SubjectID: strconv.FormatInt(int64(l.ID), 10), Payload: l}
}
