package main

import (
	"context"
	"errors"

	"github.com/parley-hub/parley/e2e/rig"
)

// kill runs the drills of the end-to-end tests: counts, whatever the moment.
func kill(ctx context.Context, w *world) (rows []row, err error) {
	for _, drill := range []func(context.Context, *world) ([]row, error){killInbound, killOutbound, crashDatabase} {
		r, err := drill(ctx, w)
		rows = append(rows, r...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func killInbound(ctx context.Context, w *world) (rows []row, err error) {
	err = w.with(ctx, func(h *hub) error {
		if _, err := h.Telegram(ctx, nil, nil); err != nil {
			return err
		}
		d := rig.Drill{Messages: w.times(10_000, 300), Kills: w.times(100, 5), Users: w.times(100, 20), DB: h.url}
		r, err := h.KillInbound(ctx, d)
		rows = []row{
			exact("messages in through "+itoa(int64(d.Kills))+" kills, stored", r.Stored, d.Messages),
			exact("of them lost", r.Lost, 0), exact("of them twice", r.Twice, 0),
			exact("contacts", r.Contacts, d.Users), exact("leads", r.Leads, d.Users), exact("conversations", r.Open, d.Users),
			atMost("slowest start after a kill", r.Slowest.Seconds(), 0, "s", 0, 0),
		}
		return err
	})
	return rows, err
}

func killOutbound(ctx context.Context, w *world) (rows []row, err error) {
	err = w.with(ctx, func(h *hub) error {
		if _, err := h.Telegram(ctx, nil, nil); err != nil {
			return err
		}
		d := rig.Drill{Messages: w.times(3000, 100), Kills: w.times(70, 4), Users: 20, DB: h.url}
		r, err := h.KillOutbound(ctx, d)
		rows = []row{
			exact("answers out through "+itoa(int64(d.Kills))+" kills, arrived once all was settled", r.After, r.Accepted),
			exact("answers lost", r.Lost, 0), exact("answers twice", r.Twice, 0), exact("uncertain ones not shown", r.Hidden, 0),
			exact("customers who got them in another order", r.Disorder, 0), exact("never settled", r.Unsettled+r.Failed, 0),
			{What: "uncertain, shown to somebody who decides", Product: float64(r.Uncertain), Unit: "answers", Target: target("<=", float64(r.Kills*r.InFlight), 0), Pass: r.Uncertain <= r.Kills*r.InFlight, Count: true},
		}
		return err
	})
	return rows, err
}

// crashDatabase has a server of its own: the others must not go down with it.
func crashDatabase(ctx context.Context, w *world) (rows []row, err error) {
	pg, err := rig.NewPostgres(ctx, "", serverSettings()...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pg.Close(context.WithoutCancel(ctx))) }()
	apart := &world{size: w.size, dir: w.dir, binary: w.binary, pg: pg}
	apart.last.Store(1_000_000) // names of folders
	err = apart.with(ctx, func(h *hub) error {
		if _, err := h.Telegram(ctx, nil, nil); err != nil {
			return err
		}
		d := rig.Drill{Messages: w.times(6000, 200), Kills: w.times(15, 2), Users: 20, DB: h.url}
		r, err := h.CrashDatabase(ctx, pg, d)
		died := 0
		if r.Died {
			died = 1
		}
		rows = []row{
			exact("messages lost in "+itoa(int64(d.Kills))+" crashes of PostgreSQL", r.In.Lost, 0), exact("messages twice", r.In.Twice, 0),
			exact("accepted answers that are stored", r.Kept, r.Accepted), exact("answers that arrived twice", r.Twice, 0),
			exact("times that /readyz told of it", r.Told, r.Crashes), exact("hubs that died of it", died, 0),
		}
		return err
	})
	return rows, err
}
