package inbox

import (
	"context"
	"log/slog"
	"testing"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

func TestSampleDataGoesAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	ctx := context.Background()
	desk := NewChannels(w.pool, w.bus, nil, map[string]channels.Kind{}, "http://hub.test", slog.New(slog.DiscardHandler))
	real := w.channel
	if has, err := desk.HasSample(ctx); err != nil || has {
		t.Fatalf("HasSample = %v, %v", has, err)
	}
	if err := w.pool.QueryRow(ctx, `INSERT INTO channel (kind, name, sample) VALUES ('telegram', 'Sample', true) RETURNING id`).Scan(&w.channel); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"101", "102", "103"} {
		w.must(writes(who, "1", "sample text"))
		w.must(writes(who, "2", "more sample text"))
	}
	// 102 also writes for real; 103 turns out to be a real person under another address
	w.channel = real
	w.must(writes("102", "9", "a real question"))
	w.must(writes("200", "1", "a real person"))
	id := func(who string) (id int64) {
		if err := w.pool.QueryRow(ctx, `SELECT contact_id FROM identity WHERE kind = $1 AND value LIKE '%' || $2`, crm.KindTelegram, who).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	if _, err := w.people.Merge(ctx, systemActor, id("200"), []int64{id("103")}); err != nil {
		t.Fatal(err)
	}

	if err := desk.RemoveSample(ctx, staff.Access{Role: staff.Member}); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an agent may remove the sample data: %v", err)
	}
	if err := desk.RemoveSample(ctx, staff.Access{Role: staff.Admin}); err != nil {
		t.Fatal(err)
	}
	if has, err := desk.HasSample(ctx); err != nil || has {
		t.Errorf("HasSample = %v, %v after the removal", has, err)
	}
	w.want(1, `SELECT count(*) FROM river_job WHERE kind = 'remove_sample'`)
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'data.sample_removed'`)
	if err := desk.sweepSample(ctx); err != nil {
		t.Fatal(err)
	}
	w.want(0, `SELECT count(*) FROM channel WHERE sample`)
	w.want(0, `SELECT count(*) FROM message WHERE text LIKE '%sample%'`)
	w.want(0, `SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT FROM conversation c WHERE c.id = m.conversation_id)`)
	w.want(0, `SELECT count(*) FROM external_ref WHERE channel_id <> $1`, real)
	w.want(0, `SELECT count(*) FROM contact WHERE name = 'Person 101'`)
	w.want(3, `SELECT count(*) FROM event WHERE kind = 'conversation.updated' AND payload->>'status' = 'closed' AND payload->>'last_text' = 'more sample text'`)
	// what is real stands
	w.want(2, `SELECT count(*) FROM conversation WHERE status = 'open' AND channel_id = $1`, real)
	w.want(2, `SELECT count(*) FROM message WHERE text IN ('a real question', 'a real person')`)
	w.want(1, `SELECT count(*) FROM contact WHERE name = 'Person 200' AND merged_into IS NULL`)
	w.want(1, `SELECT count(*) FROM lead WHERE closed_at IS NULL AND contact_id = $1`, id("200"))
}
