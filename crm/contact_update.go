package crm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	lockContactSQL = `SELECT version, fields, merged_into FROM contact WHERE id = $1 FOR UPDATE`

	// a name that somebody typed is never again overwritten by what a provider pushes (R12)
	updateContactSQL = `UPDATE contact SET version = version + 1, updated_at = now(), name = coalesce($2, name),
	name_source = CASE WHEN $2::text IS NULL THEN name_source ELSE 'manual' END,
	owner_id = CASE WHEN $3 THEN nullif($4::bigint, 0) ELSE owner_id END, tags = coalesce($5, tags), fields = coalesce($6, fields) WHERE id = $1`

	insertContactSQL = `INSERT INTO contact (id, name, name_source, owner_id, tags, fields) VALUES ($1, $2, 'manual', nullif($3::bigint, 0), $4, $5)`
)

// NewContact is a contact made by hand.
type NewContact struct {
	Name       string
	Identities []Typed
	Owner      ids.ID
	Tags       []string
	Fields     map[string]any
}

// ContactPatch changes what is set. Fields are merged by their names; null takes one away.
type ContactPatch struct {
	Version          int
	Name             *string
	Owner            ids.Patch
	Tags             *[]string
	Fields           map[string]any
	IdentitiesAdd    []Typed
	IdentitiesRemove []ids.ID
}

// change runs fn in one transaction, marks the request's idempotency key there, appends the events that fn returns in the
// same one, and wakes the tailers after commit.
func (s *Service) change(ctx context.Context, fn func(tx pgx.Tx) ([]events.Event, error)) error {
	wake := false
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		evs, err := fn(tx)
		if err == nil {
			err = idem.Done(ctx, tx)
		}
		if wake = err == nil && len(evs) > 0; !wake {
			return err
		}
		return events.Append(ctx, tx, evs...)
	})
	if err == nil && wake {
		events.Wake(s.bus)
	}
	return owner(err)
}

// owner turns the refusal of an agent who does not exist into words.
func owner(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23503" && strings.HasSuffix(pg.ConstraintName, "owner_id_fkey") {
		return errs.Field("owner_id", "there is no such agent")
	}
	return err
}

// CreateContact makes a contact with addresses that nobody has yet. When one belongs to somebody the error is a conflict
// that carries that contact's id, and nothing is made. region is the default country of phone numbers.
func (s *Service) CreateContact(ctx context.Context, by events.Actor, n NewContact, region string) (Contact, error) {
	name, err := cleanLine("name", n.Name, 200)
	if err != nil {
		return Contact{}, err
	}
	tags, err := cleanTags(n.Tags)
	if err != nil {
		return Contact{}, err
	}
	fields, err := mergeFields(nil, n.Fields)
	if err != nil {
		return Contact{}, err
	}
	addresses, err := parseTyped("identities", n.Identities, region)
	if err != nil {
		return Contact{}, err
	}
	var c Contact
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var id int64
		if err := tx.QueryRow(ctx, `SELECT nextval('contact_id_seq')`).Scan(&id); err != nil {
			return nil, fmt.Errorf("reserve contact: %w", err)
		}
		// identities first, as the claim does: the foreign key is looked at when the transaction ends
		if err := claimTyped(ctx, tx, id, addresses); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertContactSQL, id, name, int64(n.Owner), tags, fields); err != nil {
			return nil, fmt.Errorf("create contact: %w", err)
		}
		if c, err = loadContact(ctx, tx, id); err != nil {
			return nil, err
		}
		return []events.Event{contactEvent(EventContactCreated, by, briefOf(c))}, nil
	})
	return c, err
}

func briefOf(c Contact) ContactBrief {
	return ContactBrief{ID: c.ID, Version: c.Version, Kind: c.Kind, Name: c.Name, OwnerID: c.OwnerID, Tags: c.Tags, MergedInto: c.MergedInto}
}

// UpdateContact changes a contact; of one that was merged it is the survivor that changes. An old version is refused.
func (s *Service) UpdateContact(ctx context.Context, by events.Actor, id int64, p ContactPatch, region string) (Contact, error) {
	if p.Name != nil {
		name, err := cleanLine("name", *p.Name, 200)
		if err != nil {
			return Contact{}, err
		}
		p.Name = &name
	}
	if p.Tags != nil {
		tags, err := cleanTags(*p.Tags)
		if err != nil {
			return Contact{}, err
		}
		p.Tags = &tags
	}
	addresses, err := parseTyped("identities_add", p.IdentitiesAdd, region)
	if err != nil {
		return Contact{}, err
	}
	var c Contact
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		id, err := Survivor(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if err := changeIdentities(ctx, tx, id, addresses, p.IdentitiesRemove); err != nil {
			return nil, err
		}
		if err := updateContact(ctx, tx, id, p); err != nil {
			return nil, err
		}
		if c, err = loadContact(ctx, tx, id); err != nil {
			return nil, err
		}
		return []events.Event{contactEvent(EventContactUpdated, by, briefOf(c))}, nil
	})
	return c, err
}

func updateContact(ctx context.Context, tx pgx.Tx, id int64, p ContactPatch) error {
	var version int
	var old []byte
	var merged *int64
	err := tx.QueryRow(ctx, lockContactSQL, id).Scan(&version, &old, &merged)
	if errors.Is(err, pgx.ErrNoRows) {
		return noContact()
	}
	if err != nil {
		return fmt.Errorf("lock contact %d: %w", id, err)
	}
	if version != p.Version || merged != nil {
		return &errs.E{Code: errs.Conflict, Msg: "Somebody changed this contact meanwhile.", Extra: map[string]any{"version": version}}
	}
	var fields []byte
	if len(p.Fields) > 0 {
		if fields, err = mergeFields(old, p.Fields); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, updateContactSQL, id, p.Name, p.Owner.Set, int64(p.Owner.ID), p.Tags, fields)
	if err != nil {
		return fmt.Errorf("update contact %d: %w", id, err)
	}
	return nil
}

// changeIdentities gives and takes addresses; it locks them before the contact, as every writer does.
func changeIdentities(ctx context.Context, tx pgx.Tx, id int64, add []Address, remove []ids.ID) error {
	if len(add) == 0 && len(remove) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT 1 FROM identity WHERE contact_id = $1 ORDER BY kind, value FOR UPDATE`, id); err != nil {
		return fmt.Errorf("lock identities of contact %d: %w", id, err)
	}
	for _, r := range slices.Sorted(slices.Values(remove)) {
		if err := removeIdentity(ctx, tx, id, int64(r)); err != nil {
			return err
		}
	}
	return claimTyped(ctx, tx, id, add)
}

// removeIdentity deletes an address that somebody typed and nobody ever used. One that history came through is kept for
// it, closed: it still leads to its contact when its owner writes again.
func removeIdentity(ctx context.Context, tx pgx.Tx, contact, id int64) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("remove identity %d: %w", id, err)
	}
	tag, err := inner.Exec(ctx, `DELETE FROM identity WHERE id = $1 AND contact_id = $2 AND trust = 'agent'`, id, contact)
	var pg *pgconn.PgError
	switch {
	case err == nil && tag.RowsAffected() == 1:
		return inner.Commit(ctx)
	case err != nil && !(errors.As(err, &pg) && pg.Code == "23503"): // still referenced
		return fmt.Errorf("remove identity %d: %w", id, err)
	}
	if err := inner.Rollback(ctx); err != nil {
		return fmt.Errorf("remove identity %d: %w", id, err)
	}
	tag, err = tx.Exec(ctx, `UPDATE identity SET valid_to = now() WHERE id = $1 AND contact_id = $2`, id, contact)
	if err != nil {
		return fmt.Errorf("close identity %d: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return errs.Field("identities_remove", "this contact has no address %d", id)
	}
	return nil
}
