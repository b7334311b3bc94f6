package crm

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// Claim says who wrote, as the provider asserts it: all Addresses are the same person (R7).
type Claim struct {
	Addresses   []Address // the first is the primary one, through which the event came
	Name        string    // pushed name
	Display     string    // how the primary identity shows itself, e.g. "@sara"
	Language    string
	Source      string // channel kind
	Group       bool
	Sample      bool
	Attribution map[string]string
	Unreachable *string // new reachability of the primary identity; nil = no news

	// Unproven is set when nobody but the sender himself says who he is (a form). Then Addresses are a key that only
	// such claims use, and what he says is kept beside the contact as Asserted: it never leads to a known person (R10).
	Unproven bool
	Asserted []Address
}

// Claimed is whom the claim found or made.
type Claimed struct {
	ContactID  int64
	IdentityID int64 // of the primary address
	Name       string
	OwnerID    int64
	Created    bool // the contact is new with this claim
}

// nameless is what a contact without any name is called until somebody gives him one.
const nameless = "Unknown"

// How readIdentities holds the rows.
const (
	lockNone   = "OFFSET 0" // keeps the look-up a probe by key
	lockShare  = "FOR SHARE"
	lockUpdate = "FOR UPDATE"
)

type claimKey struct{ kind, value string }

// group is one person of the batch: claims that share an address.
type group struct {
	keys     []claimKey
	claims   []int
	contact  int64
	reserved bool // the contact id is ours, the row is still to be written
}

type identityRow struct {
	ID          int64
	Kind        string
	Value       string
	ContactID   int64
	Display     string
	Unreachable string
	Stale       bool // last seen more than a day ago
	Name        string
	NameSource  string
	OwnerID     int64
	Language    string
}

// Claim finds or creates the contact of each claim, in the caller's transaction (CRM.md 4.3, steps 1-5): identities
// are inserted with a reserved contact id, on conflict do nothing, then read under a row lock in key order; lowest
// contact wins, and contacts that the provider asserts to be one person are merged. Claims of one batch that share an
// address are one person. The events that belong to it are appended.
//
// All claims of a batch are handled by the same few statements, whatever its size.
func (s *Service) Claim(ctx context.Context, tx pgx.Tx, claims []Claim) ([]Claimed, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	groups := groupClaims(claims)
	var kinds, values []string
	var no []int32
	for gi, g := range groups {
		for _, k := range g.keys {
			kinds, values, no = append(kinds, k.kind), append(values, k.value), append(no, int32(gi))
		}
	}
	sortKeys(kinds, values, no)

	unproven := unprovenKeys(claims)
	if err := retire(ctx, tx, unproven); err != nil {
		return nil, fmt.Errorf("part unproven senders from known people: %w", err)
	}
	before, err := readIdentities(ctx, tx, kinds, values, lockNone)
	if err != nil {
		return nil, fmt.Errorf("look up identities: %w", err)
	}
	lock := lockShare
	if needsWrite(claims, groups, before) {
		lock = lockUpdate
	}
	mine := map[claimKey]int64{}
	if len(before) < len(kinds) {
		if mine, err = insertIdentities(ctx, tx, claims, groups, before, kinds, values, no); err != nil {
			return nil, fmt.Errorf("claim identities: %w", err)
		}
	}
	rows, err := readIdentities(ctx, tx, kinds, values, lock)
	if err != nil {
		return nil, fmt.Errorf("lock identities: %w", err)
	}
	if err := stillUnproven(ctx, tx, unproven); err != nil {
		return nil, err
	}
	return s.settle(ctx, tx, claims, groups, rows, mine)
}

// settle decides for each group which contact it is, and writes what the claim changes.
func (s *Service) settle(ctx context.Context, tx pgx.Tx, claims []Claim, groups []*group, rows map[claimKey]identityRow, mine map[claimKey]int64) ([]Claimed, error) {
	w := claimWriter{out: make([]Claimed, len(claims))}
	for _, g := range groups {
		var old []int64
		for _, k := range g.keys {
			r, ok := rows[k]
			if !ok {
				return nil, fmt.Errorf("identity %s vanished during its claim", k.kind)
			}
			if _, isMine := mine[k]; isMine {
				g.contact = r.ContactID
				continue
			}
			if !slices.Contains(old, r.ContactID) {
				old = append(old, r.ContactID)
			}
		}
		if len(old) == 0 {
			g.reserved = true
			w.create(claims, g)
		} else {
			slices.Sort(old)
			reserved := g.contact
			g.contact = old[0]
			if reserved != 0 {
				w.adopt(g, rows, mine)
			}
		}
		for _, loser := range old[min(1, len(old)):] {
			if err := s.mergeOne(ctx, tx, events.Actor{Kind: "system"}, mergeKindProvider, 0, g.contact, loser); err != nil {
				return nil, fmt.Errorf("merge contact %d into %d: %w", loser, g.contact, err)
			}
		}
		for _, ci := range g.claims {
			first := claims[ci].Addresses[0]
			r := rows[claimKey{first.Kind, first.Value}]
			name, owner := r.Name, r.OwnerID
			if g.reserved || name == "" {
				name, owner = bestName(claims, g), 0
			}
			w.out[ci] = Claimed{ContactID: g.contact, IdentityID: r.ID, Name: name, OwnerID: owner, Created: g.reserved}
			if !g.reserved {
				w.refresh(claims[ci], r, g.contact, &w.out[ci])
			}
			w.assert(claims[ci], g.contact)
		}
	}
	return w.out, w.flush(ctx, tx)
}

// groupClaims joins claims that share an address: they are one person.
func groupClaims(claims []Claim) []*group {
	owner := map[claimKey]*group{}
	var groups []*group
	for i := range claims {
		var g *group
		for _, a := range claims[i].Addresses {
			if o := owner[claimKey{a.Kind, a.Value}]; o != nil && o != g {
				if g == nil {
					g = o
					continue
				}
				for _, k := range o.keys { // two groups turn out to be one person
					owner[k] = g
				}
				g.keys, g.claims = append(g.keys, o.keys...), append(g.claims, o.claims...)
				o.keys, o.claims = nil, nil
			}
		}
		if g == nil {
			g = &group{}
			groups = append(groups, g)
		}
		g.claims = append(g.claims, i)
		for _, a := range claims[i].Addresses {
			k := claimKey{a.Kind, a.Value}
			if owner[k] == nil {
				owner[k] = g
				g.keys = append(g.keys, k)
			}
		}
	}
	return slices.DeleteFunc(groups, func(g *group) bool { return len(g.claims) == 0 })
}

// needsWrite reports whether known identities will be changed: links, names, reachability, a stale last_seen. Taking
// the stronger lock at once avoids the upgrade from share to update, on which two transactions would deadlock.
func needsWrite(claims []Claim, groups []*group, before map[claimKey]identityRow) bool {
	for _, g := range groups {
		if len(g.keys) > 1 {
			return true
		}
		r, known := before[g.keys[0]]
		if !known {
			continue
		}
		for _, ci := range g.claims {
			if r.Stale || changes(claims[ci], r) {
				return true
			}
		}
	}
	return false
}

func changes(c Claim, r identityRow) bool {
	if c.Unproven { // what anybody can type renames nobody
		return false
	}
	return (c.Display != "" && c.Display != r.Display) || (c.Unreachable != nil && *c.Unreachable != r.Unreachable) ||
		(c.Name != "" && c.Name != r.Name && r.NameSource == "pushed") || (c.Language != "" && r.Language == "")
}

func bestName(claims []Claim, g *group) string {
	name := ""
	for _, ci := range g.claims {
		c := claims[ci]
		switch {
		case c.Name != "":
			name = c.Name
		case name == "" && c.Display != "":
			name = c.Display
		case name == "" && len(c.Addresses) > 0 && (c.Addresses[0].Kind == KindPhone || c.Addresses[0].Kind == KindEmail):
			name = c.Addresses[0].Raw
		}
	}
	if strings.TrimSpace(name) == "" {
		name = nameless
	}
	return clipName(name)
}

func clipName(s string) string {
	r := []rune(strings.TrimSpace(s))
	if len(r) > 200 {
		r = r[:200]
	}
	return string(r)
}

func sortKeys(kinds, values []string, no []int32) {
	sort.Sort(&keySort{kinds, values, no})
}

type keySort struct {
	kinds, values []string
	no            []int32
}

func (k *keySort) Len() int { return len(k.kinds) }
func (k *keySort) Less(i, j int) bool {
	return k.kinds[i] < k.kinds[j] || k.kinds[i] == k.kinds[j] && k.values[i] < k.values[j]
}

func (k *keySort) Swap(i, j int) {
	k.kinds[i], k.kinds[j] = k.kinds[j], k.kinds[i]
	k.values[i], k.values[j] = k.values[j], k.values[i]
	k.no[i], k.no[j] = k.no[j], k.no[i]
}

func namedOwner(v int64) *ids.ID {
	if v == 0 {
		return nil
	}
	id := ids.ID(v)
	return &id
}

var _ postgres.DB = pgx.Tx(nil)
