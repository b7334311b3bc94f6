package inbox

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/staff"
)

// search narrows the list to people whose name or address contains the text.
func (l *list) search(ctx context.Context, pool *pgxpool.Pool, a staff.Access, text string) error {
	s := crm.ParseSearch(text)
	found, err := s.Find(ctx, pool)
	if err != nil {
		return err
	}
	if len(found) <= crm.MaxFound {
		// read by contact, so that neither status nor owner leads to a row: one plain condition is quicker than branches
		l.filter("c.contact_id = ANY (" + l.arg(found, "bigint[]") + ")")
		l.statuses = []string{"(" + strings.Join(l.statuses, " OR ") + ")"}
		if l.whole && len(l.branches) > 1 {
			l.branches = []branch{{cond: strings.NewReplacer("$1::text", l.arg(string(a.Scope), "text"), "$2::bigint", l.me,
				"$3::bigint[]", l.teams).Replace(visibleSQL)}}
		}
		return nil
	}
	walk := strings.ReplaceAll(crm.MatchesSQL, "$names", l.arg(s.Names, "text[]"))
	walk = strings.ReplaceAll(walk, "$values", l.arg(s.Values, "text[]"))
	l.filter("EXISTS (SELECT 1 FROM contact p WHERE p.id = c.contact_id AND " + walk + ")")
	return nil
}
