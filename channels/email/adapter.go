package email

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/parley-hub/parley/channels"
)

// Name is the kind of the channel.
const Name = "email"

// maxSend is what most providers take in one mail, attachments before their encoding.
const maxSend = 25 << 20

// Kind describes the channel kind "email". suggest finds settings for an address, see Suggester; nil = it cannot.
func Kind(suggest *Suggester) channels.Kind {
	k := channels.Kind{
		Name:    Name,
		Secrets: []string{"imap.password", "smtp.password", "oauth.client_secret", "oauth.refresh_token"},
		Check: func(raw jsonRaw) error {
			_, err := parseSettings(raw)
			return err
		},
		Probe: probe,
		New:   func(acc channels.Account) (channels.Adapter, error) { return newAdapter(acc) },
	}
	if suggest != nil {
		k.Suggest = func(ctx context.Context, address string) (any, error) { return suggest.For(ctx, address) }
	}
	return k
}

// Adapter is one mailbox.
type Adapter struct {
	account channels.Account
	set     settings
	tokens  *tokens
	now     func() time.Time
	cycle   time.Duration // how long an IDLE lasts at most
	silence time.Duration // after which a server that should answer counts as gone
	largest int64         // of a larger mail only the beginning is taken, in bytes
}

var (
	_ channels.Adapter    = (*Adapter)(nil)
	_ channels.Identifier = (*Adapter)(nil)
	_ channels.RawReader  = (*Adapter)(nil)
)

func newAdapter(acc channels.Account) (*Adapter, error) {
	s, err := parseSettings(acc.Settings)
	if err != nil {
		return nil, err
	}
	return &Adapter{account: acc, set: s, tokens: newTokens(s.OAuth), now: time.Now, cycle: time.Minute, silence: answerTimeout, largest: maxMail}, nil
}

// Capabilities of a mailbox. A mail cannot be taken back, and nobody tells that it was read.
func (a *Adapter) Capabilities() channels.Capabilities {
	return channels.Capabilities{
		MaxFile: maxSend, Formatting: true, Files: true, Reply: true, Deduplicates: true, FirstContact: true,
		Subject: true, Recipients: true, ParallelSends: 4,
	}
}

// Run watches the folders, each on a connection of its own, until ctx ends.
func (a *Adapter) Run(ctx context.Context, sink channels.Sink) error {
	defer a.tokens.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &reporter{sink: sink, states: map[string]channels.State{}}
	for _, name := range a.set.IMAP.Folders {
		r.states[name] = channels.State{Kind: channels.Connecting}
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(a.set.IMAP.Folders))
	for _, name := range a.set.IMAP.Folders {
		f := &folder{Adapter: a, name: name, sink: sink, report: func(st channels.State) { r.report(ctx, name, st) }}
		wg.Go(func() {
			defer cancel()
			defer func() {
				if p := recover(); p != nil { // one broken folder must not take the process down
					failed <- fmt.Errorf("folder %s: panic: %v\n%s", name, p, debug.Stack())
				}
			}()
			f.run(ctx)
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

// reporter makes one state of the folders' states and passes it on when it changes.
type reporter struct {
	sink channels.Sink

	mu     sync.Mutex
	states map[string]channels.State
	last   channels.State
	sent   bool
}

func (r *reporter) report(ctx context.Context, folder string, st channels.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[folder] = st
	all := channels.State{Kind: channels.Up}
	rank := map[channels.StateKind]int{channels.Up: 0, channels.Connecting: 1, channels.Failed: 2, channels.NeedsLogin: 3}
	for _, s := range r.states {
		if rank[s.Kind] > rank[all.Kind] || s.Kind == all.Kind && s.Reason < all.Reason {
			all = s
		}
	}
	if r.sent && r.last == all {
		return
	}
	r.sent = r.sink.State(ctx, all) == nil
	r.last = all
}

// stateOf says where an error leaves the channel.
func (a *Adapter) stateOf(err error) channels.State {
	var he *hubError
	if errors.As(err, &he) {
		return channels.State{Kind: channels.Failed, Reason: "The hub could not store what came. Nothing is lost: it waits in the mailbox and is tried again."}
	}
	if errors.Is(err, errLogin) {
		return channels.State{Kind: channels.NeedsLogin, Reason: a.inWords(err)}
	}
	return channels.State{Kind: channels.Failed, Reason: a.inWords(err)}
}

// backoff grows from a second to longest.
type backoff struct{ wait, longest time.Duration }

func (b *backoff) reset() { b.wait = 0 }

// pause waits; false when ctx ended.
func (b *backoff) pause(ctx context.Context) bool {
	b.wait = min(max(2*b.wait, time.Second), b.longest)
	t := time.NewTimer(b.wait/2 + rand.N(b.wait/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// oneLine makes a sentence of what a server said.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
