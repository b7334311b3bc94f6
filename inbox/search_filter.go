package inbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/crm"
)

// maxAuthors is how many people from: may mean at once.
const maxAuthors = 200

const (
	findAgentsSQL   = `SELECT id FROM agent WHERE name ILIKE ANY ($1::text[]) OR email ILIKE ANY ($1::text[]) LIMIT 100`
	identitiesOfSQL = `SELECT id FROM identity WHERE contact_id = ANY ($1::bigint[]) LIMIT 1000`
	findChannelsSQL = `SELECT id FROM channel WHERE kind = ANY ($1::text[]) OR name ILIKE ANY ($2::text[])`
	findTeamsSQL    = `SELECT id FROM team WHERE name ILIKE ANY ($1::text[])`
)

// resolve turns the names in filters into ids.
func (f *Finder) resolve(ctx context.Context, s *search) (err error) {
	for _, name := range s.q.from {
		if err := f.author(ctx, s, name); err != nil {
			return err
		}
	}
	s.nobody = len(s.q.from) > 0 && len(s.authors) == 0
	if len(s.q.channels) > 0 {
		kinds := make([]string, len(s.q.channels))
		for i, c := range s.q.channels {
			kinds[i] = strings.ToLower(c)
		}
		if s.channels, err = f.column(ctx, findChannelsSQL, kinds, piecesOf(s.q.channels)); err != nil {
			return err
		}
		s.nobody = s.nobody || len(s.channels) == 0
	}
	if len(s.q.teams) > 0 {
		if s.teams, err = f.column(ctx, findTeamsSQL, piecesOf(s.q.teams)); err != nil {
			return err
		}
		s.nobody = s.nobody || len(s.teams) == 0
	}
	return nil
}

// author adds the marks of those whom a name in from: means: oneself, colleagues, customers.
func (f *Finder) author(ctx context.Context, s *search, name string) error {
	if strings.EqualFold(name, "me") {
		s.authors = append(s.authors, markOfAgent(int64(s.a.AgentID)))
		return nil
	}
	agents, err := f.column(ctx, findAgentsSQL, piecesOf([]string{name}))
	if err != nil {
		return err
	}
	people, err := crm.ParseSearch(name).Find(ctx, f.pool)
	if err != nil {
		return err
	}
	if len(people) > maxAuthors {
		return tooMany(name)
	}
	identities, err := f.column(ctx, identitiesOfSQL, distinct(people))
	if err != nil {
		return err
	}
	if len(identities) == 1000 {
		return tooMany(name)
	}
	for _, id := range agents {
		s.authors = append(s.authors, markOfAgent(id))
	}
	for _, id := range identities {
		s.authors = append(s.authors, markOfIdentity(id))
	}
	return nil
}

func tooMany(name string) error {
	return refuse("search_from", "from:%s fits more than %d people; type more of the name", name, maxAuthors)
}

func (f *Finder) column(ctx context.Context, sql string, args ...any) ([]int64, error) {
	rows, err := f.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read the filters of a search: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read the filters of a search: %w", err)
	}
	return list, nil
}

// piecesOf makes LIKE patterns for texts that contain one of the names.
func piecesOf(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "%" + likeSafe.Replace(n) + "%"
	}
	return out
}

var likeSafe = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`) //nolint:gochecknoglobals // a constant
