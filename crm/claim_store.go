package crm

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// Keys come sorted, and each is probed in that order: so are the locks taken.
const readIdentitiesSQL = `
SELECT i.id, i.kind, i.value, i.contact_id, i.display, i.unreachable, i.last_seen < now() - interval '1 day' AS stale,
       coalesce(c.name, '') AS name, coalesce(c.name_source, '') AS name_source, coalesce(c.owner_id, 0) AS owner_id,
       coalesce(c.language, '') AS language
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (kind, value, n)
CROSS JOIN LATERAL (SELECT * FROM identity x WHERE x.kind = k.kind AND x.value = k.value %s) i
LEFT JOIN contact c ON c.id = i.contact_id
ORDER BY k.n`

// readIdentities reads the rows of the given keys in key order; lock is "OFFSET 0" (none), "FOR SHARE" or "FOR UPDATE".
func readIdentities(ctx context.Context, tx postgres.DB, kinds, values []string, lock string) (map[claimKey]identityRow, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(readIdentitiesSQL, lock), kinds, values)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[identityRow])
	if err != nil {
		return nil, err
	}
	out := make(map[claimKey]identityRow, len(list))
	for _, r := range list {
		out[claimKey{r.Kind, r.Value}] = r
	}
	return out, nil
}

// Known tells which of the addresses belong to somebody.
func Known(ctx context.Context, db postgres.DB, addresses []Address) ([]bool, error) {
	out := make([]bool, len(addresses))
	if len(addresses) == 0 {
		return out, nil
	}
	var kinds, values []string
	for _, a := range addresses {
		kinds, values = append(kinds, a.Kind), append(values, a.Value)
	}
	rows, err := db.Query(ctx, knownSQL, kinds, values)
	if err != nil {
		return nil, err
	}
	var n int
	_, err = pgx.ForEachRow(rows, []any{&n}, func() error { out[n-1] = true; return nil })
	return out, err
}

const knownSQL = `SELECT k.n FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (kind, value, n) JOIN identity i USING (kind, value)`

const insertIdentitiesSQL = `
WITH k AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[])
        WITH ORDINALITY AS k (kind, value, grp, raw, display, source, shared, trust, n)
), reserved AS (
    SELECT grp, nextval('contact_id_seq') AS contact_id FROM (SELECT DISTINCT grp FROM k) g
)
INSERT INTO identity (kind, value, raw, contact_id, display, source, shared, trust)
SELECT k.kind, k.value, k.raw, r.contact_id, k.display, k.source, k.shared, k.trust FROM k JOIN reserved r USING (grp) ORDER BY k.n
ON CONFLICT (kind, value) DO NOTHING
RETURNING kind, value, contact_id`

// insertIdentities claims the keys that nobody had a moment ago; it waits for a rival's commit. What comes back is ours.
func insertIdentities(ctx context.Context, tx postgres.DB, claims []Claim, groups []*group, before map[claimKey]identityRow, kinds, values []string, no []int32) (map[claimKey]int64, error) {
	var k, v, raw, display, source, trust []string
	var grp []int32
	var shared []bool
	for i := range kinds {
		key := claimKey{kinds[i], values[i]}
		if _, known := before[key]; known {
			continue
		}
		for _, ci := range groups[no[i]].claims {
			c := claims[ci]
			at := addressOf(c, key)
			if at < 0 {
				continue
			}
			show := ""
			if at == 0 {
				show = c.Display
			}
			k, v, grp = append(k, key.kind), append(v, key.value), append(grp, no[i])
			raw, display, source = append(raw, c.Addresses[at].Raw), append(display, show), append(source, c.Source)
			shared, trust = append(shared, c.Addresses[at].Shared), append(trust, c.trust())
			break
		}
	}
	rows, err := tx.Query(ctx, insertIdentitiesSQL, k, v, grp, raw, display, source, shared, trust)
	if err != nil {
		return nil, err
	}
	mine := map[claimKey]int64{}
	var kind, value string
	var contact int64
	_, err = pgx.ForEachRow(rows, []any{&kind, &value, &contact}, func() error {
		mine[claimKey{kind, value}] = contact
		return nil
	})
	return mine, err
}

func addressOf(c Claim, k claimKey) int {
	for i, a := range c.Addresses {
		if a.Kind == k.kind && a.Value == k.value {
			return i
		}
	}
	return -1
}

// claimWriter collects what a batch of claims changes, and writes it in one round trip.
type claimWriter struct {
	out    []Claimed
	events []events.Event

	newIDs                                                []int64
	newKind, newName, newSource, newLanguage, attribution []string
	newSample                                             []bool

	adoptID, adoptContact []int64

	touchID                    []int64
	touchDisplay, touchUnreach []string
	nameContact                []int64
	nameValue, languageValue   []string

	assertContact                                    []int64
	assertKind, assertValue, assertRaw, assertSource []string
	lastTouchContact                                 []int64
	lastTouch                                        []string
}

func (w *claimWriter) create(claims []Claim, g *group) {
	first := claims[g.claims[0]]
	kind := "person"
	if first.Group {
		kind = "group"
	}
	name, language, sample, attr := bestName(claims, g), "", false, map[string]string{}
	for _, ci := range g.claims {
		c := claims[ci]
		if c.Language != "" {
			language = c.Language
		}
		sample = sample || c.Sample
		for k, v := range c.Attribution {
			if _, had := attr[k]; !had {
				attr[k] = v // first touch stands
			}
		}
	}
	source := "pushed"
	w.newIDs, w.newKind, w.newName = append(w.newIDs, g.contact), append(w.newKind, kind), append(w.newName, name)
	w.newSource, w.newLanguage = append(w.newSource, source), append(w.newLanguage, language)
	w.newSample, w.attribution = append(w.newSample, sample), append(w.attribution, string(attributionJSON(attr)))
	w.events = append(w.events, contactEvent(EventContactCreated, events.Actor{Kind: "system"},
		ContactBrief{ID: ids.ID(g.contact), Version: 1, Kind: kind, Name: name, Tags: []string{}}))
}

// adopt points identities that we have just claimed at the contact that one of their siblings belongs to.
func (w *claimWriter) adopt(g *group, rows map[claimKey]identityRow, mine map[claimKey]int64) {
	for _, k := range g.keys {
		if _, ok := mine[k]; ok {
			w.adoptID, w.adoptContact = append(w.adoptID, rows[k].ID), append(w.adoptContact, g.contact)
		}
	}
}

// refresh carries news about a known person: display, reachability, pushed name.
func (w *claimWriter) refresh(c Claim, r identityRow, contact int64, out *Claimed) {
	w.touch(c, contact)
	if !r.Stale && !changes(c, r) {
		return
	}
	display, unreach := r.Display, r.Unreachable
	if c.Display != "" {
		display = c.Display
	}
	if c.Unreachable != nil {
		unreach = *c.Unreachable
	}
	w.touchID, w.touchDisplay, w.touchUnreach = append(w.touchID, r.ID), append(w.touchDisplay, display), append(w.touchUnreach, unreach)
	name, language := "", ""
	if !c.Unproven && c.Name != "" && r.NameSource == "pushed" && clipName(c.Name) != r.Name {
		name = clipName(c.Name)
		out.Name = name
	}
	if r.Language == "" && !c.Unproven {
		language = c.Language
	}
	if name != "" || language != "" || unreach != r.Unreachable {
		w.nameContact, w.nameValue, w.languageValue = append(w.nameContact, contact), append(w.nameValue, name), append(w.languageValue, language)
	}
}

const (
	insertContactsSQL = `
INSERT INTO contact (id, kind, name, name_source, language, sample, attribution)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::jsonb[])`
	adoptIdentitiesSQL = `
UPDATE identity i SET contact_id = n.contact_id FROM unnest($1::bigint[], $2::bigint[]) n (id, contact_id) WHERE i.id = n.id`
	touchIdentitiesSQL = `
UPDATE identity i SET last_seen = now(), display = n.display, unreachable = n.unreachable, valid_to = NULL
FROM (SELECT DISTINCT ON (id) * FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY u (id, display, unreachable, n) ORDER BY id, n DESC) n
WHERE i.id = n.id`
	renameContactsSQL = `
UPDATE contact c SET version = version + 1, updated_at = now(), name = CASE WHEN n.name <> '' AND c.name_source = 'pushed' THEN n.name ELSE c.name END,
       language = CASE WHEN c.language = '' THEN n.language ELSE c.language END
FROM (SELECT DISTINCT ON (id) * FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY u (id, name, language, n) ORDER BY id, n DESC) n
WHERE c.id = n.id
RETURNING c.id, c.version, c.kind, c.name, c.owner_id, c.tags`
)

// flush writes everything in one round trip; locks are taken in the order identity, contact.
func (w *claimWriter) flush(ctx context.Context, tx postgres.DB) error {
	b := &pgx.Batch{}
	if len(w.newIDs) > 0 {
		b.Queue(insertContactsSQL, w.newIDs, w.newKind, w.newName, w.newSource, w.newLanguage, w.newSample, w.attribution)
	}
	if len(w.adoptID) > 0 {
		b.Queue(adoptIdentitiesSQL, w.adoptID, w.adoptContact)
	}
	if len(w.touchID) > 0 {
		b.Queue(touchIdentitiesSQL, w.touchID, w.touchDisplay, w.touchUnreach)
	}
	var renamed []events.Event
	if len(w.nameContact) > 0 {
		b.Queue(renameContactsSQL, w.nameContact, w.nameValue, w.languageValue).Query(updatedContacts(&renamed))
	}
	w.queueAssertions(b)
	w.queueLastTouch(b, &renamed)
	if err := events.Queue(b, w.events...); err != nil {
		return err
	}
	if b.Len() > 0 {
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
	}
	if len(renamed) == 0 {
		return nil
	}
	return events.Append(ctx, tx, renamed...)
}

// updatedContacts makes an event of every contact that a statement returns.
func updatedContacts(evs *[]events.Event) func(rows pgx.Rows) error {
	return func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[briefRow])
		for _, r := range list {
			*evs = append(*evs, contactEvent(EventContactUpdated, events.Actor{Kind: "system"}, r.brief()))
		}
		return err
	}
}

type briefRow struct {
	ID      int64
	Version int
	Kind    string
	Name    string
	OwnerID *int64
	Tags    []string
}

func (r briefRow) brief() ContactBrief {
	b := ContactBrief{ID: ids.ID(r.ID), Version: r.Version, Kind: r.Kind, Name: r.Name, Tags: r.Tags}
	if r.OwnerID != nil {
		b.OwnerID = namedOwner(*r.OwnerID)
	}
	if b.Tags == nil {
		b.Tags = []string{}
	}
	return b
}

func contactEvent(kind string, by events.Actor, c ContactBrief) events.Event {
	return events.Event{Kind: kind, Actor: by, SubjectKind: "contact", SubjectID: strconv.FormatInt(int64(c.ID), 10), Payload: c}
}

// SetUnreachable keeps why an identity can no longer be written to ("" = it can again), and tells whoever shows its
// contact.
func SetUnreachable(ctx context.Context, tx postgres.DB, identityID int64, reason string) error {
	var contact int64
	err := tx.QueryRow(ctx, `UPDATE identity SET unreachable = $2 WHERE id = $1 AND unreachable <> $2 RETURNING contact_id`, identityID, clean(reason, 500)).Scan(&contact)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE contact SET version = version + 1, updated_at = now() WHERE id = $1`, contact); err != nil {
		return err
	}
	briefs, err := loadBriefs(ctx, tx, contact)
	if err != nil || len(briefs) == 0 {
		return err
	}
	return events.Append(ctx, tx, contactEvent(EventContactUpdated, events.Actor{Kind: "system"}, briefs[0]))
}
