package events

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// AuditKind says which events are written down for good, and what of them. Texts of customers never are: the audit
// outlives an erasure.
type AuditKind struct {
	Prefix string
	// Fields are the members of the payload that become the detail; none means all.
	Fields []string
	// Changes leaves out an event whose detail equals the last one of the same kind and subject: an agent's row also
	// changes with his status, which is nobody's business in an audit.
	Changes bool
}

// AuditKinds are the house's: who came in, who was let in, who may do what, and what was changed for everybody.
func AuditKinds() []AuditKind {
	return []AuditKind{
		{Prefix: "session."},
		{Prefix: "login."},
		{Prefix: "token."},
		{Prefix: "invitation."},
		{Prefix: "audit."},
		{Prefix: "agent.password_"}, // before agent.: each one counts, however alike they are
		{Prefix: "agent.totp_"},
		{Prefix: "agent.", Fields: []string{"id", "email", "name", "role", "scope", "team_ids", "disabled", "capacity"}, Changes: true},
		{Prefix: "team.", Fields: []string{"id", "name", "strategy", "sticky", "member_ids"}, Changes: true},
		{Prefix: "hours.", Fields: []string{"id", "name", "timezone"}},
		{Prefix: "channel.", Fields: []string{"id", "kind", "name", "team_id", "enabled"}, Changes: true},
		{Prefix: "pipeline.", Fields: []string{"id", "name", "is_default"}, Changes: true},
		{Prefix: "setting.", Fields: []string{"key"}},
		{Prefix: "contact.merged"},
		{Prefix: "contact.unmerged"},
		{Prefix: "contact.hold"},
		{Prefix: "contact.erased", Fields: []string{"id"}},
		{Prefix: "data."},
	}
}

// AuditFollower writes the audit. It begins with the oldest event there is: an audit that starts late has a hole.
func AuditFollower(kinds []AuditKind) Follower {
	f := Follower{Name: "audit", FromStart: true, Handle: func(ctx context.Context, tx pgx.Tx, evs []Event) error {
		return writeAudit(ctx, tx, kinds, evs)
	}}
	for _, k := range kinds {
		f.Kinds = append(f.Kinds, k.Prefix)
	}
	return f
}

// auditSQL: the unique key makes a second reading of the same event harmless.
const auditSQL = `
INSERT INTO audit (at, kind, actor_kind, actor_id, subject_kind, subject_id, detail, epoch, xid, event_id)
SELECT $1::timestamptz, $2::text, $3::text, nullif($4::bigint, 0), $5::text, $6::text, $7::jsonb, $8::int, $9::xid8, $10::bigint
WHERE NOT $11::boolean OR $7::jsonb IS DISTINCT FROM (
    SELECT detail FROM audit WHERE subject_kind = $5 AND subject_id = $6 AND kind = $2 ORDER BY id DESC LIMIT 1)
ON CONFLICT DO NOTHING`

func writeAudit(ctx context.Context, tx pgx.Tx, kinds []AuditKind, evs []Event) error {
	b := &pgx.Batch{}
	for i := range evs {
		e := &evs[i]
		k, ok := auditKind(kinds, e.Kind)
		if !ok {
			continue
		}
		detail, err := auditDetail(k, e.Raw)
		if err != nil {
			return fmt.Errorf("audit event %s: %w", e.Cursor, err)
		}
		// One statement each, so that the second change of a subject sees the first; such events are rare.
		b.Queue(auditSQL, e.At, e.Kind, e.Actor.Kind, e.Actor.ID, e.SubjectKind, e.SubjectID, string(detail),
			e.Cursor.Epoch, e.Cursor.XID, e.Cursor.ID, k.Changes)
	}
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write %d audit rows: %w", b.Len(), err)
	}
	return nil
}

func auditKind(kinds []AuditKind, kind string) (AuditKind, bool) {
	for _, k := range kinds {
		if strings.HasPrefix(kind, k.Prefix) {
			return k, true
		}
	}
	return AuditKind{}, false
}

func auditDetail(k AuditKind, payload json.RawMessage) (json.RawMessage, error) {
	if len(k.Fields) == 0 {
		return payload, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, fmt.Errorf("read the payload: %w", err)
	}
	some := make(map[string]json.RawMessage, len(k.Fields))
	for _, f := range k.Fields {
		if v, ok := all[f]; ok {
			some[f] = v
		}
	}
	return json.Marshal(some)
}

// AuditRow is one line of the audit; the reader finds the actor's name.
type AuditRow struct {
	ID          int64
	At          time.Time
	Kind        string
	Actor       Actor
	SubjectKind string
	SubjectID   string
	Detail      json.RawMessage
}

// AuditFilter narrows the audit; empty members match everything.
type AuditFilter struct {
	Kind                   string // prefix
	Actor                  Actor  // Kind "" = anybody
	SubjectKind, SubjectID string
	From, To               time.Time
}

const auditRowsSQL = `
SELECT id, at, kind, actor_kind, coalesce(actor_id, 0), subject_kind, subject_id, detail FROM audit
WHERE starts_with(kind, $1::text) AND ($2::text = '' OR actor_kind = $2 AND coalesce(actor_id, 0) = $3::bigint)
  AND ($4::text = '' OR subject_kind = $4) AND ($5::text = '' OR subject_id = $5)
  AND at >= $6 AND at < $7 AND (at, id) < ($8, $9)
ORDER BY at DESC, id DESC LIMIT $10`

// AuditRows returns a page of the audit, newest first, and the cursor of the next page ("" at the end).
func AuditRows(ctx context.Context, db postgres.DB, f AuditFilter, cursor string, limit int) (rows []AuditRow, next string, err error) {
	// Within what both Go and Postgres can say.
	from, to := time.Unix(0, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if !f.From.IsZero() {
		from = f.From
	}
	if !f.To.IsZero() {
		to = f.To
	}
	beforeAt, beforeID, err := parseAuditCursor(cursor, to)
	if err != nil {
		return nil, "", err
	}
	found, err := db.Query(ctx, auditRowsSQL, f.Kind, f.Actor.Kind, f.Actor.ID, f.SubjectKind, f.SubjectID, from, to, beforeAt, beforeID, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("read the audit: %w", err)
	}
	rows, err = pgx.CollectRows(found, func(r pgx.CollectableRow) (AuditRow, error) {
		var a AuditRow
		err := r.Scan(&a.ID, &a.At, &a.Kind, &a.Actor.Kind, &a.Actor.ID, &a.SubjectKind, &a.SubjectID, &a.Detail)
		a.At = a.At.UTC()
		return a, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("read the audit: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		next = fmt.Sprintf("%d.%d", last.At.UnixMicro(), last.ID)
	}
	return rows, next, nil
}

func parseAuditCursor(s string, newest time.Time) (time.Time, int64, error) {
	if s == "" {
		return newest, maxXID, nil
	}
	at, id, ok := strings.Cut(s, ".")
	micros, err1 := strconv.ParseInt(at, 10, 64)
	n, err2 := strconv.ParseInt(id, 10, 64)
	if !ok || err1 != nil || err2 != nil || micros < 0 || micros > newest.UnixMicro()+1 {
		return time.Time{}, 0, errs.Field("cursor", "this is not a cursor of the audit")
	}
	return time.UnixMicro(micros), n, nil
}
