package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/bus"
)

const (
	subjectTyping = "typing" // the conversation in which an agent types
	// a provider shows it for some five seconds; a client says it on every few keystrokes
	typingAgain   = 4 * time.Second
	typingTimeout = 3 * time.Second
	typingWaiting = 64 // hints that may wait for the network; more are dropped, they are worth nothing later
)

const chatSQL = `SELECT channel_id, chat, chat_data FROM conversation WHERE id = $1 AND status <> 'closed' AND chat <> ''`

// Typist shows customers that somebody is writing to them. It is best effort: a hint is told to all nodes, and the one
// that owns the channel passes it on.
type Typist struct {
	pool    *pgxpool.Pool
	bus     bus.Bus
	adapter func(channelID int64) (channels.Adapter, int64, bool)
	log     *slog.Logger
}

// NewTypist makes the typist; adapter finds a channel that runs on this node (channels.Supervisor.Adapter).
func NewTypist(pool *pgxpool.Pool, b bus.Bus, adapter func(channelID int64) (channels.Adapter, int64, bool), log *slog.Logger) *Typist {
	return &Typist{pool: pool, bus: b, adapter: adapter, log: log.With("component", "typist")}
}

// AgentTypes tells the customer of a conversation that an agent types. It never blocks.
func (t *Typist) AgentTypes(conversation int64) {
	_ = t.bus.Publish(subjectTyping, []byte(strconv.FormatInt(conversation, 10)))
}

// Run passes hints on until ctx ends.
func (t *Typist) Run(ctx context.Context) error {
	hints := make(chan int64, typingWaiting)
	stop, err := t.bus.Subscribe(subjectTyping, func(_ string, data []byte) {
		conversation, err := strconv.ParseInt(string(data), 10, 64)
		if err != nil {
			return
		}
		select {
		case hints <- conversation:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("listen for who types: %w", err)
	}
	defer stop()
	told := map[int64]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case conversation := <-hints:
			now := time.Now()
			if now.Sub(told[conversation]) < typingAgain {
				continue
			}
			if len(told) > 1000 {
				clear(told)
			}
			told[conversation] = now
			if err := t.tell(ctx, conversation); err != nil && ctx.Err() == nil {
				t.log.DebugContext(ctx, "the customer is not told that somebody types", "conversation_id", conversation, "err", err)
			}
		}
	}
}

func (t *Typist) tell(ctx context.Context, conversation int64) error {
	ctx, cancel := context.WithTimeout(ctx, typingTimeout)
	defer cancel()
	var channel int64
	var chat string
	var data json.RawMessage
	err := t.pool.QueryRow(ctx, chatSQL, conversation).Scan(&channel, &chat, &data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	a, _, here := t.adapter(channel)
	if !here {
		return nil // another node has it
	}
	if typer, ok := a.(channels.Typer); ok && a.Capabilities().Typing {
		return typer.Typing(ctx, chat, data)
	}
	return nil
}
