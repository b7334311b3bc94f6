// Package scripted is a channel without a network, for the tests of everything that stands behind the contract: the
// test says what customers write and how sends end, and reads what was sent.
//
// It behaves like a provider that delivers at least once: what was queued is handed over again until Ingest returned
// nil, also by the adapter of the next run.
package scripted

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/parley-hub/parley/channels"
)

// Kind is the name of the kind.
const Kind = "scripted"

// Sent is one call of Send that reached the "provider", in order.
type Sent struct {
	ChannelID int64
	channels.Outbound
	// Delivered is false when the script refused it; true for an uncertain one that did reach the customer.
	Delivered bool
	// Duplicate is set when the provider de-duplicates and knew the ClientID: the customer saw nothing new.
	Duplicate bool
}

// Outcome is how one send ends.
type Outcome struct {
	Err       error // nil = accepted
	Delivered bool  // with Err: it reached the customer nevertheless
	Delay     time.Duration
	// Block, when set, holds the send until it is closed or the send's ctx ends (then the outcome is Uncertain).
	Block <-chan struct{}
}

// Remote controls every channel of the kind scripted in one test. The zero value is not usable; see New.
type Remote struct {
	// Caps is what the channels can do; change it before they start.
	Caps channels.Capabilities

	mu       sync.Mutex
	wake     map[int64]chan struct{}
	queue    map[int64][]*delivery
	acked    map[int64]int64
	running  map[int64]int
	states   map[int64]channels.State
	outcomes []Outcome
	onSend   func(ctx context.Context, channelID int64, m channels.Outbound) Outcome
	sent     []Sent
	seen     map[string]channels.SendResult
	nextID   int64
	media    map[string][]byte
	typing   []string
}

type delivery struct {
	event channels.Inbound
	done  chan struct{}
}

// New makes a remote whose channels can do everything except de-duplicating.
func New() *Remote {
	return &Remote{
		Caps: channels.Capabilities{
			MaxText: 4096, MaxFile: 50 << 20, Formatting: true, Files: true, Reply: true, Edit: true,
			Delete: true, React: true, Typing: true, FirstContact: true, ParallelSends: 8,
		},
		wake: map[int64]chan struct{}{}, queue: map[int64][]*delivery{}, acked: map[int64]int64{}, running: map[int64]int{},
		states: map[int64]channels.State{}, seen: map[string]channels.SendResult{}, media: map[string][]byte{},
	}
}

// Kind is what to put into the supervisor's registry.
func (r *Remote) Kind() channels.Kind {
	return channels.Kind{
		Name: Kind, Secrets: []string{"token"},
		Check: func(settings json.RawMessage) error {
			if len(settings) > 0 && !json.Valid(settings) {
				return &channels.FieldError{Field: "settings", Msg: "must be JSON"}
			}
			return nil
		},
		Probe: func(context.Context, channels.Account) error { return nil },
		New:   func(a channels.Account) (channels.Adapter, error) { return r.Adapter(a.ID), nil },
	}
}

// Adapter makes an adapter without a supervisor.
func (r *Remote) Adapter(channelID int64) *Adapter { return &Adapter{r: r, id: channelID} }

// Text is a message from a customer known to the channel by the id from.
func Text(from, name, eventKey, text string) channels.Inbound {
	return channels.Inbound{
		Kind: channels.Message, EventKey: eventKey, ProviderID: "m" + eventKey, Chat: from, Direction: channels.In, At: time.Now().UTC(),
		Sender:  channels.Person{Identities: []channels.Identity{{Kind: "external:scripted", Value: from}}, Name: name},
		Content: "text", Text: text, Raw: []byte(strconv.Quote(text)),
	}
}

// Queue lets events come in on a channel. It does not wait; the events stay until they are committed.
func (r *Remote) Queue(channelID int64, events ...channels.Inbound) { r.put(channelID, events) }

// Inject lets events come in and waits until they are committed.
func (r *Remote) Inject(ctx context.Context, channelID int64, events ...channels.Inbound) error {
	for _, d := range r.put(channelID, events) {
		select {
		case <-d.done:
		case <-ctx.Done():
			return fmt.Errorf("event %s was not committed: %w", d.event.EventKey, ctx.Err())
		}
	}
	return nil
}

func (r *Remote) put(channelID int64, events []channels.Inbound) []*delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	ds := make([]*delivery, len(events))
	for i, e := range events {
		ds[i] = &delivery{event: e, done: make(chan struct{})}
	}
	r.queue[channelID] = append(r.queue[channelID], ds...)
	select {
	case r.signal(channelID) <- struct{}{}:
	default:
	}
	return ds
}

// signal needs r.mu.
func (r *Remote) signal(channelID int64) chan struct{} {
	if r.wake[channelID] == nil {
		r.wake[channelID] = make(chan struct{}, 1)
	}
	return r.wake[channelID]
}

// Script says how the coming sends end, one each; after the last one sends are accepted.
func (r *Remote) Script(outcomes ...Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, outcomes...)
}

// OnSend decides every send that Script says nothing about; nil = accept.
func (r *Remote) OnSend(f func(ctx context.Context, channelID int64, m channels.Outbound) Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onSend = f
}

// Sent returns all sends so far, in the order in which they ended.
func (r *Remote) Sent() []Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Sent(nil), r.sent...)
}

// Received returns what customers have got: delivered and not a duplicate.
func (r *Remote) Received() []Sent {
	var got []Sent
	for _, s := range r.Sent() {
		if s.Delivered && !s.Duplicate {
			got = append(got, s)
		}
	}
	return got
}

// PutMedia makes FetchMedia find data behind the ref that is returned.
func (r *Remote) PutMedia(key string, data []byte) json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.media[key] = data
	ref, _ := json.Marshal(map[string]string{"key": key})
	return ref
}

// Typing returns the chats to which typing was shown.
func (r *Remote) Typing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.typing...)
}

// Running tells how many adapters of the channel run: never more than one under one lease.
func (r *Remote) Running(channelID int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running[channelID]
}

// Report lets the channel's next run start in this state instead of up.
func (r *Remote) Report(channelID int64, s channels.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[channelID] = s
}

// Adapter is one run of one channel.
type Adapter struct {
	r  *Remote
	id int64
}

var (
	_ channels.Adapter = (*Adapter)(nil)
	_ channels.Typer   = (*Adapter)(nil)
)

// Capabilities returns Remote.Caps.
func (a *Adapter) Capabilities() channels.Capabilities { return a.r.Caps }

// Run hands over what is queued, up to 100 events at a time, until ctx ends.
func (a *Adapter) Run(ctx context.Context, sink channels.Sink) error {
	r := a.r
	r.mu.Lock()
	r.running[a.id]++
	state := r.states[a.id]
	wake := r.signal(a.id)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running[a.id]--
	}()
	state.Kind = cmp.Or(state.Kind, channels.Up)
	_ = sink.State(ctx, state) // the hub hears it again at the next start
	for {
		r.mu.Lock()
		batch := r.queue[a.id]
		batch = batch[:min(len(batch), 100)]
		r.mu.Unlock()
		again := time.Hour
		if len(batch) > 0 {
			if a.ingest(ctx, sink, batch) == nil {
				continue
			}
			again = 10 * time.Millisecond
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-wake:
		case <-t.C:
		}
		t.Stop()
	}
}

func (a *Adapter) ingest(ctx context.Context, sink channels.Sink, batch []*delivery) error {
	r := a.r
	r.mu.Lock()
	position := r.acked[a.id] + int64(len(batch))
	r.mu.Unlock()
	b := channels.Batch{Cursor: &channels.Cursor{Name: "position", Value: strconv.FormatInt(position, 10)}}
	for _, d := range batch {
		b.Events = append(b.Events, d.event)
	}
	if err := sink.Ingest(ctx, b); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[a.id] = position
	r.queue[a.id] = r.queue[a.id][len(batch):]
	for _, d := range batch {
		close(d.done)
	}
	return nil
}

// Send ends as scripted.
func (a *Adapter) Send(ctx context.Context, m channels.Outbound) (channels.SendResult, error) {
	r := a.r
	r.mu.Lock()
	var o Outcome
	onSend := r.onSend
	if len(r.outcomes) > 0 {
		o, r.outcomes, onSend = r.outcomes[0], r.outcomes[1:], nil
	}
	r.mu.Unlock()
	if onSend != nil {
		o = onSend(ctx, a.id, m)
	}
	if o.Delay > 0 || o.Block != nil {
		if err := hold(ctx, o); err != nil {
			o.Err = &channels.SendError{Kind: channels.Uncertain, Reason: "the send was interrupted", Err: err}
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	s := Sent{ChannelID: a.id, Outbound: m, Delivered: o.Err == nil || o.Delivered}
	key := strconv.FormatInt(a.id, 10) + "/" + m.ClientID
	res, known := r.seen[key]
	s.Duplicate = known && r.Caps.Deduplicates
	if s.Delivered && !s.Duplicate {
		r.nextID++
		res = channels.SendResult{ProviderIDs: []string{"out" + strconv.FormatInt(r.nextID, 10)}, At: time.Now().UTC()}
		r.seen[key] = res
	}
	r.sent = append(r.sent, s)
	if o.Err != nil {
		return channels.SendResult{}, o.Err
	}
	return res, nil
}

func hold(ctx context.Context, o Outcome) error {
	var after <-chan time.Time
	if o.Block == nil {
		t := time.NewTimer(o.Delay)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-o.Block:
	case <-after:
	}
	return nil
}

// FetchMedia writes what PutMedia stored.
func (a *Adapter) FetchMedia(_ context.Context, ref json.RawMessage, w io.Writer) (channels.MediaInfo, error) {
	var k struct{ Key string }
	if err := json.Unmarshal(ref, &k); err != nil {
		return channels.MediaInfo{}, fmt.Errorf("media ref: %w", err)
	}
	a.r.mu.Lock()
	data, ok := a.r.media[k.Key]
	a.r.mu.Unlock()
	if !ok {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	n, err := w.Write(data)
	return channels.MediaInfo{Name: k.Key, Size: int64(n)}, err
}

// Typing is recorded.
func (a *Adapter) Typing(_ context.Context, chat string, _ json.RawMessage) error {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.typing = append(a.r.typing, chat)
	return nil
}
