package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

// Outbound is what came of messages to customers.
type Outbound struct {
	Accepted  int // by the hub, each once
	Arrived   int // at the customer before anybody resolved anything
	Lost      int // said to be sent, but did not arrive
	Twice     int
	Uncertain int // shown to somebody who can decide
	Delivered int // of the uncertain ones, had arrived
	Hidden    int // uncertain in the database, but not in the list
	Unsettled int // still queued or sending at the end
	Failed    int
	After     int // arrived once after all was resolved by hand
	Kills     int
	Disorder  int // customers who got their messages in another order
	InFlight  int // how many sends a channel has on the way at once
}

// Good tells whether nothing was lost, nothing came twice, and whatever is uncertain was on its way at a kill and is in
// the list.
func (r Outbound) Good() bool {
	return r.Uncertain <= r.Kills*r.InFlight && r.Lost == 0 && r.Twice == 0 && r.Hidden == 0 && r.Unsettled == 0 && r.Failed == 0 && r.After == r.Accepted && r.Disorder == 0
}

// KillOutbound lets an agent answer many customers while the hub is killed and started again and again, then resolves
// by hand what nobody knows of.
func (w *World) KillOutbound(ctx context.Context, d Drill) (Outbound, error) {
	r := Outbound{Kills: d.Kills}
	var err error
	if r.InFlight, err = w.inFlight(ctx); err != nil {
		return r, err
	}
	users := d.users(w)
	o := outbound{w: w, d: d, users: users}
	if err := o.meet(ctx); err != nil {
		return r, err
	}
	// A provider takes a moment: without it the windows that matter would be too small to be hit.
	w.Fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Delay, Times: -1, Delay: 5 * time.Millisecond})
	defer w.Fake.ClearFaults()
	for i := range d.Kills {
		posted := o.post(ctx, portion(d.Messages, i, d.Kills+1))
		before := o.arrived()
		if err := Until(ctx, "the hub sends", Patience, func() (bool, error) {
			return o.arrived() > before || o.idle(posted), nil
		}); err != nil {
			return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
		}
		moment(ctx)
		if err := w.Hub.Restart(ctx); err != nil {
			return r, err
		}
		if err := <-posted; err != nil {
			return r, err
		}
	}
	if err := <-o.post(ctx, d.Messages-len(o.sent)); err != nil {
		return r, err
	}
	return o.judge(ctx, r)
}

func (w *World) inFlight(ctx context.Context) (int, error) {
	list, err := All[Channel](ctx, w.Admin, "/api/channels")
	if err != nil {
		return 0, err
	}
	n := 0
	for _, ch := range list {
		n += cmp.Or(ch.Capabilities.ParallelSends, 8)
	}
	return n, nil
}

type outbound struct {
	w             *World
	d             Drill
	users         []*tgfake.User
	conversations []string
	sent          []posted // in the order of the posts of each conversation
	broken        int      // answers that none of this explains
}

type posted struct {
	id, conversation, text string
	user                   int
}

// meet lets every customer write first, since a bot cannot.
func (o *outbound) meet(ctx context.Context) error {
	for _, u := range o.users {
		u.Send("Hello")
	}
	o.conversations = make([]string, len(o.users))
	for i, u := range o.users {
		c, err := ConversationOf(ctx, o.w.Admin, u.First+" "+u.Last)
		if err != nil {
			return err
		}
		o.conversations[i] = c.ID
	}
	return nil
}

// post posts n messages, spread over the conversations, and repeats each until the hub has accepted it. The order
// inside of a conversation is kept.
func (o *outbound) post(ctx context.Context, n int) chan error {
	work := make([][]posted, len(o.users))
	for range n {
		i := len(o.sent) % len(o.users)
		p := posted{id: uuid.NewString(), conversation: o.conversations[i], text: fmt.Sprintf("answer %d", len(o.sent)+1), user: i}
		o.sent, work[i] = append(o.sent, p), append(work[i], p)
	}
	const posters = 4
	errs := make([]error, posters)
	var wg sync.WaitGroup
	for k := range posters {
		wg.Go(func() {
			for i := k; i < len(work); i += posters {
				for _, p := range work[i] {
					if err := o.insist(ctx, p); err != nil {
						errs[k] = err
						return
					}
				}
			}
		})
	}
	done := make(chan error, 1)
	go func() {
		wg.Wait()
		done <- errors.Join(errs...)
	}()
	return done
}

// insist posts under the same id until there is an answer, as a client does that lost the connection.
func (o *outbound) insist(ctx context.Context, p posted) error {
	return Until(ctx, "the hub accepts a message", 2*Patience, func() (bool, error) {
		var item Item
		err := o.w.Admin.Post(ctx, "/api/conversations/"+p.conversation+"/messages", map[string]any{"id": p.id, "text": p.text}, &item)
		if status := StatusOf(err); status != 0 && status < 500 {
			return false, err
		}
		if err == nil && item.ID != p.id {
			return false, fmt.Errorf("posted %s, accepted %s", p.id, item.ID)
		}
		return err == nil, nil
	})
}

func (o *outbound) arrived() (n int) {
	for _, u := range o.users {
		n += len(u.Sent())
	}
	return n
}

// idle tells that everything was posted, so that nothing more may arrive.
func (o *outbound) idle(posted chan error) bool { return len(posted) > 0 }

const sqlOutbox = `SELECT count(*) FROM outbox WHERE state = $1`

// judge waits until the hub has done what it can, counts, resolves the rest by hand, and counts again.
func (o *outbound) judge(ctx context.Context, r Outbound) (Outbound, error) {
	c := o.w.Admin
	count := func(state string) (int, error) {
		n, err := Column[int](ctx, o.d.DB, sqlOutbox, state)
		if err != nil {
			return 0, err
		}
		return n[0], nil
	}
	settled := func() (bool, error) {
		queued, err1 := count("queued")
		sending, err2 := count("sending")
		r.Unsettled = queued + sending
		return r.Unsettled == 0, errors.Join(err1, err2)
	}
	if err := Until(ctx, "the outbox empties", 2*Patience, settled); err != nil {
		return r, fmt.Errorf("%w\n%s", err, o.w.Hub.LogTail())
	}
	var err error
	if r.Failed, err = count("failed"); err != nil {
		return r, err
	}
	got := o.got()
	trouble, err := All[Trouble](ctx, c, "/api/outbox?state=uncertain&limit=100")
	if err != nil {
		return r, err
	}
	uncertain := map[string]bool{}
	for _, t := range trouble {
		uncertain[t.Item.ID] = true
	}
	inDB, err := count("uncertain")
	if err != nil {
		return r, err
	}
	r.Accepted, r.Uncertain, r.Hidden = len(o.sent), len(uncertain), inDB-len(uncertain)
	for _, p := range o.sent {
		n := got[p.text]
		r.Arrived += min(n, 1)
		r.Twice += max(n-1, 0)
		switch {
		case uncertain[p.id]:
			r.Delivered += min(n, 1)
		case n == 0:
			r.Lost++
		}
	}
	r.Disorder = o.disorder()
	// Somebody looks at the customer's screen and decides.
	for _, p := range o.sent {
		if uncertain[p.id] {
			if err := c.Post(ctx, "/api/conversations/"+p.conversation+"/messages/"+p.id+"/resolve", map[string]bool{"sent": got[p.text] > 0}, nil); err != nil {
				return r, err
			}
		}
	}
	if err := Until(ctx, "what was resolved is sent", 2*Patience, settled); err != nil {
		return r, err
	}
	got = o.got()
	for _, p := range o.sent {
		if got[p.text] == 1 {
			r.After++
		}
	}
	left, err := All[Trouble](ctx, c, "/api/outbox?state=uncertain&limit=100")
	if err != nil {
		return r, err
	}
	r.Hidden += len(left) // resolved, but still in the list
	return r, nil
}

func (o *outbound) got() map[string]int {
	got := map[string]int{}
	for _, u := range o.users {
		for _, text := range u.Texts() {
			got[text]++
		}
	}
	return got
}

// disorder counts the customers to whom a later answer came before an earlier one.
func (o *outbound) disorder() (n int) {
	place := map[string]int{}
	for i, p := range o.sent {
		place[p.text] = i
	}
	for _, u := range o.users {
		last := -1
		for _, text := range u.Texts() {
			if place[text] < last {
				n++
				break
			}
			last = place[text]
		}
	}
	return n
}
