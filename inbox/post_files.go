package inbox

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// contentOf is what a message with these uploads is called: by its first file, or text. An upload belongs to whoever
// uploaded it until a message names it.
func contentOf(ctx context.Context, tx pgx.Tx, a staff.Access, uploads []uuid.UUID) (string, error) {
	if len(uploads) == 0 {
		return contentText, nil
	}
	rows, err := tx.Query(ctx, `SELECT id, kind FROM attachment WHERE id = ANY ($1::uuid[]) AND uploader_id = $2 AND message_id IS NULL AND state = 'ok' ORDER BY id FOR UPDATE`, uploads, int64(a.AgentID))
	if err != nil {
		return "", err
	}
	kinds := map[uuid.UUID]string{}
	var id uuid.UUID
	var kind string
	if _, err := pgx.ForEachRow(rows, []any{&id, &kind}, func() error { kinds[id] = kind; return nil }); err != nil {
		return "", err
	}
	for i, u := range uploads {
		if _, ok := kinds[u]; !ok || slices.Index(uploads, u) != i {
			return "", errs.Field("attachments", "%s is no upload of yours, or is used already", u)
		}
	}
	return kinds[uploads[0]], nil
}

func bindUploads(ctx context.Context, tx pgx.Tx, t talk, key MessageKey, uploads []uuid.UUID) error {
	if len(uploads) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
UPDATE attachment f SET message_at = $2, message_id = $3, conversation_id = $4, channel_id = $5, position = u.n - 1
FROM unnest($1::uuid[]) WITH ORDINALITY u (id, n) WHERE f.id = u.id`, uploads, key.At, key.ID, t.id, t.channel)
	return err
}
