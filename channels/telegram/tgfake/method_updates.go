package tgfake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func tooMany(retryAfter int) string {
	return fmt.Sprintf("Too Many Requests: retry after %d", retryAfter)
}

func frozen(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("tgfake: a result that is no JSON: " + err.Error())
	}
	return json.RawMessage(raw)
}

// getUpdates acknowledges everything below offset and waits up to timeout seconds for what follows.
func (c *call) getUpdates() (any, *apiError) {
	s, b := c.s, c.b
	s.mu.Lock()
	if b.hook.url != "" {
		s.mu.Unlock()
		return nil, &apiError{code: 409, description: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"}
	}
	b.allow(c.p)
	if b.poll != nil {
		close(b.poll)
	}
	mine := make(chan struct{})
	b.poll = mine
	offset := c.p.int("offset")
	switch {
	case offset > 0:
		b.acknowledge(offset)
	case offset < 0:
		b.updates = b.updates[max(0, len(b.updates)+int(offset)):]
	}
	limit := int(c.p.int("limit"))
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	timeout := time.NewTimer(time.Duration(min(max(c.p.int("timeout"), 0), 50)) * time.Second)
	defer timeout.Stop()
	defer func() {
		if b.poll == mine {
			b.poll = nil
		}
		s.mu.Unlock()
	}()
	ended := b.ended
	for waiting := c.p.int("timeout") > 0; len(b.updates) == 0 && waiting && !b.revoked && b.ended == ended; {
		news := b.news
		s.mu.Unlock()
		over := false
		select {
		case <-news:
		case <-timeout.C:
			waiting = false
		case <-mine:
			over = true
		case <-c.r.Context().Done():
			waiting = false
		case <-s.ctx.Done():
			waiting = false
		}
		s.mu.Lock()
		if over {
			return nil, &apiError{code: 409, description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}
		}
	}
	if b.revoked {
		return nil, &apiError{code: 401, description: "Unauthorized"}
	}
	out := make([]json.RawMessage, 0, min(len(b.updates), limit))
	for _, u := range b.updates[:min(len(b.updates), limit)] {
		out = append(out, u.raw)
	}
	return out, nil
}

// allow remembers allowed_updates; an empty list means the default set again.
func (b *Bot) allow(p *params) {
	var kinds []string
	if !p.json("allowed_updates", &kinds) {
		return
	}
	b.allowed = nil
	if len(kinds) > 0 {
		b.allowed = map[string]bool{}
		for _, k := range kinds {
			b.allowed[k] = true
		}
	}
}

type webhook struct {
	url, secret string
	stop        chan struct{}
	lastError   string
	lastErrorAt time.Time
}

func setWebhook(c *call) (any, *apiError) {
	target := c.p.str("url")
	if target == "" {
		return deleteWebhook(c)
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, bad("bad webhook: invalid URL")
	}
	if secret := c.p.str("secret_token"); len(secret) > 256 || strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return nil, bad("secret token contains unallowed characters")
	}
	c.b.allow(c.p)
	if c.p.str("drop_pending_updates") == "true" {
		c.b.updates = nil
	}
	c.b.stopWebhook()
	c.b.hook = webhook{url: target, secret: c.p.str("secret_token"), stop: make(chan struct{})}
	if c.b.poll != nil {
		close(c.b.poll)
		c.b.poll = nil
	}
	hook := c.b.hook
	c.s.wg.Go(func() { c.b.pushWebhook(hook) })
	return true, nil
}

func (b *Bot) stopWebhook() {
	if b.hook.stop != nil {
		close(b.hook.stop)
	}
	b.hook = webhook{}
}

func deleteWebhook(c *call) (any, *apiError) {
	c.b.stopWebhook()
	if c.p.str("drop_pending_updates") == "true" {
		c.b.updates = nil
	}
	return true, nil
}

func getWebhookInfo(c *call) (any, *apiError) {
	o := object{"url": c.b.hook.url, "has_custom_certificate": false, "pending_update_count": len(c.b.updates)}
	if c.b.hook.url != "" {
		o["max_connections"] = 40
	}
	if c.b.hook.lastError != "" {
		o["last_error_message"], o["last_error_date"] = c.b.hook.lastError, c.b.hook.lastErrorAt.Unix()
	}
	return o, nil
}

// pushWebhook posts updates to a webhook, one after the other, each until it is answered with 2xx.
func (b *Bot) pushWebhook(hook webhook) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	pause := b.s.WebhookRetry
	for {
		b.s.mu.Lock()
		news := b.news
		var next *update
		if len(b.updates) > 0 {
			u := b.updates[0]
			next = &u
		}
		b.s.mu.Unlock()
		var again <-chan time.Time
		if next != nil {
			err := b.post(client, hook, next)
			b.s.mu.Lock()
			if b.hook.stop != hook.stop {
				b.s.mu.Unlock()
				return
			}
			if err == nil {
				b.drop(func(u update) bool { return u.id == next.id })
				b.s.mu.Unlock()
				pause = b.s.WebhookRetry
				continue
			}
			b.hook.lastError, b.hook.lastErrorAt = err.Error(), b.s.Now()
			b.s.mu.Unlock()
			again, news = time.After(pause), nil
			pause = min(2*pause, 16*b.s.WebhookRetry)
		}
		select {
		case <-news:
		case <-again:
		case <-hook.stop:
			return
		case <-b.s.ctx.Done():
			return
		}
	}
}

func (b *Bot) post(client *http.Client, hook webhook, u *update) error {
	req, err := http.NewRequestWithContext(b.s.ctx, http.MethodPost, hook.url, bytes.NewReader(u.raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if hook.secret != "" {
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", hook.secret)
	}
	resp, err := client.Do(req)
	if err != nil {
		//lint:ignore ST1005 Telegram's own words
		return fmt.Errorf("Connection failed: %w", err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		//lint:ignore ST1005 Telegram's own words
		return fmt.Errorf("Wrong response from the webhook: %s", resp.Status)
	}
	// The answer may name a method to run.
	p := &params{values: map[string]string{}, files: map[string]*file{}}
	if p.readJSON(bytes.NewReader(body)) == nil && p.str("method") != "" {
		_, _ = (&call{s: b.s, b: b, r: req, p: p}).run(strings.ToLower(p.str("method")))
	}
	return nil
}
