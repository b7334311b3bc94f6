package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

// Drill is a run in which things are killed under load.
type Drill struct {
	Messages int
	Kills    int
	Users    int
	DB       string // address of the hub's database, to count in
}

// killWithin spreads the moments of a kill over what a batch takes, commit and acknowledgement included.
const killWithin = 120 * time.Millisecond

func moment(ctx context.Context) { Pause(ctx, rand.N(killWithin)) } //nolint:gosec // any moment will do

// portion is how many of n messages belong to the i-th of so many parts.
func portion(n, i, of int) int { return n*(i+1)/of - n*i/of }

func (d Drill) users(w *World) []*tgfake.User {
	out := make([]*tgfake.User, d.Users)
	for i := range out {
		out[i] = w.Fake.NewUser(fmt.Sprintf("Customer %d", i+1), "en")
	}
	return out
}

// Inbound is what came of messages to the hub.
type Inbound struct {
	Sent     int
	Stored   int
	Lost     int
	Twice    int
	Kills    int
	Contacts int
	Leads    int
	Open     int // conversations
	Slowest  time.Duration
}

// Good tells whether each message was stored once and each customer is one contact with one lead and one conversation.
func (r Inbound) Good(users int) bool {
	return r.Stored == r.Sent && r.Lost == 0 && r.Twice == 0 && r.Contacts == users && r.Leads == users && r.Open == users
}

const (
	sqlInbound = `SELECT text FROM message WHERE direction = 'in' AND kind = 'message'`
	sqlPeople  = `SELECT count(*) FROM contact UNION ALL SELECT count(*) FROM lead UNION ALL SELECT count(*) FROM conversation`
)

// KillInbound lets customers write while the hub is killed and started again and again; a Telegram channel must be there.
func (w *World) KillInbound(ctx context.Context, d Drill) (Inbound, error) {
	r := Inbound{Kills: d.Kills}
	users := d.users(w)
	sent := map[string]bool{}
	write := func(n int) {
		for range n {
			text := fmt.Sprintf("message %d", len(sent)+1)
			users[len(sent)%len(users)].Send(text)
			sent[text] = true
		}
	}
	for i := range d.Kills {
		n := portion(d.Messages, i, d.Kills+1)
		write(n - n/3)
		// The hub must have begun to take them: kills before that prove nothing.
		pending := w.Fake.Bot().Pending()
		if err := Until(ctx, "the hub takes messages", Patience, func() (bool, error) {
			return w.Fake.Bot().Pending() < pending || w.Fake.Bot().Pending() == 0, nil
		}); err != nil {
			return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
		}
		write(n / 3)
		moment(ctx)
		if err := w.Hub.Restart(ctx); err != nil {
			return r, err
		}
		r.Slowest = max(r.Slowest, w.Hub.Took)
	}
	write(d.Messages - len(sent))
	return w.tally(ctx, d, r, sent)
}

// tally waits until the provider has nothing left, and compares what was sent with what is stored.
func (w *World) tally(ctx context.Context, d Drill, r Inbound, sent map[string]bool) (Inbound, error) {
	if err := Until(ctx, "every message is acknowledged", 3*Patience, func() (bool, error) {
		return w.Fake.Bot().Pending() == 0, nil
	}); err != nil {
		return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
	}
	stored, err := Column[string](ctx, d.DB, sqlInbound)
	if err != nil {
		return r, err
	}
	seen := map[string]bool{}
	for _, text := range stored {
		if seen[text] {
			r.Twice++
		}
		seen[text] = true
	}
	r.Sent, r.Stored = len(sent), len(stored)
	for text := range sent {
		if !seen[text] {
			r.Lost++
		}
	}
	people, err := Column[int](ctx, d.DB, sqlPeople)
	if err != nil {
		return r, err
	}
	r.Contacts, r.Leads, r.Open = people[0], people[1], people[2]
	return r, nil
}
