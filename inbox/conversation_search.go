package inbox

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/crm"
)

// search narrows the list to people whose name or address contains the text.
func (l *list) search(ctx context.Context, pool *pgxpool.Pool, text string) error {
	s := crm.ParseSearch(text)
	found, err := s.Find(ctx, pool)
	if err != nil {
		return err
	}
	if len(found) <= crm.MaxFound {
		l.filter("c.contact_id = ANY (" + l.arg(found, "bigint[]") + ")")
		return nil
	}
	walk := strings.ReplaceAll(crm.MatchesSQL, "$names", l.arg(s.Names, "text[]"))
	walk = strings.ReplaceAll(walk, "$values", l.arg(s.Values, "text[]"))
	l.filter("EXISTS (SELECT 1 FROM contact p WHERE p.id = c.contact_id AND " + walk + ")")
	return nil
}
