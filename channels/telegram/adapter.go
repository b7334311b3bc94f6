package telegram

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/parley-hub/parley/channels"
)

// Adapter is one bot.
type Adapter struct {
	account channels.Account
	set     settings
	api     *client
	now     func() time.Time
	// watchEvery is how often Telegram is asked whether its webhook reaches us.
	watchEvery time.Duration
	// answered waits for the goroutines that stop the customer's button from spinning.
	answered sync.WaitGroup
}

var (
	_ channels.Adapter    = (*Adapter)(nil)
	_ channels.Webhooker  = (*Adapter)(nil)
	_ channels.Typer      = (*Adapter)(nil)
	_ channels.MarkReader = (*Adapter)(nil)
)

func newAdapter(a channels.Account) (*Adapter, error) {
	s, err := parseSettings(a.Settings)
	if err != nil {
		return nil, err
	}
	return &Adapter{
		account: a, set: s, api: newClient(s.APIURL, s.Token), watchEvery: time.Minute,
		now: func() time.Time { return time.Now().UTC() },
	}, nil
}

// maxUpload is what Telegram's own server takes from a bot.
const maxUpload = 50 << 20

// Capabilities of a bot. Delivered and read are never told to bots, and a bot cannot write first.
func (a *Adapter) Capabilities() channels.Capabilities {
	return channels.Capabilities{
		// Longer texts are split, so this is a bound of taste, not of Telegram.
		MaxText: 16384, MaxFile: maxUpload, Formatting: true, Files: true, Reply: true, Edit: true, Delete: true,
		React: true, Reactions: reactions(), Typing: true, ParallelSends: 8,
	}
}

// reactions are the emojis that Telegram lets a bot react with (Bot API 9.4, ReactionTypeEmoji).
func reactions() []string {
	return []string{
		"👍", "👎", "❤", "🔥", "🥰", "👏", "😁", "🤔", "🤯", "😱", "🤬", "😢", "🎉", "🤩", "🤮", "💩", "🙏", "👌", "🕊", "🤡", "🥱", "🥴", "😍", "🐳",
		"❤‍🔥", "🌚", "🌭", "💯", "🤣", "⚡", "🍌", "🏆", "💔", "🤨", "😐", "🍓", "🍾", "💋", "🖕", "😈", "😴", "😭", "🤓", "👻", "👨‍💻", "👀", "🎃", "🙈",
		"😇", "😨", "🤝", "✍", "🤗", "🫡", "🎅", "🎄", "☃", "💅", "🤪", "🗿", "🆒", "💘", "🙉", "🦄", "😘", "💊", "🙊", "😎", "👾", "🤷‍♂", "🤷", "🤷‍♀", "😡",
	}
}

// Run receives updates until ctx ends, by polling or by keeping the webhook set. It never gives up by itself: even a
// revoked token is tried again, since a server in between may have said so by mistake.
func (a *Adapter) Run(ctx context.Context, sink channels.Sink) error {
	defer a.api.close()
	defer a.answered.Wait()
	r := &reporter{sink: sink}
	r.report(ctx, channels.State{Kind: channels.Connecting})
	if a.set.Mode == modeWebhook {
		return a.keepWebhook(ctx, r)
	}
	return a.poll(ctx, sink, r)
}

// reporter passes a state on when it differs from the last one that arrived.
type reporter struct {
	sink channels.Sink
	last channels.State
	sent bool
}

func (r *reporter) report(ctx context.Context, s channels.State) {
	if r.sent && r.last == s {
		return
	}
	r.sent = r.sink.State(ctx, s) == nil // a hub that could not store it is told again with the next report
	r.last = s
}

func (r *reporter) up() bool { return r.sent && r.last.Kind == channels.Up }

// stateOf says where a failed call leaves the channel, and how long to wait before the next, at least.
func (a *Adapter) stateOf(err error) (channels.State, time.Duration) {
	s := channels.State{Kind: channels.Failed, Reason: inWords(a.set, err)}
	var ae *apiError
	if errors.As(err, &ae) {
		switch ae.Code {
		case 401, 404:
			s.Kind = channels.NeedsLogin
			return s, 30 * time.Second
		case 429:
			s.Until = a.now().Add(ae.RetryAfter).Truncate(time.Second)
			return s, ae.RetryAfter
		case 409:
			return s, 5 * time.Second
		}
	}
	return s, 0
}

// backoff grows from a second to longest.
type backoff struct{ wait, longest time.Duration }

func (b *backoff) reset() { b.wait = 0 }

// pause waits, at least for atLeast; false when ctx ended.
func (b *backoff) pause(ctx context.Context, atLeast time.Duration) bool {
	b.wait = min(max(2*b.wait, time.Second), b.longest)
	wait := max(b.wait/2+rand.N(b.wait/2+1), atLeast)
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (a *Adapter) webhookURL() string {
	return a.account.BaseURL + "/hooks/" + Name + "/" + strconv.FormatInt(a.account.ID, 10)
}
