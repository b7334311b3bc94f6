package telegram

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

const (
	secretHeader = "X-Telegram-Bot-Api-Secret-Token" //nolint:gosec // the name of a header
	maxBody      = 10 << 20
)

// Webhook answers 200 only after the update was committed; anything else makes Telegram come again.
func (a *Adapter) Webhook(sink channels.Sink) http.Handler {
	want := sha256.Sum256([]byte(a.set.WebhookSecret))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get(secretHeader)))
		// Hashes are compared, so that neither content nor length of the secret shows in the time it takes.
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || a.set.WebhookSecret == "" {
			http.Error(w, "wrong secret", http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "POST only", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body is too long or was cut", http.StatusRequestEntityTooLarge)
			return
		}
		// A webhook has no cursor: the EventKey alone keeps a repeated delivery out.
		c := convert(body, a.set.botID(), a.now())
		if err := sink.Ingest(r.Context(), channels.Batch{Events: c.events}); err != nil {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "not stored, come again", http.StatusServiceUnavailable)
			return
		}
		if c.callback != "" {
			// Telegram runs the method that the answer names; no request of our own is needed.
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(params{"method": "answerCallbackQuery", "callback_query_id": c.callback})
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}

// keepWebhook sets the webhook and watches that Telegram reaches it.
func (a *Adapter) keepWebhook(ctx context.Context, r *reporter) error {
	pause := backoff{longest: time.Minute}
	if a.set.WebhookSecret == "" || a.account.BaseURL == "" {
		r.report(ctx, channels.State{Kind: channels.Failed, Reason: "A webhook needs a secret and the public address of the hub."})
		<-ctx.Done()
		return ctx.Err()
	}
	since := a.now()
	set := false
	for ctx.Err() == nil {
		if !set {
			err := a.api.call(ctx, "setWebhook", params{
				"url": a.webhookURL(), "secret_token": a.set.WebhookSecret, "allowed_updates": allowedUpdates(),
				"max_connections": 10, "drop_pending_updates": false,
			}, nil)
			if err != nil {
				a.trouble(ctx, r, &pause, err)
				continue
			}
			set, since = true, a.now()
		}
		var info models.WebhookInfo
		if err := a.api.call(ctx, "getWebhookInfo", nil, &info); err != nil {
			a.trouble(ctx, r, &pause, err)
			continue
		}
		pause.reset()
		if info.URL != a.webhookURL() {
			// Another program or an earlier address: ours is the one the admin has set.
			set = false
			r.report(ctx, channels.State{Kind: channels.Failed, Reason: "Another address was set as this bot's webhook. Setting ours again."})
			if !pause.pause(ctx, 0) {
				break
			}
			continue
		}
		r.report(ctx, a.webhookState(info, since))
		sleep(ctx, a.watchEvery)
	}
	return ctx.Err()
}

// webhookState says failed while updates wait because Telegram recently could not deliver one.
func (a *Adapter) webhookState(info models.WebhookInfo, since time.Time) channels.State {
	last := time.Unix(int64(info.LastErrorDate), 0)
	recent := info.LastErrorDate > 0 && !last.Before(since.Truncate(time.Second)) && a.now().Sub(last) < 10*time.Minute
	if recent && info.PendingUpdateCount > 0 {
		return channels.State{Kind: channels.Failed, Reason: fmt.Sprintf("Telegram cannot deliver to %s: %s", a.webhookURL(), clean(info.LastErrorMessage, 300))}
	}
	return channels.State{Kind: channels.Up}
}
