package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest/scripted"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// post is an office whose channel is a scripted one, with an agent and a conversation, and the way out.
type post struct {
	*office
	remote *scripted.Remote
	out    *Deliverer
	me     staff.Access
	conv   ids.ID
}

func newPost(t *testing.T) *post {
	t.Helper()
	o := newOffice(t)
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	o.exec(`INSERT INTO setting (key, value) VALUES ('undo_seconds', '0')`)
	p := &post{office: o, remote: scripted.New(), out: NewDeliverer(o.pool, o.bus, store, slog.New(slog.DiscardHandler)), me: o.agent(staff.Member, staff.ScopeAll)}
	p.conv = o.open(Open, 0, p.me.AgentID)
	o.exec(`UPDATE conversation SET chat = 'chat1'`)
	return p
}

// drain runs the way out under a lease until stop is called.
func (p *post) drain() (stop func()) {
	p.t.Helper()
	leases := postgres.NewLeases(p.pool, "node", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = leases.Hold(ctx, fmt.Sprintf("channel:%d", p.channel), func(ctx context.Context, epoch int64) error {
			p.out.Drain(ctx, p.channel, epoch, p.remote.Adapter(p.channel))
			return nil
		})
	}()
	return func() { cancel(); <-done }
}

func (p *post) send(text string) Item {
	p.t.Helper()
	it, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: text})
	if err != nil {
		p.t.Fatal(err)
	}
	return it
}

// until polls the database until the query gives want; the deadline is generous, success is quick.
func (p *post) until(want int64, sql string, args ...any) {
	p.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		got := p.id(sql, args...)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("got %d, want %d: %s", got, want, sql)
		}
		pause(p.ctx, 5*time.Millisecond)
	}
}

const byStatus = `SELECT count(*) FROM message WHERE status = $1 AND kind = 'message' AND direction = 'out'`

func TestAnswersLeaveInOrderAndOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	var ids []uuid.UUID
	for i := range 20 {
		ids = append(ids, p.send(fmt.Sprint("message ", i)).ID)
	}
	stop := p.drain()
	defer stop()
	p.until(20, byStatus, "sent")
	got := p.remote.Received()
	if len(got) != 20 {
		t.Fatalf("the customer got %d messages, want 20", len(got))
	}
	for i, s := range got {
		if s.ClientID != ids[i].String() || s.Text != fmt.Sprint("message ", i) {
			t.Errorf("message %d is %q, out of order", i, s.Text)
		}
	}
	p.until(20, `SELECT count(*) FROM external_ref WHERE kind = 'message'`)
}

func TestPostingTwiceSendsOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	d := Draft{ID: uuid.New(), Text: "once"}
	for range 3 {
		it, err := p.Post(p.ctx, p.me, p.conv, d)
		if err != nil || it.ID != d.ID {
			t.Fatalf("got %v, %v", it.ID, err)
		}
	}
	if n := p.id(`SELECT count(*) FROM outbox`); n != 1 {
		t.Errorf("got %d rows in the outbox, want 1", n)
	}
	other := p.open(Open, 0, p.me.AgentID)
	if _, err := p.Post(p.ctx, p.me, other, d); !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v, want the id refused for another person", err)
	}
}

func TestFailuresAreShownAndRetryReallyRetries(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.remote.Script(
		scripted.Outcome{Err: &channels.SendError{Kind: channels.Permanent, Reason: "The chat does not exist."}},
		scripted.Outcome{Err: &channels.SendError{Kind: channels.Uncertain, Reason: "No answer."}},
	)
	failed, unsure := p.send("refused"), p.send("unsure")
	stop := p.drain()
	defer stop()
	p.until(1, `SELECT count(*) FROM message WHERE status = 'failed' AND error = 'The chat does not exist.'`)
	p.until(1, byStatus, "uncertain")
	list, _, err := p.Outbox(p.ctx, p.me, "uncertain", 0, 10)
	if err != nil || len(list) != 1 || list[0].Item.ID != unsure.ID {
		t.Errorf("got %+v, %v; want the uncertain one listed", list, err)
	}
	if _, err := p.Retry(p.ctx, p.me, p.conv, failed.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resolve(p.ctx, p.me, p.conv, unsure.ID, true); err != nil {
		t.Fatal(err)
	}
	p.until(2, byStatus, "sent")
	if n := len(p.remote.Received()); n != 1 {
		t.Errorf("the customer got %d messages, want the retried one", n)
	}
}

func TestTemporaryTroubleHoldsTheLaneAndPasses(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.remote.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Temporary, RetryAfter: 10 * time.Millisecond, Reason: "Too many."}})
	p.send("first")
	p.send("second")
	stop := p.drain()
	defer stop()
	p.until(2, byStatus, "sent")
	if got := p.remote.Received(); len(got) != 2 || got[0].Text != "first" {
		t.Errorf("got %+v, want first before second", got)
	}
}

// A dead owner leaves a row as sending: where the provider does not de-duplicate, an agent decides.
func TestInterruptedSendBecomesUncertainOrGoesAgain(t *testing.T) {
	t.Parallel()
	for _, dedupes := range []bool{false, true} {
		p := newPost(t)
		p.remote.Caps.Deduplicates = dedupes
		it := p.send("in the air")
		p.exec(`UPDATE outbox SET state = 'sending', lease_epoch = 0, attempts = 1`)
		stop := p.drain()
		if dedupes {
			p.until(1, byStatus, "sent")
		} else {
			p.until(1, byStatus, "uncertain")
			if n := len(p.remote.Received()); n != 0 {
				t.Errorf("it was sent %d times by itself", n)
			}
			if _, err := p.Resolve(p.ctx, p.me, p.conv, it.ID, false); err != nil {
				t.Fatal(err)
			}
			p.until(1, byStatus, "sent")
		}
		stop()
	}
}

func TestUndoAndSendLater(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.exec(`UPDATE setting SET value = '60' WHERE key = 'undo_seconds'`)
	stop := p.drain()
	defer stop()
	it := p.send("oops")
	back, err := p.Cancel(p.ctx, p.me, p.conv, it.ID)
	if err != nil || back.Text != "oops" || back.DeletedAt == nil {
		t.Fatalf("got %+v, %v; want the text back", back, err)
	}
	soon := time.Now().Add(300 * time.Millisecond)
	if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "later", SendAt: &soon}); err != nil {
		t.Fatal(err)
	}
	p.until(1, byStatus, "sent")
	if got := p.remote.Received(); len(got) != 1 || got[0].Text != "later" || time.Now().Before(soon) {
		t.Errorf("got %+v, want only the later one, at its time", got)
	}
	if _, err := p.Cancel(p.ctx, p.me, p.conv, it.ID); !errs.Is(err, errs.Conflict) {
		t.Errorf("got %v for a second undo, want a conflict", err)
	}
}

func TestSendGuardShowsWhatCameIn(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	seen := p.send("on my screen")
	p.send("somebody else's answer")
	_, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "mine", Seen: &seen.ID})
	var e *errs.E
	if !errors.As(err, &e) || e.Code != errs.Conflict || e.Extra["reason"] != "unseen" {
		t.Fatalf("got %v, want the send guard", err)
	}
	if items, ok := e.Extra["items"].([]Item); !ok || len(items) != 1 || items[0].Text != "somebody else's answer" {
		t.Errorf("got %v, want the unseen item", e.Extra["items"])
	}
}

func TestEditDeleteAndReactionFollowTheMessage(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	it := p.send("frist")
	stop := p.drain()
	defer stop()
	p.until(1, byStatus, "sent")
	if _, err := p.EditMessage(p.ctx, p.me, p.conv, it.ID, "first", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p.React(p.ctx, p.me, p.conv, it.ID, "👍"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DeleteMessage(p.ctx, p.me, p.conv, it.ID); err != nil {
		t.Fatal(err)
	}
	p.until(4, `SELECT count(*) FROM outbox WHERE state = 'sent'`)
	var ops []channels.Op
	for _, s := range p.remote.Sent() {
		ops = append(ops, s.Op)
	}
	if fmt.Sprint(ops) != "[send edit react delete]" {
		t.Errorf("got %v", ops)
	}
	if n := p.id(`SELECT count(*) FROM message_revision WHERE text = 'frist'`); n != 1 {
		t.Error("the first wording is kept")
	}
}

func TestClosedConversationRefusesAnswersButTakesNotes(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.exec(`UPDATE conversation SET status = 'closed', closed_at = now()`)
	if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "hi"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	note, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "for us", Note: true})
	if err != nil || note.Kind != "note" {
		t.Fatalf("got %+v, %v", note, err)
	}
	if n := p.id(`SELECT count(*) FROM outbox`); n != 0 {
		t.Error("a note never leaves the house")
	}
}

func TestAnsweringReadsWhatCameBefore(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.exec(`UPDATE conversation SET in_count = 3`)
	p.send("answer")
	if n := p.id(`SELECT in_no FROM read_marker WHERE agent_id = $1`, int64(p.me.AgentID)); n != 3 {
		t.Errorf("got %d read, want 3", n)
	}
	if n := p.id(`SELECT count(*) FROM event WHERE kind = 'read.updated'`); n != 1 {
		t.Errorf("got %d events, want 1", n)
	}
}
