package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// maxSettings bounds what an admin may store as settings of one channel, in bytes of JSON.
const maxSettings = 32 << 10

// checkSettings lets the kind judge the settings; a wrong one is named as the field settings.<name>.
func checkSettings(k channels.Kind, settings map[string]any) (map[string]any, error) {
	if settings == nil {
		settings = map[string]any{}
	}
	raw, err := json.Marshal(settings)
	if err != nil || len(raw) > maxSettings {
		return nil, errs.Field("settings", "are too large")
	}
	if err := k.Check(raw); err != nil {
		var fe *channels.FieldError
		if errors.As(err, &fe) {
			return nil, errs.Field("settings."+fe.Field, "%s", fe.Msg)
		}
		return nil, errs.Field("settings", "%s", err)
	}
	return settings, nil
}

// completeSettings adds what the hub makes itself, and lets the kind judge the whole.
func completeSettings(k channels.Kind, settings, before map[string]any) (map[string]any, error) {
	if k.Complete != nil {
		if err := k.Complete(settings, before); err != nil {
			return nil, fmt.Errorf("complete settings of %s: %w", k.Name, err)
		}
	}
	return checkSettings(k, settings)
}

// split parts what may be shown from what is sealed.
func split(k channels.Kind, all map[string]any) (plain, hidden map[string]any) {
	plain, hidden = cloneSettings(all), map[string]any{}
	for _, name := range k.Secrets {
		if v, given := settingAt(plain, name); given {
			dropSetting(plain, name)
			if v != "" && v != nil {
				hidden[name] = v
			}
		}
	}
	return plain, hidden
}

// keepSecrets puts what was stored in the place of secrets that settings leave empty.
func keepSecrets(k channels.Kind, settings, before map[string]any) map[string]any {
	merged := cloneSettings(settings)
	for _, name := range k.Secrets {
		if v, given := settingAt(merged, name); !given || v == "" {
			if kept, had := before[name]; had {
				putSetting(merged, name, kept)
			}
		}
	}
	return merged
}

// cloneSettings copies settings with the objects inside.
func cloneSettings(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		if inner, ok := v.(map[string]any); ok {
			v = cloneSettings(inner)
		}
		out[name] = v
	}
	return out
}

// settingAt reads a setting by its name; "imap.password" stands in the object "imap".
func settingAt(m map[string]any, name string) (v any, given bool) {
	head, rest, nested := strings.Cut(name, ".")
	v, given = m[head]
	if !nested {
		return v, given
	}
	inner, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return settingAt(inner, rest)
}

func putSetting(m map[string]any, name string, v any) {
	head, rest, nested := strings.Cut(name, ".")
	if !nested {
		m[head] = v
		return
	}
	inner, ok := m[head].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[head] = inner
	}
	putSetting(inner, rest, v)
}

func dropSetting(m map[string]any, name string) {
	head, rest, nested := strings.Cut(name, ".")
	if !nested {
		delete(m, head)
		return
	}
	if inner, ok := m[head].(map[string]any); ok {
		dropSetting(inner, rest)
	}
}

// sealedFor binds a secret to its row, so that it opens nowhere else.
func sealedFor(id int64) string { return fmt.Sprintf("channel:%d", id) }

func (c *Channels) seal(ctx context.Context, tx postgres.DB, id int64, hidden map[string]any) error {
	raw, err := json.Marshal(hidden)
	if err != nil {
		return err
	}
	sealed, err := c.box.Seal(sealedFor(id), raw)
	if err != nil {
		return fmt.Errorf("seal settings of channel %d: %w", id, err)
	}
	_, err = tx.Exec(ctx, `UPDATE channel SET secret = $2 WHERE id = $1`, id, sealed)
	return err
}

func (c *Channels) open(id int64, sealed []byte) (map[string]any, error) {
	out := map[string]any{}
	if len(sealed) == 0 {
		return out, nil
	}
	raw, err := c.box.Open(sealedFor(id), sealed)
	if err != nil {
		return nil, &errs.E{Code: errs.Conflict, Msg: "The secrets of this channel cannot be opened with the key in use: enter them again.", Err: err}
	}
	return out, json.Unmarshal(raw, &out)
}

// reference words a foreign key that points nowhere.
func reference(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23503" {
		field := "team_id"
		if pg.ConstraintName == "channel_pipeline_id_fkey" {
			field = "pipeline_id"
		}
		return errs.Field(field, "does not exist")
	}
	return err
}
