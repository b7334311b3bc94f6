package inbox

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest/scripted"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
)

// removed takes the channel away as Channels.Delete does.
func (p *post) removed() {
	p.t.Helper()
	p.exec(`UPDATE channel SET deleted_at = now(), enabled = false WHERE id = $1`, p.channel)
}

func TestNothingIsQueuedForARemovedChannel(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.remote.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Permanent, Reason: "No."}})
	failed := p.send("refused")
	stop := p.drain()
	p.until(1, byStatus, "failed")
	stop()
	p.removed()
	_, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "into the void"})
	wantCode(t, err, errs.Conflict, "answer on a removed channel")
	_, err = p.Retry(p.ctx, p.me, p.conv, failed.ID)
	wantCode(t, err, errs.Conflict, "retry on a removed channel")
	if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "note", Note: true}); err != nil {
		t.Errorf("note: %v", err)
	}
	if n := p.id(`SELECT count(*) FROM outbox WHERE state = 'queued'`); n != 0 {
		t.Errorf("%d rows wait for a channel that is gone", n)
	}
}

// A send that must be tried again when its channel was removed meanwhile is failed, not queued for ever.
func TestSendInTheAirFailsWhenItsChannelIsRemoved(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	block := make(chan struct{})
	p.remote.Script(scripted.Outcome{Block: block, Err: &channels.SendError{Kind: channels.Temporary, Reason: "Later."}})
	p.send("in the air")
	stop := p.drain()
	p.until(1, `SELECT count(*) FROM outbox WHERE state = 'sending'`)
	p.removed()
	close(block)
	p.until(1, byStatus, "failed")
	stop()
	p.until(1, `SELECT count(*) FROM outbox WHERE state = 'failed'`)
}

// What was on its way when its channel was removed is uncertain, unless its sender still says what became of it.
func TestWhatIsOnItsWayOutlivesItsChannel(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	block := make(chan struct{})
	p.remote.Script(scripted.Outcome{Block: block})
	it := p.send("in the air")
	stop := p.drain()
	p.until(1, `SELECT count(*) FROM outbox WHERE state = 'sending'`)
	if err := p.change(p.ctx, func(tx pgx.Tx) ([]events.Event, error) { return nil, settleRemoved(p.ctx, tx, p.channel) }); err != nil {
		t.Fatal(err)
	}
	p.until(1, `SELECT count(*) FROM message WHERE id = $1 AND status = 'uncertain' AND error = 'The channel was removed.'`, it.ID)
	close(block)
	p.until(1, byStatus, "sent")
	p.until(1, `SELECT count(*) FROM outbox WHERE state = 'sent'`)
	stop()
}

func TestAReceiptEndsTheDoubt(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	w.must(writes("7", "1", "Hello"))
	w.do(`WITH m AS (INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, status) SELECT now(), gen_random_uuid(), id, 'message', 'out', 'agent', 'uncertain' FROM conversation RETURNING at, id, conversation_id),
o AS (INSERT INTO outbox (client_id, channel_id, conversation_id, message_at, message_id, state, error) SELECT m.id, c.channel_id, c.id, m.at, m.id, 'uncertain', 'No answer.' FROM m JOIN conversation c ON c.id = m.conversation_id)
INSERT INTO external_ref (channel_id, kind, key, message_at, message_id) SELECT c.channel_id, 'message', 'ours', m.at, m.id FROM m JOIN conversation c ON c.id = m.conversation_id`)
	receipt := writes("7", "r", "")
	receipt.Kind, receipt.ProviderID, receipt.TargetID, receipt.Status = channels.Status, "", "ours", channels.Delivered
	w.must(receipt)
	w.want(1, `SELECT count(*) FROM message WHERE status = 'delivered'`)
	w.want(1, `SELECT count(*) FROM outbox WHERE state = 'sent' AND error = ''`)
	bounce := writes("7", "b", "Mailbox full")
	bounce.Kind, bounce.ProviderID, bounce.TargetID, bounce.Status = channels.Status, "", "ours", channels.Bounced
	w.must(bounce) // it was read; a late report of failure changes nothing
	w.want(1, `SELECT count(*) FROM message WHERE status = 'delivered'`)
}

func TestDeletedMessageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.remote.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Permanent, Reason: "No."}})
	failed := p.send("refused")
	stop := p.drain()
	p.until(1, byStatus, "failed")
	stop()
	if _, err := p.DeleteMessage(p.ctx, p.me, p.conv, failed.ID); err != nil {
		t.Fatal(err)
	}
	_, err := p.Retry(p.ctx, p.me, p.conv, failed.ID)
	wantCode(t, err, errs.Conflict, "retry of a deleted message")
	if n := p.id(`SELECT count(*) FROM outbox WHERE state IN ('queued', 'failed')`); n != 0 {
		t.Errorf("%d rows of a deleted message still ask for something", n)
	}
}
