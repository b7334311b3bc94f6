package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
)

// mailOf reads what a message's data says about its recipients; ok is false when it has none.
func mailOf(data []byte) (m channels.MailData, ok bool, err error) {
	var d struct {
		Email *channels.MailData `json:"email"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return m, false, fmt.Errorf("data of a message: %w", err)
	}
	if d.Email == nil {
		return m, false, nil
	}
	return *d.Email, true, nil
}

// recipientsOf lists to whom a message of ours goes; none = to whoever is answered.
func recipientsOf(data []byte) ([]channels.Recipient, error) {
	m, _, err := mailOf(data)
	if err != nil {
		return nil, err
	}
	var out []channels.Recipient
	for _, l := range []struct {
		role string
		list []channels.Mailbox
	}{{"to", m.To}, {"cc", m.Cc}, {"bcc", m.Bcc}} {
		for _, b := range l.list {
			out = append(out, channels.Recipient{Role: l.role, Name: b.Name, Address: b.Address})
		}
	}
	return out, nil
}

const referencesSQL = `
SELECT m.provider_id FROM message m
WHERE m.conversation_id = $1 AND m.kind = 'message' AND m.provider_id <> '' AND m.id <> $2 AND m.seq < (SELECT s.seq FROM message s WHERE s.at = $3 AND s.id = $2)
ORDER BY m.at DESC, m.seq DESC LIMIT 20`

// references are the provider's ids of what was said before in the conversation, oldest first.
func (d *Deliverer) references(ctx context.Context, r outRow) ([]string, error) {
	rows, err := d.pool.Query(ctx, referencesSQL, r.conversation, r.key.ID, r.key.At)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Reverse(list)
	return list, err
}
