package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

const hookSecret = "bench_hook_secret" //nolint:gosec // of a provider on loopback

// poster is a provider that posts updates.
type poster struct {
	url    string
	client *http.Client
	ids    *atomic.Int64
}

func (w *world) poster(url string) *poster {
	return &poster{url: url, ids: &w.update, client: &http.Client{
		Timeout: rig.Patience, Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512},
	}}
}

// hooked makes a Telegram channel of the hub that is posted to.
func (w *world) hooked(ctx context.Context, h *hub) (*poster, error) {
	ch, err := h.Telegram(ctx, map[string]any{"mode": "webhook", "webhook_secret": hookSecret}, nil)
	if err != nil {
		return nil, err
	}
	return w.poster(h.Hub.URL + "/hooks/telegram/" + ch.ID), nil
}

func (p *poster) close() { p.client.CloseIdleConnections() }

// update is a text message of 135 bytes as Telegram posts it.
func (p *poster) update(person int64) []byte {
	id := p.ids.Add(1)
	return fmt.Appendf(nil, `{"update_id":%d,"message":{"message_id":%d,"from":{"id":%d,"is_bot":false,"first_name":"Person","last_name":"No %d","language_code":"en"},`+
		`"chat":{"id":%d,"first_name":"Person","last_name":"No %d","type":"private"},"date":%d,"text":"Message %09d: hello, do you have forty seats for the twelfth of December, near the window if you can, and what would it cost us?"}}`,
		id, id, person, person, person, person, time.Now().Unix(), id)
}

// post returns when the hub has answered that it is committed.
func (p *poster) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Telegram-Bot-Api-Secret-Token", hookSecret)
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the update was answered with %s: %.200s", resp.Status, answer)
	}
	return err
}

// load is what some callers saw.
type load struct {
	took time.Duration
	each []time.Duration // sorted
}

func (l load) rate() float64 { return float64(len(l.each)) / l.took.Seconds() }

// ms is the q-th quantile.
func (l load) ms(q float64) float64 { return quantile(l.each, q) }

func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / float64(time.Millisecond)
}

// drive lets callers call fn total times and stops at the first error.
func drive(ctx context.Context, callers, total int, fn func(ctx context.Context, i int) error) (load, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	each := make([]time.Duration, total)
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= total {
					return
				}
				from := time.Now()
				if err := fn(ctx, i); err != nil {
					cancel(err)
					return
				}
				each[i] = time.Since(from)
			}
		})
	}
	wg.Wait()
	l := load{took: time.Since(began), each: each}
	slices.Sort(l.each)
	return l, context.Cause(ctx)
}

// median of a few numbers.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}
