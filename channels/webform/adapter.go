package webform

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/parley-hub/parley/channels"
)

// Name is the kind of the channel.
const Name = "webform"

// Kind describes the channel kind "webform": settings {fields: [{name, label, type: text|email|phone|textarea|select|
// checkbox|hidden, required, options}], sites: [origins], thanks, redirect, language: en|ru|am, pow_bits, min_seconds,
// per_ip_minute, proof_required}. The hub adds key, which is the form's public address.
func Kind() channels.Kind {
	return channels.Kind{
		Name:        Name,
		Secrets:     []string{"form_secret"},
		ReceiveOnly: true,
		Complete:    complete,
		Check: func(raw json.RawMessage) error {
			_, err := parseSettings(raw)
			return err
		},
		Probe: func(_ context.Context, a channels.Account) error {
			_, err := parseSettings(a.Settings)
			return err
		},
		New: func(a channels.Account) (channels.Adapter, error) { return newAdapter(a, time.Now) },
	}
}

// complete keeps key and secret of a form for its whole life: pages out there name it.
func complete(set, before map[string]any) error {
	for name, bytes := range map[string]int{"key": 15, "form_secret": 32} {
		if old, ok := before[name].(string); ok && old != "" {
			set[name] = old
			continue
		}
		b := make([]byte, bytes)
		if _, err := rand.Read(b); err != nil {
			return err
		}
		set[name] = hex.EncodeToString(b)
	}
	return nil
}

// Adapter is one form.
type Adapter struct {
	account channels.Account
	set     settings
	signer  signer
	limits  *limits
	now     func() time.Time
}

var (
	_ channels.Adapter   = (*Adapter)(nil)
	_ channels.Webhooker = (*Adapter)(nil)
)

func newAdapter(a channels.Account, now func() time.Time) (*Adapter, error) {
	set, err := parseSettings(a.Settings)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(set.Secret)
	if err != nil {
		return nil, err
	}
	return &Adapter{
		account: a, set: set, now: now, signer: signer{secret: secret, key: set.Key, bits: *set.PowBits, now: now},
		limits: newLimits(set.PerIPMinute, now),
	}, nil
}

// Capabilities: nothing goes out through a form.
func (a *Adapter) Capabilities() channels.Capabilities { return channels.Capabilities{} }

// Run has no connection to keep: submissions come to the handler, on every node.
func (a *Adapter) Run(ctx context.Context, sink channels.Sink) error {
	if err := sink.State(ctx, channels.State{Kind: channels.Up}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// Send refuses: the person is answered on another channel. The hub does not ask, since the kind is ReceiveOnly.
func (a *Adapter) Send(context.Context, channels.Outbound) (channels.SendResult, error) {
	return channels.SendResult{}, &channels.SendError{Kind: channels.Permanent, Reason: "A website form has no way back: answer on another channel."}
}

// FetchMedia has nothing to fetch: forms carry no files.
func (a *Adapter) FetchMedia(context.Context, json.RawMessage, io.Writer) (channels.MediaInfo, error) {
	return channels.MediaInfo{}, channels.ErrMediaGone
}

// Webhook serves the form: GET its description, page and script, POST a submission.
func (a *Adapter) Webhook(sink channels.Sink) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/form.js"):
			serveScript(w, r)
		case !a.mayCall(r):
			a.fail(w, r, problem{status: http.StatusForbidden, code: "cross_origin", detail: "This form is not meant for the site that sent the request."})
		case r.Method == http.MethodOptions:
			a.preflight(w, r)
		case r.Method == http.MethodGet:
			a.show(w, r)
		case r.Method == http.MethodPost:
			a.take(w, r, sink)
		default:
			w.Header().Set("Allow", "GET, POST, OPTIONS")
			a.fail(w, r, problem{status: http.StatusMethodNotAllowed, code: "method_not_allowed", detail: "Use GET or POST here."})
		}
	})
}
