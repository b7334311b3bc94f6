package staff

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const agentColumns = `
	a.id, a.version, a.email, a.name, a.role, a.scope,
	ARRAY(SELECT m.team_id FROM team_member m WHERE m.agent_id = a.id ORDER BY m.team_id) AS team_ids,
	a.capacity, coalesce(s.status, 'off') AS status, coalesce(s.since, a.created_at) AS status_since,
	a.disabled_at IS NOT NULL AS disabled, a.hours_id, a.created_at`

const sqlAgents = `SELECT ` + agentColumns + `
FROM agent a LEFT JOIN agent_status s ON s.agent_id = a.id WHERE a.id > $1 ORDER BY a.id LIMIT $2`

const sqlAgentsByID = `SELECT ` + agentColumns + `
FROM agent a LEFT JOIN agent_status s ON s.agent_id = a.id WHERE a.id = ANY($1) ORDER BY a.id`

const sqlAgentInsert = `
INSERT INTO agent (email, name, role, scope, locale, password_hash) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`

const sqlStatusInsert = `INSERT INTO agent_status (agent_id) VALUES ($1) ON CONFLICT DO NOTHING`

const sqlAgentExists = `SELECT EXISTS (SELECT FROM agent)`

// Every writer that could take away the last admin locks all enabled admins first, in order.
const sqlAdminsLock = `SELECT id FROM agent WHERE role = 'admin' AND disabled_at IS NULL ORDER BY id FOR UPDATE`

const sqlAgentLock = `SELECT version, role, disabled_at IS NOT NULL FROM agent WHERE id = $1 FOR UPDATE`

const sqlAgentUpdate = `
UPDATE agent SET version = version + 1, name = coalesce($2, name), role = coalesce($3, role), scope = coalesce($4, scope),
	capacity = coalesce($5, capacity), hours_id = CASE WHEN $6 THEN nullif($7::bigint, 0) ELSE hours_id END,
	disabled_at = CASE WHEN $8::boolean IS NULL THEN disabled_at WHEN $8 THEN coalesce(disabled_at, now()) END
WHERE id = $1`

const sqlAgentTouch = `UPDATE agent SET version = version + 1 WHERE id = ANY($1)`

const sqlTeamTouch = `UPDATE team SET version = version + 1 WHERE id = ANY($1)`

const sqlMemberDelete = `DELETE FROM team_member WHERE agent_id = $1 AND NOT team_id = ANY($2) RETURNING team_id`

const sqlMemberInsert = `
INSERT INTO team_member (agent_id, team_id) SELECT $1, t.id FROM team t WHERE t.id = ANY($2)
ON CONFLICT DO NOTHING RETURNING team_id`

func agentsByID(ctx context.Context, db postgres.DB, which []ids.ID) ([]Agent, error) {
	rows, err := db.Query(ctx, sqlAgentsByID, which)
	if err != nil {
		return nil, fmt.Errorf("read agents: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Agent])
	if err != nil {
		return nil, fmt.Errorf("read agents: %w", err)
	}
	return out, nil
}

func agentByID(ctx context.Context, db postgres.DB, id ids.ID) (Agent, error) {
	as, err := agentsByID(ctx, db, []ids.ID{id})
	if err != nil {
		return Agent{}, err
	}
	if len(as) == 0 {
		return Agent{}, errs.New(errs.NotFound, "There is no such agent.")
	}
	return as[0], nil
}

// setTeams makes the agent's teams exactly these and tells which teams changed.
func setTeams(ctx context.Context, tx pgx.Tx, agent ids.ID, teams []ids.ID) ([]ids.ID, error) {
	if err := mustExist(ctx, tx, sqlTeamsCount, "team_ids", teams); err != nil {
		return nil, err
	}
	gone, err := collectIDs(ctx, tx, sqlMemberDelete, agent, teams)
	if err != nil {
		return nil, fmt.Errorf("leave teams: %w", err)
	}
	come, err := collectIDs(ctx, tx, sqlMemberInsert, agent, teams)
	if err != nil {
		return nil, fmt.Errorf("join teams: %w", err)
	}
	changed := append(gone, come...)
	if len(changed) > 0 {
		if _, err := tx.Exec(ctx, sqlTeamTouch, changed); err != nil {
			return nil, fmt.Errorf("touch teams: %w", err)
		}
	}
	return changed, nil
}

func collectIDs(ctx context.Context, db postgres.DB, sql string, args ...any) ([]ids.ID, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[ids.ID])
}

// mustExist checks that every id of a list in the request names a row; counted by sql.
func mustExist(ctx context.Context, db postgres.DB, sql, field string, list []ids.ID) error {
	if len(list) == 0 {
		return nil
	}
	if len(list) > 1000 {
		return errs.Field(field, "must have at most 1000 entries")
	}
	seen := make(map[ids.ID]struct{}, len(list))
	for _, id := range list {
		seen[id] = struct{}{}
	}
	n := 0
	if err := db.QueryRow(ctx, sql, list).Scan(&n); err != nil {
		return fmt.Errorf("check %s: %w", field, err)
	}
	if n != len(seen) {
		return errs.Field(field, "names something that does not exist")
	}
	return nil
}
