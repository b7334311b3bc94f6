package inbox

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
)

// fills is what a form hands over of somebody who says that the addresses are his.
func fills(no, name string, said ...channels.Identity) channels.Inbound {
	return channels.Inbound{
		Kind: channels.Message, EventKey: "t:" + no, ProviderID: "s:" + no, Chat: "t:" + no, Direction: channels.In, Content: "form", Text: "Name: " + name,
		Sender: channels.Person{Identities: said, Name: name, Unproven: true}, At: time.Now(),
		Attribution: map[string]string{"utm_source": "ad", "last_utm_source": name},
	}
}

func newForm(t *testing.T) *way {
	t.Helper()
	w := newWay(t)
	w.want(1, `WITH c AS (UPDATE channel SET region = 'RU' RETURNING 1) SELECT count(*) FROM c`)
	return w
}

// through ingests into a form's channel.
func (w *way) through(channel int64, evs ...channels.Inbound) {
	w.t.Helper()
	for _, e := range evs {
		if err := w.Ingest(w.t.Context(), channel, 0, channels.Batch{Events: []channels.Inbound{e}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *way) form() int64 {
	w.t.Helper()
	return int64(w.count(`INSERT INTO channel (kind, name, region, receive_only) VALUES ('webform', 'Site', 'RU', true) RETURNING id`))
}

// R10 through the whole way in: a known number in a form is taken, beside the person who has it.
func TestFormNeverTouchesTheKnownPerson(t *testing.T) {
	t.Parallel()
	w := newForm(t)
	form := w.form()
	known := writes("7", "1", "Hello")
	known.Sender.Identities = append(known.Sender.Identities, channels.Identity{Kind: crm.KindPhone, Value: "+79123456789"})
	w.must(known)
	before := w.count(`SELECT sum(version) FROM contact`)
	mine := w.count(`SELECT id FROM contact`)
	phone := channels.Identity{Kind: crm.KindPhone, Value: "8 (912) 345-67-89"}
	w.through(form, fills("1", "Mallory", phone, channels.Identity{Kind: crm.KindEmail, Value: "mallory@evil.test"}))
	w.want(before, `SELECT sum(version) FROM contact WHERE id = $1`, mine)
	w.want(1, `SELECT count(*) FROM conversation WHERE contact_id = $1`, mine)
	w.want(1, `SELECT count(*) FROM lead WHERE contact_id = $1`, mine)
	w.want(1, `SELECT count(*) FROM conversation c JOIN contact p ON p.id = c.contact_id WHERE c.channel_id = $1 AND p.name = 'Mallory' AND c.contact_id <> $2`, form, mine)
	w.want(1, `SELECT count(*) FROM lead l JOIN contact p ON p.id = l.contact_id WHERE p.name = 'Mallory' AND l.source = 'webform' AND l.attribution->>'utm_source' = 'ad'`)
	w.want(1, `SELECT count(*) FROM assertion a JOIN identity i ON i.kind = a.kind AND i.value = a.value WHERE i.contact_id = $1`, mine)
	w.want(0, `SELECT count(*) FROM identity WHERE kind = 'email'`)

	// the same again by the same words: one contact and one lead, the last touch renewed
	w.through(form, fills("2", "Other name", phone, channels.Identity{Kind: crm.KindEmail, Value: "Mallory@EVIL.test"}))
	w.want(2, `SELECT count(*) FROM contact WHERE merged_into IS NULL`)
	w.want(2, `SELECT count(*) FROM message WHERE content = 'form'`)
	w.want(1, `SELECT count(*) FROM lead l JOIN contact p ON p.id = l.contact_id WHERE p.name = 'Mallory' AND l.attribution->>'last_utm_source' = 'Other name'`)
	// but the number with another address is somebody else
	w.through(form, fills("3", "Third", phone, channels.Identity{Kind: crm.KindEmail, Value: "third@x.test"}))
	w.want(3, `SELECT count(*) FROM contact WHERE merged_into IS NULL`)
	// who says nothing of himself is new each time
	w.through(form, fills("4", "Nobody"), fills("5", "Nobody"))
	w.want(5, `SELECT count(*) FROM contact WHERE merged_into IS NULL`)
	// a telephone that rings is the person's own: no form has a say in it
	w.must(channels.Inbound{
		Kind: channels.Message, EventKey: "c1", Chat: "c", Direction: channels.In, Content: "text", At: time.Now(),
		Sender: channels.Person{Identities: []channels.Identity{{Kind: crm.KindPhone, Value: "+79123456789"}}},
	})
	w.want(2, `SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE m.kind = 'message' AND c.contact_id = $1`, mine)
}

// A retry that comes with a new challenge is known by the submission's own id, and makes nobody.
func TestFormSentAgainIsOneLead(t *testing.T) {
	t.Parallel()
	w := newForm(t)
	form := w.form()
	first := fills("1", "Ada", channels.Identity{Kind: crm.KindEmail, Value: "ada@x.test"})
	w.through(form, first, first)
	again := fills("1", "Ada", channels.Identity{Kind: crm.KindEmail, Value: "other@x.test"})
	again.EventKey = "t:another challenge"
	w.through(form, again)
	w.want(1, `SELECT count(*) FROM message WHERE content = 'form'`)
	w.want(1, `SELECT count(*) FROM contact`)
	w.want(1, `SELECT count(*) FROM lead`)
}

func TestNothingGoesOutThroughAForm(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.exec(`UPDATE channel SET receive_only = true WHERE id = $1`, p.channel)
	_, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "hello"})
	wantCode(t, err, errs.Conflict, "answer through a form")
	if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "note", Note: true}); err != nil {
		t.Errorf("note: %v", err)
	}
	if n := p.id(`SELECT count(*) FROM message WHERE kind = 'message' AND direction = 'out'`); n != 0 {
		t.Errorf("%d messages were stored", n)
	}
}

func TestNoAutoReplyThroughAForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	o.exec(`UPDATE team SET auto_reply = 'Back at nine.' WHERE id = $1`, int64(team))
	o.exec(`UPDATE channel SET receive_only = true`)
	o.waits(team)
	o.round(o.router())
	if n := o.id(`SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("a form got %d replies", n)
	}
}
