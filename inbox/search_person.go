package inbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/ids"
)

// the newest conversation with each of them that the caller may see
const latestTalksSQL = `SELECT k.id, t.id, t.kind FROM unnest($4::bigint[]) k (id) CROSS JOIN LATERAL (
	SELECT c.id, h.kind FROM conversation c JOIN channel h ON h.id = c.channel_id
	WHERE c.contact_id = k.id AND ` + visibleSQL + ` ORDER BY c.last_at DESC, c.id DESC LIMIT 1) t`

// people finds contacts, who are everybody's; conversations with them are not.
func (f *Finder) people(ctx context.Context, s search) (FoundList[FoundPerson], error) {
	out := FoundList[FoundPerson]{Items: []FoundPerson{}}
	text := s.q.plain()
	if text == "" {
		return out, nil
	}
	var after crm.ContactKey
	if s.after.id != uuid.Max {
		after = crm.ContactKey{At: s.after.at, ID: idIn(s.after.id)}
	}
	list, err := crm.FindContacts(ctx, f.pool, text, after, s.limit+1)
	if err != nil {
		return out, err
	}
	if len(list) > s.limit {
		list = list[:s.limit]
		last := list[s.limit-1]
		c := spot{last.UpdatedAt, asUUID(last.ID)}.String()
		out.NextCursor = &c
	}
	contacts := make([]int64, len(list))
	for i := range list {
		contacts[i] = int64(list[i].ID)
	}
	rows, err := f.pool.Query(ctx, latestTalksSQL, who(s.a, contacts)...)
	if err != nil {
		return out, fmt.Errorf("find conversations with people: %w", err)
	}
	type talk struct {
		id   ids.ID
		kind string
	}
	talks := map[ids.ID]talk{}
	var contact ids.ID
	var t talk
	if _, err := pgx.ForEachRow(rows, []any{&contact, &t.id, &t.kind}, func() error {
		talks[contact] = t
		return nil
	}); err != nil {
		return out, fmt.Errorf("find conversations with people: %w", err)
	}
	for i := range list {
		p := foundPerson(&list[i], text)
		if t, ok := talks[p.ID]; ok {
			p.ConversationID, p.ChannelKind = &t.id, t.kind
		}
		out.Items = append(out.Items, p)
	}
	return out, nil
}

// foundPerson shows the address that the text stands in; without one, the first.
func foundPerson(c *crm.Contact, text string) FoundPerson {
	fold := strings.Join(strings.Fields(strings.ToLower(text)), " ")
	p := FoundPerson{ID: c.ID, Kind: c.Kind, Name: markLower(c.Name, fold), Address: []Piece{}}
	numbers := crm.ParseSearch(text).Numbers
	for _, i := range c.Identities {
		value := i.Value
		if strings.Contains(strings.ToLower(i.Display), fold) && !strings.Contains(strings.ToLower(value), fold) {
			value = i.Display
		}
		pieces, hit := markLower(value, fold), false
		if !hits(pieces) {
			pieces = markDigits(value, numbers)
		}
		if hit = hits(pieces); hit || p.AddressKind == "" {
			p.AddressKind, p.Address = i.Kind, pieces
		}
		if hit {
			break
		}
	}
	return p
}

// A contact's number fits into the last eight bytes of a cursor's id.
func asUUID(id ids.ID) uuid.UUID {
	var u uuid.UUID
	for i := range 8 {
		u[15-i] = byte(id >> (8 * i)) //nolint:gosec // one byte
	}
	return u
}

func idIn(u uuid.UUID) ids.ID {
	var id ids.ID
	for _, b := range u[8:] {
		id = id<<8 | ids.ID(b)
	}
	return id
}
