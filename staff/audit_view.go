package staff

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// AuditRow is one line of the audit. The rows are the spine's; this view adds the names of who acted.
type AuditRow struct {
	ID      ids.ID         `json:"id"`
	At      time.Time      `json:"at"`
	Kind    string         `json:"kind"`
	Actor   AuditActor     `json:"actor"`
	Subject AuditSubject   `json:"subject"`
	Detail  map[string]any `json:"detail"`
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

const sqlActorNames = `
SELECT 'agent', id, name FROM agent WHERE id = ANY($1)
UNION ALL SELECT 'token', t.id, t.name || ' (' || a.name || ')' FROM api_token t JOIN agent a ON a.id = t.agent_id WHERE t.id = ANY($2)`

// AuditFilter narrows the audit; empty members match everything.
type AuditFilter struct {
	Kind     string // how kinds begin
	Agent    ids.ID // who did it, himself
	From, To time.Time
}

func (f AuditFilter) rows() events.AuditFilter {
	out := events.AuditFilter{Kind: f.Kind, From: f.From, To: f.To}
	if f.Agent != 0 {
		out.Actor = events.Actor{Kind: "agent", ID: int64(f.Agent)}
	}
	return out
}

// AuditExported tells the audit that somebody took it away as a file (permission audit.read).
func (s *Service) AuditExported(ctx context.Context, by Access, f AuditFilter) error {
	if !by.Can(ReadAudit) {
		return errForbidden()
	}
	return s.change(ctx, func(pgx.Tx) ([]events.Event, error) {
		return []events.Event{event("audit.exported", by.Actor(), "agent", by.AgentID, map[string]any{"agent_id": by.AgentID, "kind": f.Kind})}, nil
	})
}

// Audit lists the audit, newest first; next "" = the end (permission audit.read).
func (s *Service) Audit(ctx context.Context, by Access, f AuditFilter, cursor string, limit int) (out []AuditRow, next string, err error) {
	if !by.Can(ReadAudit) {
		return nil, "", errForbidden()
	}
	rows, next, err := events.AuditRows(ctx, s.pool, f.rows(), cursor, limit)
	if err != nil {
		return nil, "", err
	}
	names, err := s.actorNames(ctx, rows)
	if err != nil {
		return nil, "", err
	}
	out = make([]AuditRow, 0, len(rows))
	for _, r := range rows {
		a := AuditRow{
			ID: ids.ID(r.ID), At: r.At, Kind: r.Kind, Subject: AuditSubject{Kind: r.SubjectKind, ID: r.SubjectID},
			Actor: AuditActor{Kind: r.Actor.Kind, ID: ids.Ptr(ids.ID(r.Actor.ID)), Name: names[r.Actor]},
		}
		if err := json.Unmarshal(r.Detail, &a.Detail); err != nil {
			return nil, "", fmt.Errorf("audit row %d: %w", r.ID, err)
		}
		out = append(out, a)
	}
	return out, next, nil
}

func (s *Service) actorNames(ctx context.Context, audit []events.AuditRow) (map[events.Actor]string, error) {
	agents, tokens := []int64{}, []int64{}
	for _, r := range audit {
		switch r.Actor.Kind {
		case "agent":
			agents = append(agents, r.Actor.ID)
		case "token":
			tokens = append(tokens, r.Actor.ID)
		}
	}
	rows, err := s.pool.Query(ctx, sqlActorNames, agents, tokens)
	if err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	out := make(map[events.Actor]string)
	var a events.Actor
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&a.Kind, &a.ID, &name}, func() error { out[a] = name; return nil }); err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	return out, nil
}
