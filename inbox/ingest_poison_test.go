package inbox

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
)

func (w *way) do(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// A channel that delivers a set-aside event again must not take its message's key: the retry would find it taken and
// store nothing.
func TestSetAsideEventDeliveredAgainCanStillBeRetried(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	w.do(`ALTER TABLE message ADD CONSTRAINT no_poison CHECK (text <> 'poison')`)
	in := writes("2", "1", "poison")
	w.must(in)
	w.do(`ALTER TABLE message DROP CONSTRAINT no_poison`)
	w.must(in)
	if err := w.Retry(context.Background(), w.channel, int64(w.count(`SELECT id FROM quarantine`))); err != nil {
		t.Fatal(err)
	}
	w.want(1, `SELECT count(*) FROM message WHERE text = 'poison'`)
	w.want(0, `SELECT count(*) FROM external_ref r WHERE kind = 'message' AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = r.message_id AND m.at = r.message_at)`)
}

// Keys that differ only behind the longest that is stored are two keys.
func TestLongKeysStayDistinct(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	long := strings.Repeat("x", 2*maxKey)
	for i := range 2 {
		in := writes("2", "1", "mail")
		in.EventKey, in.ProviderID = fmt.Sprint(long, i), fmt.Sprint(long, i)
		w.must(in)
	}
	w.want(2, `SELECT count(*) FROM message WHERE text = 'mail'`)
}

func TestEventWithoutKeyIsSetAsideOnce(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	in := writes("2", "1", "no key")
	in.EventKey = ""
	w.must(in)
	w.must(in)
	w.want(1, `SELECT count(*) FROM quarantine`)
	if err := w.Retry(context.Background(), w.channel, int64(w.count(`SELECT id FROM quarantine`))); err != nil {
		t.Fatal(err)
	}
	w.want(1, `SELECT count(*) FROM message WHERE text = 'no key'`)
}

// What holds for one channel alone (it was removed, its lease is lost) does not hold up the others of the batch.
func TestGoneChannelDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	make := func(channel, epoch int64, no string) *job {
		return &job{channel: channel, epoch: epoch, batch: channels.Batch{Events: []channels.Inbound{writes(no, "1", "Hello")}}, done: make(chan error, 1)}
	}
	gone, stale, fine := make(w.channel+99, 0, "1"), make(w.channel, 7, "2"), make(w.channel, 0, "3")
	w.store(context.Background(), []*job{gone, stale, fine})
	if err := <-gone.done; !temporary(err) || err == nil {
		t.Errorf("removed channel: got %v", err)
	}
	if err := <-stale.done; !temporary(err) || err == nil {
		t.Errorf("lost lease: got %v", err)
	}
	if err := <-fine.done; err != nil {
		t.Errorf("the other channel got %v", err)
	}
	w.want(1, `SELECT count(*) FROM message WHERE kind = 'message'`)
}

// Two people of one thread (a mail with copies) in one batch are one conversation.
func TestTwoPeopleWriteIntoOneThread(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	for round := range 2 {
		a, b := writes("1", fmt.Sprint(round), "first"), writes("2", fmt.Sprint(round), "second")
		a.Thread, b.Thread = "thread", "thread"
		if err := w.in(a, b); err != nil {
			t.Fatal(err)
		}
	}
	w.want(1, `SELECT count(*) FROM conversation`)
	w.want(1, `SELECT count(*) FROM conversation WHERE in_count = 4 AND message_count = (SELECT count(*) FROM message)`)
	w.want(0, `SELECT count(*) FROM event e JOIN contact p ON p.id = (payload->'contact'->>'id')::bigint WHERE e.kind LIKE 'conversation.%' AND p.name <> payload->'contact'->>'name'`)
}

// An answer opens a conversation on this channel while the customer writes: the rival is found, nothing is set aside.
func TestRivalConversationIsNoPoison(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	ctx := context.Background()
	w.must(writes("7", "1", "Hello"))
	w.do(`UPDATE conversation SET status = 'closed', closed_at = now(), queued_at = NULL, waiting_since = NULL`)
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, `INSERT INTO conversation (channel_id, contact_id, identity_id, chat, previous_id) SELECT channel_id, contact_id, identity_id, chat, id FROM conversation`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.in(writes("7", "2", "Again")) }()
	untilTrue(t, "ingest waits for the rival", func() bool {
		return w.count(`SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'`) > 0
	})
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("got %v (%s)", err, errs.CodeOf(err))
	}
	w.want(0, `SELECT count(*) FROM quarantine`)
	w.want(1, `SELECT count(*) FROM conversation WHERE status = 'open' AND in_count = 1 AND last_text = 'Again'`)
}
