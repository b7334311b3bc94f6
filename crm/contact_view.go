package crm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	contactColumns = `p.id, p.version, p.kind, p.name, p.owner_id, p.language, p.tags, p.fields, p.attribution, p.merged_into, p.sample, p.legal_hold, p.created_at, p.updated_at`

	getContactSQL = `SELECT ` + contactColumns + ` FROM contact p WHERE p.id = $1`

	listContactsSQL = `SELECT ` + contactColumns + ` FROM contact p
WHERE p.merged_into IS NULL AND (p.updated_at, p.id) < ($1, $2)`

	// an address that was taken away is history: it no longer shows, nor is it written to; the key of an unproven sender is
	// nobody's address
	contactIdentitiesSQL = `SELECT contact_id, id, kind, CASE WHEN kind = 'phone' AND raw <> '' THEN raw ELSE value END, display, unreachable, shared, trust, last_seen
FROM identity WHERE contact_id = ANY ($1::bigint[]) AND valid_to IS NULL AND kind <> '` + KindAnonymous + `' ORDER BY contact_id, id`

	contactLeadsSQL = `SELECT id FROM lead WHERE contact_id = $1 ORDER BY id DESC LIMIT 50`

	// the latest merge of either side is the one that can be undone (R14)
	contactMergesSQL = `SELECT m.id, m.from_id, f.name, m.at, m.kind, NOT EXISTS (
	SELECT 1 FROM merge o WHERE o.id > m.id AND o.undone_at IS NULL AND (o.into_id IN (m.into_id, m.from_id) OR o.from_id IN (m.into_id, m.from_id)))
FROM merge m JOIN contact f ON f.id = m.from_id WHERE m.into_id = $1 AND m.undone_at IS NULL ORDER BY m.id DESC LIMIT 100`
)

// ContactKey is a place in the list of contacts, which is in order of their last change.
type ContactKey struct {
	At time.Time
	ID ids.ID
}

// Contacts lists live contacts with their addresses, the last changed first, from a place on (zero = the beginning). With
// a search only those whose name or address contains it.
func (s *Service) Contacts(ctx context.Context, search string, after ContactKey, limit int) ([]Contact, error) {
	return FindContacts(ctx, s.pool, search, after, limit)
}

// FindContacts is Contacts on connections of the caller's choice.
func FindContacts(ctx context.Context, db postgres.DB, search string, after ContactKey, limit int) ([]Contact, error) {
	// infinity and not a far date: it is the same statement for every page
	at, id := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, int64(1<<62)
	if after.ID != 0 {
		at, id = pgtype.Timestamptz{Time: after.At, Valid: true}, int64(after.ID)
	}
	sql, args := listContactsSQL, []any{at, id}
	if search = strings.TrimSpace(search); search != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, SearchBudget)
		defer cancel()
		q := ParseSearch(search)
		found, err := q.Find(ctx, db)
		if err != nil {
			return nil, SearchError(ctx, err)
		}
		if len(found) <= MaxFound {
			sql, args = sql+` AND p.id = ANY ($3::bigint[])`, append(args, found)
		} else {
			sql += " AND " + strings.NewReplacer("$names", "$3::text[]", "$values", "$4::text[]").Replace(MatchesSQL)
			args = append(args, q.Names, q.Values)
		}
	}
	rows, err := db.Query(ctx, sql+fmt.Sprintf(` ORDER BY p.updated_at DESC, p.id DESC LIMIT %d`, limit), args...)
	if err != nil {
		return nil, SearchError(ctx, fmt.Errorf("list contacts: %w", err))
	}
	list, err := pgx.CollectRows(rows, scanContact)
	if err != nil {
		return nil, SearchError(ctx, fmt.Errorf("list contacts: %w", err))
	}
	return list, addIdentities(ctx, db, list)
}

// Contact is the card of a contact; of one that was merged it is the survivor's (R13). Conversations are the inbox's to
// add.
func (s *Service) Contact(ctx context.Context, id int64) (Contact, error) {
	id, err := Survivor(ctx, s.pool, id)
	if err != nil {
		return Contact{}, err
	}
	return loadContact(ctx, s.pool, id)
}

func loadContact(ctx context.Context, db postgres.DB, id int64) (Contact, error) {
	fail := func(err error) (Contact, error) { return Contact{}, fmt.Errorf("load contact %d: %w", id, err) }
	rows, err := db.Query(ctx, getContactSQL, id)
	if err != nil {
		return fail(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanContact)
	if errors.Is(err, pgx.ErrNoRows) {
		return Contact{}, noContact()
	}
	if err != nil {
		return fail(err)
	}
	list := []Contact{c}
	if err := addIdentities(ctx, db, list); err != nil {
		return fail(err)
	}
	c = list[0]
	if rows, err = db.Query(ctx, contactLeadsSQL, id); err != nil {
		return fail(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fail(err)
	}
	leads, err := loadLeads(ctx, db, keys)
	if err != nil {
		return fail(err)
	}
	for i := len(leads) - 1; i >= 0; i-- { // the newest first
		c.Leads = append(c.Leads, leads[i])
	}
	if err := addAsserted(ctx, db, &c); err != nil {
		return fail(err)
	}
	if rows, err = db.Query(ctx, contactMergesSQL, id); err != nil {
		return fail(err)
	}
	var m MergeLine
	if _, err := pgx.ForEachRow(rows, []any{&m.ID, &m.From.ID, &m.From.Name, &m.At, &m.Kind, &m.Undoable}, func() error {
		m.At = m.At.UTC()
		c.Merges = append(c.Merges, m)
		return nil
	}); err != nil {
		return fail(err)
	}
	return c, nil
}

func noContact() error { return errs.New(errs.NotFound, "There is no such contact.") }

func scanContact(row pgx.CollectableRow) (Contact, error) {
	c := Contact{Leads: []Lead{}, Conversations: []PastTalk{}, Merges: []MergeLine{}, Identities: []Identity{}, Asserted: []Asserted{}, AssertedBy: []Named{}}
	var fields, attribution []byte
	err := row.Scan(&c.ID, &c.Version, &c.Kind, &c.Name, &c.OwnerID, &c.Language, &c.Tags, &fields, &attribution, &c.MergedInto,
		&c.Sample, &c.LegalHold, &c.CreatedAt, &c.UpdatedAt)
	if err != nil {
		return c, err
	}
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	if err := json.Unmarshal(fields, &c.Fields); err != nil || c.Fields == nil {
		c.Fields = map[string]any{}
	}
	if err := json.Unmarshal(attribution, &c.Attribution); err != nil || c.Attribution == nil {
		c.Attribution = map[string]string{}
	}
	return c, nil
}

// addIdentities reads the addresses of all contacts of a page at once.
func addIdentities(ctx context.Context, db postgres.DB, list []Contact) error {
	if len(list) == 0 {
		return nil
	}
	at := make(map[int64]int, len(list))
	keys := make([]int64, len(list))
	for i := range list {
		keys[i] = int64(list[i].ID)
		at[keys[i]] = i
	}
	rows, err := db.Query(ctx, contactIdentitiesSQL, keys)
	if err != nil {
		return fmt.Errorf("list identities: %w", err)
	}
	var contact int64
	var i Identity
	if _, err := pgx.ForEachRow(rows, []any{&contact, &i.ID, &i.Kind, &i.Value, &i.Display, &i.Unreachable, &i.Shared, &i.Trust, &i.LastSeen}, func() error {
		i.LastSeen = i.LastSeen.UTC()
		c := &list[at[contact]]
		c.Identities = append(c.Identities, i)
		return nil
	}); err != nil {
		return fmt.Errorf("list identities: %w", err)
	}
	return nil
}
