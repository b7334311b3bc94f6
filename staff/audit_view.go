package staff

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
)

// AuditRow is one line of the audit. The rows are the spine's; this view adds the names of who acted.
type AuditRow struct {
	ID      ids.ID          `json:"id"`
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"`
	Actor   AuditActor      `json:"actor"`
	Subject AuditSubject    `json:"subject"`
	Detail  json.RawMessage `json:"detail"`
}

// AuditActor is who did it.
type AuditActor struct {
	Kind string  `json:"kind"`
	ID   *ids.ID `json:"id" nullable:"true"`
	Name string  `json:"name"`
}

// AuditSubject is what it was done to.
type AuditSubject struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

const sqlAudit = `
SELECT u.id, u.at, u.kind, u.actor_kind, u.actor_id,
	coalesce(a.name, CASE WHEN t.id IS NOT NULL THEN t.name || ' (' || ta.name || ')' END, ''), u.subject_kind, u.subject_id, u.detail::text
FROM audit u
LEFT JOIN agent a ON u.actor_kind = 'agent' AND a.id = u.actor_id
LEFT JOIN api_token t ON u.actor_kind = 'token' AND t.id = u.actor_id LEFT JOIN agent ta ON ta.id = t.agent_id
WHERE ($1 = '' OR u.kind = $1) AND ($2::timestamptz IS NULL OR (u.at, u.id) < ($2, $3))
ORDER BY u.at DESC, u.id DESC LIMIT $4`

// Audit lists the audit, newest first, of one kind ("" = all), older than the row (before, id) when before is given
// (permission audit.read).
func (s *Service) Audit(ctx context.Context, by Access, kind string, before *time.Time, id ids.ID, limit int) ([]AuditRow, error) {
	if !by.Can(ReadAudit) {
		return nil, errForbidden()
	}
	rows, err := s.pool.Query(ctx, sqlAudit, kind, before, id, limit)
	if err != nil {
		return nil, fmt.Errorf("list audit: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (AuditRow, error) {
		var r AuditRow
		var detail string
		err := row.Scan(&r.ID, &r.At, &r.Kind, &r.Actor.Kind, &r.Actor.ID, &r.Actor.Name, &r.Subject.Kind, &r.Subject.ID, &detail)
		r.Detail = json.RawMessage(detail)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list audit: %w", err)
	}
	return out, nil
}
