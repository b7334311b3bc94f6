package inbox

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

// Whoever answers has to know as whom, also without the right to see the settings.
func TestAgentsKnowTheAddressAndNothingElse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	box, _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]channels.Kind{"email": {Name: "email", Check: func(json.RawMessage) error { return nil }, New: func(channels.Account) (channels.Adapter, error) { return postbox{}, nil }}}
	desk := NewChannels(o.pool, o.bus, box, kinds, "http://hub.test", slog.New(slog.DiscardHandler))
	settings, err := json.Marshal(map[string]any{"address": "sales@hub.example", "signature": strings.Repeat("ሰ", 3000), "imap": map[string]any{"host": "imap.hub.example"}})
	if err != nil {
		t.Fatal(err)
	}
	mail := o.id(`INSERT INTO channel (kind, name, settings) VALUES ('email', 'Sales', $1) RETURNING id`, settings)
	c, err := desk.Get(o.ctx, o.agent(staff.Member, staff.ScopeOwn), ids.ID(mail))
	if err != nil {
		t.Fatal(err)
	}
	if c.Address != "sales@hub.example" || len([]rune(c.Signature)) != maxShownSignature || len(c.Settings) != 0 {
		t.Errorf("got address %q, %d characters of signature, settings %v", c.Address, len([]rune(c.Signature)), c.Settings)
	}
	if c, err = desk.Get(o.ctx, o.agent(staff.Member, staff.ScopeOwn), ids.ID(o.channel)); err != nil || c.Address != "" {
		t.Errorf("a channel without recipients: %q, %v", c.Address, err)
	}
}

func TestLetterBelongsToThoseWhoSeeTheConversation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	anna, bob := o.agent(staff.Member, staff.ScopeOwn), o.agent(staff.Member, staff.ScopeOwn)
	conv := o.open(Open, 0, anna.AgentID)
	k := o.hear(conv, "Hello")
	if _, err := o.Letter(o.ctx, anna, conv, k.ID); errs.CodeOf(err) != errs.NotFound {
		t.Errorf("a message without a form of its own: got %v", err)
	}
	o.exec(`UPDATE message SET html = '<p>Hello</p>' WHERE id = $1`, k.ID)
	logo, again, late := uuid.New(), uuid.New(), uuid.New()
	for i, f := range []struct {
		id          uuid.UUID
		cid, state  string
		kind, bytes string
	}{{logo, "logo", "ok", "photo", "x"}, {again, "logo", "ok", "photo", "y"}, {late, "late", "pending", "photo", ""}, {uuid.New(), "page", "ok", "document", "z"}} {
		o.exec(`INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, position, kind, state, blob, content_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, f.id, o.channel, int64(conv), k.At, k.ID, i, f.kind, f.state, f.bytes, f.cid)
	}
	l, err := o.Letter(o.ctx, anna, conv, k.ID)
	if err != nil || l.HTML != "<p>Hello</p>" || len(l.Inline) != 1 || l.Inline["logo"] != logo {
		t.Errorf("got %+v, %v", l, err)
	}
	if _, err := o.Letter(o.ctx, bob, conv, k.ID); errs.CodeOf(err) != errs.NotFound {
		t.Errorf("a colleague who may not see it: got %v", err)
	}
}
