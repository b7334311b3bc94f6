package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

const (
	cursorName = "update_id"
	// pollTimeout is how long Telegram holds a poll open; pollSlack is what the way there and back may add.
	pollTimeout = 50 * time.Second
	pollSlack   = 15 * time.Second
)

// allowedUpdates are the updates we ask for. message_reaction is never sent unless it is named. Posts of a channel that
// the bot serves are not asked for: they are the company's own.
func allowedUpdates() []string {
	return []string{
		models.AllowedUpdateMessage, models.AllowedUpdateEditedMessage, models.AllowedUpdateCallbackQuery,
		models.AllowedUpdateMyChatMember, models.AllowedUpdateMessageReaction, models.AllowedUpdateBusinessConnection,
		models.AllowedUpdateBusinessMessage, models.AllowedUpdateEditedBusinessMessage, models.AllowedUpdateDeletedBusinessMessages,
	}
}

// poll asks for updates, stores each answer as one batch and only then asks for what follows it, which is what
// acknowledges it.
//
// The offset is named only while it acknowledges something: not in the first call, and not after an empty answer. After
// a week without updates Telegram starts over at a random number, and an offset above that would throw the new updates
// away. What the first answer brings again is known by the stored cursor.
func (a *Adapter) poll(ctx context.Context, sink channels.Sink, r *reporter) error {
	offset, committed := int64(0), a.cursor()
	pause, storing := backoff{longest: time.Minute}, backoff{longest: 2 * time.Second}
	started := false
	for ctx.Err() == nil {
		if !started {
			// Polling is refused while a webhook is set, by us earlier or by somebody else.
			if err := a.api.call(ctx, "deleteWebhook", params{"drop_pending_updates": false}, nil); err != nil {
				a.trouble(ctx, r, &pause, err)
				continue
			}
			started = true
		}
		timeout := pollTimeout
		if !r.up() {
			timeout = 0 // say at once whether it works
		}
		updates, err := a.getUpdates(ctx, offset, timeout)
		if err != nil {
			var ae *apiError
			started = !errors.As(err, &ae) || ae.Code != 409
			a.trouble(ctx, r, &pause, err)
			continue
		}
		pause.reset()
		last, err := a.ingest(ctx, sink, updates, committed)
		if err != nil {
			if ctx.Err() == nil {
				r.report(ctx, channels.State{Kind: channels.Failed, Reason: "The hub could not store what came. Nothing is lost: it waits at Telegram and is tried again."})
				storing.pause(ctx, 0)
			}
			continue
		}
		storing.reset()
		r.report(ctx, channels.State{Kind: channels.Up})
		offset, committed = 0, 0
		if last > 0 {
			offset = last + 1
		} else if len(updates) > 0 {
			storing.pause(ctx, time.Second) // no update had a number: they cannot be acknowledged, only come again
		}
	}
	return ctx.Err()
}

// cursor is the last committed update; 0 when there is none.
func (a *Adapter) cursor() int64 {
	last, err := strconv.ParseInt(a.account.Cursors[cursorName], 10, 64)
	if err != nil || last <= 0 {
		return 0
	}
	return last
}

func (a *Adapter) trouble(ctx context.Context, r *reporter, pause *backoff, err error) {
	if ctx.Err() != nil {
		return
	}
	state, wait := a.stateOf(err)
	r.report(ctx, state)
	pause.pause(ctx, wait)
}

func (a *Adapter) getUpdates(ctx context.Context, offset int64, timeout time.Duration) ([]json.RawMessage, error) {
	p := params{"timeout": int(timeout / time.Second), "limit": 100, "allowed_updates": allowedUpdates()}
	if offset != 0 {
		p["offset"] = offset
	}
	var updates []json.RawMessage
	err := a.api.callFor(ctx, timeout+pollSlack, "getUpdates", p, &updates)
	return updates, err
}

// ingest stores one answer of getUpdates and returns the highest update id in it; 0 when no update had one. Updates
// just below committed are in the database already.
func (a *Adapter) ingest(ctx context.Context, sink channels.Sink, updates []json.RawMessage, committed int64) (int64, error) {
	var b channels.Batch
	var last int64
	var pressed []string
	for _, raw := range updates {
		c := convert(raw, a.set.botID(), a.now())
		last = max(last, c.updateID)
		if c.updateID > committed-1000 && c.updateID <= committed && c.updateID > 0 {
			continue
		}
		b.Events = append(b.Events, c.events...)
		if c.callback != "" {
			pressed = append(pressed, c.callback)
		}
	}
	if len(b.Events) == 0 {
		return last, nil
	}
	if last > 0 {
		b.Cursor = &channels.Cursor{Name: cursorName, Value: strconv.FormatInt(last, 10)}
	}
	if err := sink.Ingest(ctx, b); err != nil {
		return 0, err
	}
	a.answerCallbacks(ctx, pressed)
	return last, nil
}

// answerCallbacks stops the button from spinning on the customer's side. Best effort, beside the work.
func (a *Adapter) answerCallbacks(ctx context.Context, ids []string) {
	if len(ids) == 0 {
		return
	}
	a.answered.Go(func() {
		for _, id := range ids {
			if a.api.callFor(ctx, 5*time.Second, "answerCallbackQuery", params{"callback_query_id": id}, nil) != nil {
				return
			}
		}
	})
}
