package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/events"
)

// Whoever waits in the younger conversation still waits after the merge, and one that slept is awake.
func TestMergeKeepsTheCustomerWaiting(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	ctx := context.Background()
	w.must(writes("1", "1", "old matter"))
	w.do(`UPDATE conversation SET waiting_since = NULL, status = 'snoozed', snoozed_until = now() + interval '1 day'`)
	w.must(writes("2", "1", "please answer"))
	a, b := w.count(`SELECT min(id) FROM contact`), w.count(`SELECT max(id) FROM contact`)
	m, err := w.people.Merge(ctx, events.Actor{Kind: "system"}, int64(a), []int64{int64(b)})
	if err != nil {
		t.Fatal(err)
	}
	w.want(1, `SELECT count(*) FROM conversation WHERE status = 'open' AND waiting_since IS NOT NULL AND last_text = 'please answer'`)
	// a picture that comes meanwhile goes back with its message when the merge is undone
	in := writes("2", "2", "see this")
	in.Media = []channels.Media{{Kind: "photo", Ref: []byte(`{"key":"x"}`)}}
	w.must(in)
	if err := FillSearch(ctx, w.pool, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	moved := `SELECT count(*) FROM message_search s JOIN message m ON m.at = s.at AND m.id = s.message_id AND m.conversation_id = s.conversation_id WHERE m.text = 'see this'
	AND m.conversation_id = (SELECT %s(id) FROM conversation)`
	w.want(1, fmt.Sprintf(moved, "min"))
	if _, err := w.people.Undo(ctx, events.Actor{Kind: "system"}, m.Merges[0]); err != nil {
		t.Fatal(err)
	}
	w.want(1, `SELECT count(*) FROM attachment f JOIN message m ON m.id = f.message_id WHERE f.conversation_id = m.conversation_id`)
	w.want(1, fmt.Sprintf(moved, "max")) // it is found where it is
	w.want(0, `SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE m.in_no > c.in_count`)
}
