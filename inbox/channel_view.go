package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	channelColumns = `c.id, c.version, c.kind, c.name, c.team_id, c.pipeline_id, c.region, c.reopen_days, c.enabled, c.sample, c.settings, c.secret,
 c.state, c.reason, c.state_at, c.until, c.last_event_at, c.lag_ms`
	listChannelsSQL = `SELECT ` + channelColumns + ` FROM channel c WHERE c.deleted_at IS NULL AND ($1::bigint = 0 OR c.id = $1) ORDER BY c.id`
	lockChannelSQL  = `SELECT ` + channelColumns + ` FROM channel c WHERE c.deleted_at IS NULL AND c.id = $1 FOR UPDATE`
	channelLoadSQL  = `
SELECT o.channel_id, count(*) FILTER (WHERE o.state = 'queued')::int, count(*) FILTER (WHERE o.state = 'failed')::int, count(*) FILTER (WHERE o.state = 'uncertain')::int,
       (SELECT count(*)::int FROM quarantine q WHERE q.channel_id = o.channel_id AND q.resolved_at IS NULL)
FROM outbox o WHERE o.channel_id = ANY ($1::bigint[]) AND o.state IN ('queued', 'failed', 'uncertain') GROUP BY o.channel_id
UNION ALL
SELECT q.channel_id, 0, 0, 0, count(*)::int FROM quarantine q WHERE q.channel_id = ANY ($1::bigint[]) AND q.resolved_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = q.channel_id AND o.state IN ('queued', 'failed', 'uncertain')) GROUP BY q.channel_id`
)

// sealedChannel is a channel with its secrets still sealed.
type sealedChannel struct {
	Channel
	secret []byte
}

func scanChannel(row pgx.CollectableRow) (sealedChannel, error) {
	var s sealedChannel
	var settings []byte
	err := row.Scan(&s.ID, &s.Version, &s.Kind, &s.Name, &s.TeamID, &s.PipelineID, &s.Region, &s.ReopenDays, &s.Enabled, &s.Sample, &settings, &s.secret,
		&s.State, &s.Reason, &s.StateAt, &s.Until, &s.LastEventAt, &s.LagMS)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(settings, &s.Settings)
}

func lockChannel(ctx context.Context, tx pgx.Tx, id int64) (Channel, []byte, error) {
	rows, err := tx.Query(ctx, lockChannelSQL, id)
	if err != nil {
		return Channel{}, nil, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanChannel)
	if errors.Is(err, pgx.ErrNoRows) {
		return Channel{}, nil, noChannel()
	}
	return s.Channel, s.secret, err
}

// List shows all channels with their health. Settings are for those who manage channels; secrets are for nobody.
func (c *Channels) List(ctx context.Context, a staff.Access) ([]Channel, error) {
	return c.read(ctx, c.pool, a.Can(staff.ManageChannels), 0)
}

// Get shows one channel.
func (c *Channels) Get(ctx context.Context, a staff.Access, id ids.ID) (Channel, error) {
	list, err := c.read(ctx, c.pool, a.Can(staff.ManageChannels), int64(id))
	if err != nil || len(list) == 0 || id == 0 {
		if err == nil {
			err = noChannel()
		}
		return Channel{}, err
	}
	return list[0], nil
}

func (c *Channels) load(ctx context.Context, db postgres.DB, id int64) (Channel, error) {
	list, err := c.read(ctx, db, true, id)
	if err != nil || len(list) == 0 {
		if err == nil {
			err = noChannel()
		}
		return Channel{}, err
	}
	return list[0], nil
}

func (c *Channels) read(ctx context.Context, db postgres.DB, settings bool, id int64) ([]Channel, error) {
	rows, err := db.Query(ctx, listChannelsSQL, id)
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanChannel)
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	out := make([]Channel, len(list))
	at := map[int64]int{}
	for i, s := range list {
		out[i] = c.dress(s, settings)
		at[int64(s.ID)] = i
	}
	rows, err = db.Query(ctx, channelLoadSQL, slices.Collect(maps.Keys(at)))
	if err != nil {
		return nil, fmt.Errorf("read queues of channels: %w", err)
	}
	var ch int64
	var queued, failed, uncertain, aside int
	_, err = pgx.ForEachRow(rows, []any{&ch, &queued, &failed, &uncertain, &aside}, func() error {
		x := &out[at[ch]]
		x.Queued, x.Failed, x.Uncertain, x.Quarantined = queued, failed, uncertain, aside
		return nil
	})
	return out, err
}

// maxShownSignature is how much of a signature goes along with a channel, in characters.
const maxShownSignature = 1000

// dress adds what the kind knows, and hides what is nobody's business.
func (c *Channels) dress(s sealedChannel, settings bool) Channel {
	out := s.Channel
	out.SettingsSet = []string{}
	hidden, err := c.open(int64(s.ID), s.secret)
	if err != nil {
		out.State, out.Reason = string(channels.Failed), err.Error()
	}
	if a, err := c.account(s, hidden); err == nil {
		out.Capabilities = c.capabilities(a, s.Version)
	}
	if out.Capabilities.Reactions == nil {
		out.Capabilities.Reactions = []string{}
	}
	if out.Capabilities.Recipients { // whoever answers has to know as whom
		out.Address, _ = s.Settings["address"].(string)
		signature, _ := s.Settings["signature"].(string)
		out.Signature = clipRunes(signature, maxShownSignature)
	}
	if !settings {
		out.Settings = map[string]any{}
		return out
	}
	for _, name := range c.kinds[s.Kind].Secrets {
		putSetting(out.Settings, name, "")
		if _, set := hidden[name]; set {
			out.SettingsSet = append(out.SettingsSet, name)
		}
	}
	return out
}

func (c *Channels) account(s sealedChannel, hidden map[string]any) (channels.Account, error) {
	all := cloneSettings(s.Settings)
	for name, v := range hidden {
		putSetting(all, name, v)
	}
	raw, err := json.Marshal(all)
	return channels.Account{
		ID: int64(s.ID), Kind: s.Kind, Name: s.Name, Settings: raw, Cursors: map[string]string{}, BaseURL: c.baseURL, Region: s.Region,
		Key: c.box.Derive(sealedFor(int64(s.ID))),
	}, err
}

// capabilities asks an adapter that is never run; the answer is kept per version of the channel.
func (c *Channels) capabilities(a channels.Account, version int) channels.Capabilities {
	key := capsKey{a.ID, version}
	c.mu.Lock()
	defer c.mu.Unlock()
	if caps, ok := c.caps[key]; ok {
		return caps
	}
	k, ok := c.kinds[a.Kind]
	if !ok {
		return channels.Capabilities{}
	}
	adapter, err := k.New(a)
	if err != nil {
		return channels.Capabilities{}
	}
	caps := adapter.Capabilities()
	caps.ReceiveOnly = k.ReceiveOnly
	maps.DeleteFunc(c.caps, func(k capsKey, _ channels.Capabilities) bool { return k.id == a.ID })
	c.caps[key] = caps
	return caps
}

// capabilitiesOf tells what a channel can do; none of them when it is gone.
func (c *Channels) capabilitiesOf(ctx context.Context, id int64) (channels.Capabilities, error) {
	var version int
	err := c.pool.QueryRow(ctx, `SELECT version FROM channel WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return channels.Capabilities{}, nil // whoever sends there is told so by the send
	}
	if err != nil {
		return channels.Capabilities{}, err
	}
	c.mu.Lock()
	caps, ok := c.caps[capsKey{id, version}]
	c.mu.Unlock()
	if ok {
		return caps, nil
	}
	ch, err := c.load(ctx, c.pool, id)
	return ch.Capabilities, err
}

// Suggest finds the settings of a channel of that kind for an address.
func (c *Channels) Suggest(ctx context.Context, a staff.Access, kind, address string) (any, error) {
	if err := may(a, staff.ManageChannels, "set up channels"); err != nil {
		return nil, err
	}
	k, err := c.kind(kind)
	if err != nil {
		return nil, err
	}
	if k.Suggest == nil {
		return nil, errs.New(errs.NotFound, "Nothing is known about the settings of such a channel.")
	}
	out, err := k.Suggest(ctx, address)
	var fe *channels.FieldError
	if errors.As(err, &fe) {
		return nil, errs.Field(fe.Field, "%s", fe.Msg)
	}
	return out, err
}

// Accounts implements channels.Source: the enabled channels with their secrets opened.
func (c *Channels) Accounts(ctx context.Context) ([]channels.Account, error) {
	return c.accounts(ctx, 0)
}

// Account implements channels.Source.
func (c *Channels) Account(ctx context.Context, id int64) (channels.Account, error) {
	list, err := c.accounts(ctx, id)
	if err != nil {
		return channels.Account{}, err
	}
	if len(list) == 0 {
		return channels.Account{}, channels.ErrNoChannel
	}
	return list[0], nil
}

func (c *Channels) accounts(ctx context.Context, id int64) ([]channels.Account, error) {
	rows, err := c.pool.Query(ctx, listChannelsSQL, id)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanChannel)
	if err != nil {
		return nil, err
	}
	cursors, err := c.cursors(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []channels.Account
	for _, s := range list {
		if !s.Enabled {
			continue
		}
		hidden, err := c.open(int64(s.ID), s.secret)
		if err != nil {
			c.report(ctx, int64(s.ID), channels.State{Kind: channels.Failed, Reason: err.Error()})
			continue
		}
		a, err := c.account(s, hidden)
		if err != nil {
			return nil, err
		}
		if m := cursors[a.ID]; m != nil {
			a.Cursors = m
		}
		out = append(out, a)
	}
	return out, nil
}

func (c *Channels) cursors(ctx context.Context, id int64) (map[int64]map[string]string, error) {
	rows, err := c.pool.Query(ctx, `SELECT channel_id, name, value FROM channel_cursor WHERE $1::bigint = 0 OR channel_id = $1`, id)
	if err != nil {
		return nil, err
	}
	out := map[int64]map[string]string{}
	var ch int64
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&ch, &name, &value}, func() error {
		if out[ch] == nil {
			out[ch] = map[string]string{}
		}
		out[ch][name] = value
		return nil
	})
	return out, err
}

func (c *Channels) report(ctx context.Context, id int64, st channels.State) {
	if err := c.SetState(ctx, id, st); err != nil {
		c.log.WarnContext(ctx, "report channel state", "channel_id", id, "err", err)
	}
}

// SetState keeps what a channel's connection is doing; only a change is written and told.
func (c *Channels) SetState(ctx context.Context, id int64, st channels.State) error {
	var until *time.Time
	if !st.Until.IsZero() {
		until = &st.Until
	}
	changed := false
	err := postgres.InTx(ctx, c.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
UPDATE channel SET state = $2, reason = $3, until = $4, state_at = now()
WHERE id = $1 AND deleted_at IS NULL AND (state, reason, until) IS DISTINCT FROM ($2::text, $3::text, $4::timestamptz)`, id, string(st.Kind), storable(st.Reason, 1000), until)
		if changed = err == nil && tag.RowsAffected() > 0; !changed {
			return err
		}
		ch, err := c.load(ctx, tx, id)
		if err != nil {
			return err
		}
		return events.Append(ctx, tx, c.event(EventChannelUpdated, systemActor, ch)...)
	})
	if err == nil && changed {
		events.Wake(c.bus)
	}
	return err
}

// event tells everybody about a channel, without its settings.
func (c *Channels) event(kind string, by events.Actor, ch Channel) []events.Event {
	ch.Settings, ch.SettingsSet = map[string]any{}, []string{}
	return []events.Event{{Kind: kind, Actor: by, SubjectKind: "channel", SubjectID: ch.ID.String(), Payload: ch}}
}

// Sink is the hub's side of one channel for the adapter that runs under the lease of that epoch (0 = a webhook).
func (c *Channels) Sink(g *Ingester, id, epoch int64) channels.Sink {
	return channelSink{c, g, id, epoch}
}

type channelSink struct {
	channels  *Channels
	ingester  *Ingester
	id, epoch int64
}

func (s channelSink) Ingest(ctx context.Context, b channels.Batch) error {
	return s.ingester.Ingest(ctx, s.id, s.epoch, b)
}

func (s channelSink) State(ctx context.Context, st channels.State) error {
	return s.channels.SetState(ctx, s.id, st)
}
