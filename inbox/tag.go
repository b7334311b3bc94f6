package inbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

const maxTags = 20 // on one conversation

const (
	listTagsSQL = `SELECT name, color FROM tag ORDER BY name LIMIT 1000`
	keepTagsSQL = `INSERT INTO tag (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING`
)

// Tag is a label that was put on some conversation, offered again for the next.
type Tag struct {
	Name  string `json:"name"`
	Color string `json:"color"`
}

// Tags lists the known tags by name.
func (d *Desk) Tags(ctx context.Context) ([]Tag, error) {
	rows, err := d.pool.Query(ctx, listTagsSQL)
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	tags, err := pgx.CollectRows(rows, pgx.RowToStructByName[Tag])
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	return orEmpty(tags), nil
}

// keepTags remembers new names, sorted so that two writers meet in the same order.
func keepTags(ctx context.Context, db postgres.DB, tags []string) error {
	if len(tags) == 0 {
		return nil
	}
	if _, err := db.Exec(ctx, keepTagsSQL, slices.Sorted(slices.Values(tags))); err != nil {
		return fmt.Errorf("keep tags: %w", err)
	}
	return nil
}

// cleanTags trims, drops repetitions whatever their case, and refuses what cannot be a tag.
func cleanTags(tags []string) ([]string, error) {
	out := make([]string, 0, len(tags))
	seen := map[string]bool{}
	for _, t := range tags {
		t = strings.Join(strings.Fields(t), " ")
		switch n := utf8.RuneCountInString(t); {
		case n == 0:
			return nil, errs.Field("tags", "a tag must not be empty")
		case n > maxTag:
			return nil, errs.Field("tags", "a tag must have at most %d characters", maxTag)
		case !utf8.ValidString(t) || strings.ContainsFunc(t, unicode.IsControl):
			return nil, errs.Field("tags", "a tag must not contain control characters")
		}
		if low := strings.ToLower(t); !seen[low] {
			seen[low] = true
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, errs.Field("tags", "a conversation has at most %d tags", maxTags)
	}
	return out, nil
}
