package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

// Channels keeps the accounts through which customers reach us: settings, sealed secrets, and the state that the
// supervisor reports. It is the supervisor's source.
//
// A channel is created even when its provider does not answer: it stands there as failed with the reason, and tries
// again. Secrets are sealed with the row's id and never given out.
type Channels struct {
	pool    *pgxpool.Pool
	bus     bus.Bus
	box     *secret.Box
	kinds   map[string]channels.Kind
	baseURL string
	log     *slog.Logger
	changed chan struct{}

	mu   sync.Mutex
	caps map[capsKey]channels.Capabilities
}

type capsKey struct {
	id      int64
	version int
}

// NewChannels makes the room's channel desk. baseURL is the hub's public address, for webhooks.
func NewChannels(pool *pgxpool.Pool, b bus.Bus, box *secret.Box, kinds map[string]channels.Kind, baseURL string, log *slog.Logger) *Channels {
	return &Channels{
		pool: pool, bus: b, box: box, kinds: kinds, baseURL: baseURL, log: log.With("component", "channels"), changed: make(chan struct{}, 1),
		caps: map[capsKey]channels.Capabilities{},
	}
}

var _ channels.Source = (*Channels)(nil)

// NewChannel is what an admin says of a channel; ChannelPatch changes it, nil leaves as it is. An empty secret setting
// in a patch means "as it was".
type (
	NewChannel struct {
		Kind       string         `json:"kind" maxLength:"32"`
		Name       string         `json:"name" maxLength:"400"`
		TeamID     *ids.ID        `json:"team_id,omitempty"`
		PipelineID *ids.ID        `json:"pipeline_id,omitempty"`
		Region     string         `json:"region,omitempty" maxLength:"2" doc:"default country of phone numbers, ISO 3166"`
		ReopenDays *int           `json:"reopen_days,omitempty"`
		Settings   map[string]any `json:"settings,omitempty"`
		Sample     bool           `json:"-"`
	}
	ChannelPatch struct {
		Version    *int           `json:"version,omitempty"`
		Name       *string        `json:"name,omitempty" maxLength:"400"`
		TeamID     ids.Patch      `json:"team_id,omitempty"`
		PipelineID ids.Patch      `json:"pipeline_id,omitempty"`
		Region     *string        `json:"region,omitempty" maxLength:"2"`
		ReopenDays *int           `json:"reopen_days,omitempty"`
		Enabled    *bool          `json:"enabled,omitempty"`
		Settings   map[string]any `json:"settings,omitempty"`
	}
)

func (c *Channels) kind(name string) (channels.Kind, error) {
	k, ok := c.kinds[name]
	if !ok {
		return k, errs.Field("kind", "is no kind of channel: there are %v", slices.Sorted(maps.Keys(c.kinds)))
	}
	return k, nil
}

func checkChannel(name, region string, reopen int) error {
	switch {
	case len([]rune(name)) < 1 || len([]rune(name)) > 100 || storable(name, 400) != name:
		return errs.Field("name", "needs 1 to 100 characters")
	case region != "" && (len(region) != 2 || region[0] < 'A' || region[0] > 'Z' || region[1] < 'A' || region[1] > 'Z'):
		return errs.Field("region", "is a country code of two capital letters")
	case reopen < 0 || reopen > 3650:
		return errs.Field("reopen_days", "lies between 0 and 3650")
	}
	return nil
}

// Create stores a channel; the supervisor starts it at once.
func (c *Channels) Create(ctx context.Context, a staff.Access, n NewChannel) (Channel, error) {
	if err := may(a, staff.ManageChannels, "add channels"); err != nil {
		return Channel{}, err
	}
	k, err := c.kind(n.Kind)
	if err != nil {
		return Channel{}, err
	}
	reopen := 7
	if n.ReopenDays != nil {
		reopen = *n.ReopenDays
	}
	if err := checkChannel(n.Name, n.Region, reopen); err != nil {
		return Channel{}, err
	}
	if n.Settings == nil {
		n.Settings = map[string]any{}
	}
	all, err := completeSettings(k, n.Settings, nil)
	if err != nil {
		return Channel{}, err
	}
	plain, hidden := split(k, all)
	var out Channel
	err = c.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var id int64
		err := tx.QueryRow(ctx, `
INSERT INTO channel (kind, name, team_id, pipeline_id, settings, region, reopen_days, sample, receive_only) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
			k.Name, n.Name, nullableID(n.TeamID), nullableID(n.PipelineID), plain, n.Region, reopen, n.Sample, k.ReceiveOnly).Scan(&id)
		if err != nil {
			return nil, reference(err)
		}
		if err := c.seal(ctx, tx, id, hidden); err != nil {
			return nil, err
		}
		out, err = c.load(ctx, tx, id)
		return c.event(EventChannelUpdated, a.Actor(), out), err
	})
	return out, err
}

// Update changes a channel; errs.Conflict when p.Version is old.
func (c *Channels) Update(ctx context.Context, a staff.Access, id ids.ID, p ChannelPatch) (Channel, error) {
	if err := may(a, staff.ManageChannels, "change channels"); err != nil {
		return Channel{}, err
	}
	var out Channel
	err := c.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		old, sealed, err := lockChannel(ctx, tx, int64(id))
		if err != nil {
			return nil, err
		}
		if p.Version != nil && *p.Version != old.Version {
			return nil, errs.New(errs.Conflict, "Somebody changed this channel meanwhile: look again.")
		}
		n := NewChannel{Name: orOld(p.Name, old.Name), Region: orOld(p.Region, old.Region)}
		reopen := orOld(p.ReopenDays, old.ReopenDays)
		if err := checkChannel(n.Name, n.Region, reopen); err != nil {
			return nil, err
		}
		team, pipeline := old.TeamID, old.PipelineID
		if p.TeamID.Set {
			team = ids.Ptr(p.TeamID.ID)
		}
		if p.PipelineID.Set {
			pipeline = ids.Ptr(p.PipelineID.ID)
		}
		if p.Settings != nil {
			if err := c.changeSettings(ctx, tx, old, sealed, p.Settings); err != nil {
				return nil, err
			}
		}
		_, err = tx.Exec(ctx, `
UPDATE channel SET version = version + 1, name = $2, team_id = $3, pipeline_id = $4, region = $5, reopen_days = $6, enabled = $7 WHERE id = $1`,
			int64(id), n.Name, nullableID(team), nullableID(pipeline), n.Region, reopen, orOld(p.Enabled, old.Enabled))
		if err != nil {
			return nil, reference(err)
		}
		out, err = c.load(ctx, tx, int64(id))
		return c.event(EventChannelUpdated, a.Actor(), out), err
	})
	return out, err
}

func (c *Channels) changeSettings(ctx context.Context, tx pgx.Tx, old Channel, sealed []byte, settings map[string]any) error {
	k, err := c.kind(old.Kind)
	if err != nil {
		return err
	}
	before, err := c.open(int64(old.ID), sealed)
	if err != nil {
		return err
	}
	stored := cloneSettings(old.Settings)
	for name, v := range before {
		putSetting(stored, name, v)
	}
	all, err := completeSettings(k, keepSecrets(k, settings, before), stored)
	if err != nil {
		return err
	}
	plain, hidden := split(k, all)
	if _, err := tx.Exec(ctx, `UPDATE channel SET settings = $2, state = 'connecting', reason = '', state_at = now() WHERE id = $1`, int64(old.ID), plain); err != nil {
		return err
	}
	return c.seal(ctx, tx, int64(old.ID), hidden)
}

// Delete takes a channel away. Its conversations stay and can be read; nothing more comes or goes.
func (c *Channels) Delete(ctx context.Context, a staff.Access, id ids.ID) error {
	if err := may(a, staff.ManageChannels, "remove channels"); err != nil {
		return err
	}
	return c.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, `
UPDATE channel SET deleted_at = now(), enabled = false, secret = NULL, version = version + 1 WHERE id = $1 AND deleted_at IS NULL`, int64(id))
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			return nil, noChannel()
		}
		if err := settleRemoved(ctx, tx, int64(id)); err != nil {
			return nil, err
		}
		return []events.Event{{
			Kind: EventChannelDeleted, Actor: a.Actor(), SubjectKind: "channel", SubjectID: id.String(),
			Payload: map[string]any{"id": id},
		}}, nil
	})
}

// settleRemoved takes what waits for a removed channel out of the queue and shows it as failed, for the way is gone. What
// is on its way at this moment is uncertain until its sender says more, if he still lives.
func settleRemoved(ctx context.Context, tx pgx.Tx, id int64) error {
	rows, err := tx.Query(ctx, `
WITH gone AS (
    UPDATE outbox SET state = CASE state WHEN 'queued' THEN 'failed' ELSE 'uncertain' END, error = 'The channel was removed.', done_at = now()
    WHERE channel_id = $1 AND state IN ('queued', 'sending') RETURNING message_at, message_id, state)
UPDATE message m SET status = gone.state, error = 'The channel was removed.', version = m.version + 1 FROM gone
WHERE m.at = gone.message_at AND m.id = gone.message_id AND m.status IN ('queued', 'sending') RETURNING m.at, m.id`, id)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[MessageKey])
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := publishMessage(ctx, tx, systemActor, k); err != nil {
			return err
		}
	}
	return nil
}

// Test connects with the given settings and says which step failed. id, when given, lends the secrets that are stored.
func (c *Channels) Test(ctx context.Context, a staff.Access, kind string, settings map[string]any, id *ids.ID) error {
	if err := may(a, staff.ManageChannels, "test channels"); err != nil {
		return err
	}
	k, err := c.kind(kind)
	if err != nil {
		return err
	}
	account := channels.Account{Kind: kind, BaseURL: c.baseURL}
	if id != nil {
		account.ID = int64(*id)
		var sealed []byte
		if err := c.pool.QueryRow(ctx, `SELECT secret FROM channel WHERE id = $1 AND kind = $2`, int64(*id), kind).Scan(&sealed); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		before, err := c.open(int64(*id), sealed)
		if err != nil {
			return err
		}
		settings = keepSecrets(k, settings, before)
	}
	all, err := completeSettings(k, settings, map[string]any{})
	if err != nil {
		return err
	}
	if account.Settings, err = json.Marshal(all); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return k.Probe(ctx, account)
}

func (c *Channels) change(ctx context.Context, fn func(tx pgx.Tx) ([]events.Event, error)) error {
	err := postgres.InTx(ctx, c.pool, func(tx pgx.Tx) error {
		evs, err := fn(tx)
		if err != nil {
			return err
		}
		if err := idem.Done(ctx, tx); err != nil {
			return err
		}
		return events.Append(ctx, tx, evs...)
	})
	if err == nil {
		events.Wake(c.bus)
		_ = c.bus.Publish(subjectChannels, nil) // lost: the supervisors look by themselves
		c.nudge()
	}
	return err
}

// subjectChannels tells the supervisors of all nodes that a channel was added, changed or removed.
const subjectChannels = "channels"

func (c *Channels) nudge() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Run passes on what other nodes changed, until ctx ends.
func (c *Channels) Run(ctx context.Context) error {
	stop, err := c.bus.Subscribe(subjectChannels, func(string, []byte) { c.nudge() })
	if err != nil {
		return fmt.Errorf("listen for changed channels: %w", err)
	}
	defer stop()
	<-ctx.Done()
	return nil
}

// Changed implements channels.Source.
func (c *Channels) Changed() <-chan struct{} { return c.changed }

func noChannel() error { return errs.New(errs.NotFound, "There is no such channel.") }

func nullableID(p *ids.ID) *int64 {
	if p == nil || *p == 0 {
		return nil
	}
	v := int64(*p)
	return &v
}

func orOld[T any](p *T, old T) T {
	if p == nil {
		return old
	}
	return *p
}
