package inbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// releaseBatch keeps each transaction short; a team may have thousands.
const releaseBatch = 200

const releaseTeamSQL = `
UPDATE conversation SET team_id = NULL, version = version + 1
WHERE id IN (SELECT id FROM conversation WHERE team_id = $1 AND status <> 'closed' ORDER BY id LIMIT $2 FOR UPDATE) RETURNING id`

// ReleaseTeam takes every open conversation out of a team that is about to be removed, and tells whoever saw it there.
// Those without an owner are everybody's then.
func (d *Desk) ReleaseTeam(ctx context.Context, a staff.Access, team ids.ID) error {
	if err := may(a, staff.ManageTeams, "remove teams"); err != nil {
		return err
	}
	for {
		n := 0
		err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
			rows, err := tx.Query(ctx, releaseTeamSQL, int64(team), releaseBatch)
			if err != nil {
				return nil, err
			}
			list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil {
				return nil, err
			}
			n = len(list)
			convs, err := loadConversations(ctx, tx, list)
			if err != nil {
				return nil, err
			}
			var evs []events.Event
			for _, id := range list {
				c := convs[id]
				evs = append(evs, conversationEvent(EventConversationUpdated, a.Actor(), c, int64(team), idOf(c.AssigneeID)))
			}
			return evs, nil
		})
		if err != nil {
			return fmt.Errorf("release conversations of team %s: %w", team, err)
		}
		if n < releaseBatch {
			return nil
		}
	}
}
