package crm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// KindAnonymous is the kind of the keys by which unproven senders are told apart. No provider gives them.
const KindAnonymous = "external:webform"

// LastTouch begins the names of the attribution that tells how somebody came this time; without it stands how he came
// the first time, which is never overwritten.
const LastTouch = "last_"

const (
	// A key that once stood for somebody unproven stands for a known person after a merge, or after an agent has added
	// an address. From then on the same words in a form are somebody else's until an agent says otherwise.
	retireSQL = `
UPDATE identity i SET value = i.value || '#' || i.id WHERE i.kind = $1 AND i.value = ANY ($2::text[]) AND ` + knownPersonSQL
	knownPersonSQL = `EXISTS (
    SELECT 1 FROM identity o WHERE o.contact_id = i.contact_id AND o.trust <> 'form')`
	anyKnownSQL = `SELECT EXISTS (SELECT 1 FROM identity i WHERE i.kind = $1 AND i.value = ANY ($2::text[]) AND ` + knownPersonSQL + `)`

	assertSQL = `
INSERT INTO assertion AS a (contact_id, kind, value, raw, source)
SELECT DISTINCT ON (contact_id, kind, value) * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (contact_id, kind, value, raw, source)
ORDER BY contact_id, kind, value
ON CONFLICT (contact_id, kind, value) DO UPDATE SET last_seen = now()`

	withLastTouch = `(
    SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(attribution) WHERE NOT starts_with(key, '` + LastTouch + `')) || n.last`
	touchContactsSQL = `
UPDATE contact c SET version = version + 1, updated_at = now(), attribution = ` + withLastTouch + `
FROM (SELECT DISTINCT ON (id) * FROM unnest($1::bigint[], $2::jsonb[]) WITH ORDINALITY u (id, last, no) ORDER BY id, no DESC) n
WHERE c.id = n.id AND NOT c.attribution @> n.last
RETURNING c.id, c.version, c.kind, c.name, c.owner_id, c.tags`

	// an address that turned out to be the person's own is an identity, and is shown there
	assertedSQL = `
SELECT a.kind, CASE WHEN a.raw <> '' THEN a.raw ELSE a.value END, a.source, a.last_seen, k.id, k.name
FROM assertion a
LEFT JOIN identity i ON i.kind = a.kind AND i.value = a.value AND i.valid_to IS NULL
LEFT JOIN contact k ON k.id = i.contact_id
WHERE a.contact_id = $1 AND i.contact_id IS DISTINCT FROM $1 ORDER BY a.id LIMIT 50`
	assertedBySQL = `
SELECT DISTINCT c.id, c.name
FROM identity i JOIN assertion a ON a.kind = i.kind AND a.value = i.value JOIN contact c ON c.id = a.contact_id
WHERE i.contact_id = $1 AND i.valid_to IS NULL AND c.id <> $1 AND c.merged_into IS NULL ORDER BY c.id DESC LIMIT 20`
)

// trust is how far an identity of this claim can be relied on.
func (c Claim) trust() string {
	if c.Unproven {
		return "form"
	}
	return "provider"
}

func unprovenKeys(claims []Claim) []string {
	var out []string
	for _, c := range claims {
		if !c.Unproven {
			continue
		}
		for _, a := range c.Addresses {
			if a.Kind == KindAnonymous {
				out = append(out, a.Value)
			}
		}
	}
	return out
}

// retire frees the keys of unproven senders that lead to known people by now.
func retire(ctx context.Context, tx postgres.DB, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, retireSQL, KindAnonymous, keys)
	return err
}

// stillUnproven looks again under the locks: a merge may have committed in between. The run then starts over.
func stillUnproven(ctx context.Context, tx postgres.DB, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	var known bool
	if err := tx.QueryRow(ctx, anyKnownSQL, KindAnonymous, keys).Scan(&known); err != nil {
		return fmt.Errorf("look again for known people: %w", err)
	}
	if known {
		return errs.Temporary(errors.New("an unproven sender became a known person at this very moment"))
	}
	return nil
}

func (w *claimWriter) assert(c Claim, contact int64) {
	for _, a := range c.Asserted {
		w.assertContact, w.assertKind, w.assertValue = append(w.assertContact, contact), append(w.assertKind, a.Kind), append(w.assertValue, a.Value)
		w.assertRaw, w.assertSource = append(w.assertRaw, a.Raw), append(w.assertSource, c.Source)
	}
}

func (w *claimWriter) queueAssertions(b *pgx.Batch) {
	if len(w.assertContact) > 0 {
		b.Queue(assertSQL, w.assertContact, w.assertKind, w.assertValue, w.assertRaw, w.assertSource)
	}
}

// touch notes how a known contact came this time.
func (w *claimWriter) touch(c Claim, contact int64) {
	if last := lastTouch(c.Attribution); len(last) > 0 {
		w.lastTouchContact, w.lastTouch = append(w.lastTouchContact, contact), append(w.lastTouch, string(attributionJSON(last)))
	}
}

func (w *claimWriter) queueLastTouch(b *pgx.Batch, evs *[]events.Event) {
	if len(w.lastTouchContact) > 0 {
		b.Queue(touchContactsSQL, w.lastTouchContact, w.lastTouch).Query(updatedContacts(evs))
	}
}

func lastTouch(attribution map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range attribution {
		if strings.HasPrefix(k, LastTouch) {
			out[k] = v
		}
	}
	return out
}

func lastTouches(wants []LeadWant) (contacts []int64, last []string) {
	for _, w := range wants {
		if l := lastTouch(w.Attribution); len(l) > 0 {
			contacts, last = append(contacts, w.ContactID), append(last, string(attributionJSON(l)))
		}
	}
	return contacts, last
}

// moveAssertions takes along what the merged contact said of itself; what both said stays where it is.
func moveAssertions(ctx context.Context, tx postgres.DB, from, into int64) ([]Move, error) {
	return recordMoves(ctx, tx, "assertion", `
UPDATE assertion a SET contact_id = $2
WHERE contact_id = $1 AND NOT EXISTS (SELECT 1 FROM assertion o WHERE o.contact_id = $2 AND o.kind = a.kind AND o.value = a.value)
RETURNING id::text, jsonb_build_object('contact_id', $1::bigint)`, from, into)
}

// addAsserted shows on a card what is said and not proven, in both directions.
func addAsserted(ctx context.Context, db postgres.DB, c *Contact) error {
	rows, err := db.Query(ctx, assertedSQL, int64(c.ID))
	if err != nil {
		return fmt.Errorf("read what is not proven: %w", err)
	}
	var a Asserted
	var known *int64
	var name *string
	if _, err := pgx.ForEachRow(rows, []any{&a.Kind, &a.Value, &a.Source, &a.LastSeen, &known, &name}, func() error {
		a.LastSeen, a.Known = a.LastSeen.UTC(), nil
		if known != nil && name != nil {
			a.Known = &Named{ID: ids.ID(*known), Name: *name}
		}
		c.Asserted = append(c.Asserted, a)
		return nil
	}); err != nil {
		return fmt.Errorf("read what is not proven: %w", err)
	}
	if rows, err = db.Query(ctx, assertedBySQL, int64(c.ID)); err != nil {
		return fmt.Errorf("read who claims to be a contact: %w", err)
	}
	by, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Named])
	if err != nil {
		return fmt.Errorf("read who claims to be a contact: %w", err)
	}
	c.AssertedBy = append(c.AssertedBy, by...)
	return nil
}
