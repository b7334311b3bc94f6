package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const whereSQL = `SELECT coalesce(team_id, 0), coalesce(assignee_id, 0) FROM conversation WHERE id = $1`

// Where tells which team and agent a conversation is with, 0 for none: the live feed shows hints about it (who types, who
// looks) by the same rule as its events. errs.NotFound when there is no such conversation.
func (d *Desk) Where(ctx context.Context, conversation int64) (team, assignee int64, err error) {
	err = d.pool.QueryRow(ctx, whereSQL, conversation).Scan(&team, &assignee)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, noConversation()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look where conversation %d is: %w", conversation, err)
	}
	return team, assignee, nil
}
