package inbox

import (
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest/scripted"
	"github.com/parley-hub/parley/internal/errs"
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
