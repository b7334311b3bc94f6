package main

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/parley-hub/parley/bench/limit"
	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/postgres"
)

// fillSQL makes conversations $1+1 to $2, one in twenty open, as bulk data: foreign keys are not asked.
func fillSQL() []string {
	return []string{
		`INSERT INTO channel (kind, name, enabled) SELECT 'telegram', 'Bulk', false WHERE NOT EXISTS (SELECT FROM channel)`,
		`INSERT INTO contact (id, name) SELECT i, 'Person No ' || i FROM generate_series($1::bigint + 1, $2) i`,
		`INSERT INTO identity (kind, value, contact_id) SELECT 'telegram', (10000000 + i)::text, i FROM generate_series($1::bigint + 1, $2) i`,
		`INSERT INTO conversation (channel_id, contact_id, identity_id, chat, status, closed_at, last_at, last_text, in_count, message_count)
SELECT (SELECT min(id) FROM channel), i, i, i::text, CASE WHEN i % 20 = 0 THEN 'open' ELSE 'closed' END, CASE WHEN i % 20 <> 0 THEN now() END,
	now() - i * interval '7 seconds', 'Hello, do you have forty seats for the twelfth of December? No ' || i, 3, 5
FROM generate_series($1::bigint + 1, $2) i`,
	}
}

// grow fills the hub's database up to n conversations while the hub is down: it is told of nothing.
func (w *world) grow(ctx context.Context, h *hub, from, n int) error {
	if err := h.Hub.Stop(ctx); err != nil {
		return err
	}
	admin := w.pg.Admin(h.name)
	if err := rig.Exec(ctx, admin, "ALTER ROLE parley IN DATABASE "+h.name+" SET session_replication_role = replica"); err != nil {
		return err
	}
	defer func() {
		_ = rig.Exec(context.WithoutCancel(ctx), admin, "ALTER ROLE parley IN DATABASE "+h.name+" RESET session_replication_role")
	}()
	for _, sql := range fillSQL() {
		var args []any
		if sql != fillSQL()[0] {
			args = []any{from, n}
		}
		if err := rig.Exec(ctx, admin, sql, args...); err != nil {
			return err
		}
	}
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if err := rig.Exec(ctx, admin, sql); err != nil {
			return err
		}
	}
	return h.Hub.Start(ctx)
}

// inboxPage is the first page of the inbox over HTTP among many conversations, and among ten times as many.
func inboxPage(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(1000, 200)
	err = w.with(ctx, func(h *hub) error {
		var p50s []float64
		filled := 0
		for _, size := range []int{w.times(100_000, 1000), w.times(1_000_000, 10_000)} {
			if err := w.grow(ctx, h, filled, size); err != nil {
				return err
			}
			filled = size
			p50, r, err := w.pageAt(ctx, h, size, n)
			if err != nil {
				return err
			}
			p50s, rows = append(p50s, p50), append(rows, r...)
		}
		rows = append(rows, atMost("page among ten times as many conversations, against the other", p50s[1], p50s[0], "ms", 0, 1.2))
		return nil
	})
	return rows, err
}

func (w *world) pageAt(ctx context.Context, h *hub, size, n int) (p50 float64, rows []row, err error) {
	pool, err := postgres.Open(ctx, h.url)
	if err != nil {
		return 0, nil, err
	}
	defer pool.Close()
	page := limit.Page{Pool: pool}
	server := httptest.NewServer(page)
	defer server.Close()
	floor := rig.NewClient(server.URL)
	defer floor.Close()
	var got struct {
		Items []rig.Conversation `json:"items"`
	}
	if err := h.Admin.Get(ctx, "/api/conversations?view=all", &got); err != nil {
		return 0, nil, err
	}
	want, err := page.Read(ctx)
	if err != nil {
		return 0, nil, err
	}
	same := 0
	for i := range min(len(want), len(got.Items)) {
		if itoa(want[i].ID) == got.Items[i].ID {
			same++
		}
	}
	timed := func(c *rig.Client, path string) func() (float64, error) {
		return func() (float64, error) {
			l, err := drive(ctx, 1, n, func(ctx context.Context, _ int) error {
				_, err := c.Do(ctx, "GET", path, nil, nil)
				return err
			})
			return l.ms(0.5), err
		}
	}
	limits, p50, err := w.turns(timed(floor, "/"), timed(h.Admin, "/api/conversations?view=all"))
	if err != nil {
		return 0, nil, err
	}
	sql, err := drive(ctx, 1, n, func(ctx context.Context, _ int) error { _, err := page.Read(ctx); return err })
	what := fmt.Sprintf("50 of %d conversations", size)
	return p50, []row{
		exact(what+": rows equal to SQL's", same, len(want)),
		atMost(what+", p50, the floor over HTTP too", p50, limits, "ms", 0, 1.5),
		atMost(what+", p50, the floor SQL alone", p50, sql.ms(0.5), "ms", 0, 1.5),
	}, err
}
