package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// How somebody is told: not at all, in the bell, or in the bell and on his devices.
const (
	Off  = "off"
	Bell = "bell"
	Push = "push"
)

// Settings are one agent's: how he is told of each kind, and whether a sound is played when he is not on the tab.
type Settings struct {
	Assigned string `json:"assigned" enum:"off,bell,push"`
	Message  string `json:"message" enum:"off,bell,push"`
	Mention  string `json:"mention" enum:"off,bell,push"`
	Queue    string `json:"queue" enum:"off,bell,push"`
	Sound    bool   `json:"sound"`
}

// DefaultSettings are those of somebody who never chose.
func DefaultSettings() Settings {
	return Settings{Assigned: Push, Message: Push, Mention: Push, Queue: Bell, Sound: true}
}

func (s Settings) of(kind string) string {
	switch kind {
	case Assigned:
		return s.Assigned
	case Message:
		return s.Message
	case Called:
		return s.Mention
	case Queue:
		return s.Queue
	}
	return Off
}

const (
	settingsSQL    = `SELECT agent_id, value FROM notify_setting WHERE agent_id = ANY ($1::bigint[])`
	putSettingsSQL = `INSERT INTO notify_setting (agent_id, value) VALUES ($1, $2) ON CONFLICT (agent_id) DO UPDATE SET value = excluded.value`
)

// Settings returns the caller's.
func (s *Service) Settings(ctx context.Context, a staff.Access) (Settings, error) {
	all, err := settingsOf(ctx, s.pool, []int64{int64(a.AgentID)})
	if err != nil {
		return Settings{}, err
	}
	return all(int64(a.AgentID)), nil
}

// SetSettings replaces the caller's.
func (s *Service) SetSettings(ctx context.Context, a staff.Access, in Settings) (Settings, error) {
	for field, v := range map[string]string{"assigned": in.Assigned, "message": in.Message, "mention": in.Mention, "queue": in.Queue} {
		if v != Off && v != Bell && v != Push {
			return in, errs.Field(field, "must be off, bell or push")
		}
	}
	value, err := json.Marshal(in)
	if err != nil {
		return in, err
	}
	_, err = s.pool.Exec(ctx, putSettingsSQL, int64(a.AgentID), string(value))
	return in, err
}

// settingsOf reads the settings of some agents; the function answers the defaults for whoever has none.
func settingsOf(ctx context.Context, db postgres.DB, agents []int64) (func(agent int64) Settings, error) {
	rows, err := db.Query(ctx, settingsSQL, agents)
	if err != nil {
		return nil, fmt.Errorf("read notification settings: %w", err)
	}
	found := map[int64]Settings{}
	var agent int64
	var value []byte
	_, err = pgx.ForEachRow(rows, []any{&agent, &value}, func() error {
		v := DefaultSettings() // what a later version adds is as it comes
		err := json.Unmarshal(value, &v)
		found[agent] = v
		return err
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read notification settings: %w", err)
	}
	return func(agent int64) Settings {
		if v, ok := found[agent]; ok {
			return v
		}
		return DefaultSettings()
	}, nil
}
