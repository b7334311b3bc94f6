package notify

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/SherClockHolmes/webpush-go"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	pushTime  = 20 * time.Second // for one exchange with a push service
	pushTries = 6                // over about a quarter of an hour: later it is no news
	pushTTL   = 6 * 3600         // seconds that a push service keeps it for a device that is off
	keyAAD    = "push_key"

	maxEndpoint  = 2048
	maxUserAgent = 300
	maxDevices   = 20 // of one agent; the oldest make room
)

// pushArgs is one message to one device. A notification that grew meanwhile has a newer job of its own.
type pushArgs struct {
	Notification int64 `json:"notification"`
	Version      int   `json:"version"`
	Subscription int64 `json:"subscription"`
}

// Kind implements jobs.Args.
func (pushArgs) Kind() string { return "push" }

// InsertOpts implements River's choice of options.
func (pushArgs) InsertOpts() jobs.Opts { return jobs.Opts{MaxAttempts: pushTries} }

// PushMessage is what a device gets, and its service worker shows.
type PushMessage struct {
	ID             ids.ID `json:"id"`
	Kind           string `json:"kind"`
	ConversationID ids.ID `json:"conversation_id"`
	Title          string `json:"title"`
	Text           string `json:"text"`
	Actor          string `json:"actor"`
	Times          int    `json:"times"`
	Locale         string `json:"locale"`
}

const (
	pushSQL = `SELECT ` + columns + `, a.locale, p.endpoint, p.p256dh, p.auth FROM notification n
	JOIN push_subscription p ON p.agent_id = n.agent_id JOIN agent a ON a.id = n.agent_id
WHERE n.id = $1 AND n.version = $2 AND p.id = $3 AND n.read_at IS NULL AND a.disabled_at IS NULL`

	forgetSQL = `DELETE FROM push_subscription WHERE id = $1`

	subscribeSQL = `INSERT INTO push_subscription AS p (agent_id, session_id, endpoint, p256dh, auth, user_agent) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (md5(endpoint)) DO UPDATE SET agent_id = excluded.agent_id, session_id = excluded.session_id, p256dh = excluded.p256dh,
	auth = excluded.auth, user_agent = excluded.user_agent, created_at = now()
RETURNING id`
	roomSQL = `DELETE FROM push_subscription WHERE id IN (SELECT id FROM push_subscription WHERE agent_id = $1 ORDER BY created_at DESC, id DESC OFFSET $2)`

	unsubscribeSQL = `DELETE FROM push_subscription WHERE id = $1 AND agent_id = $2`

	keySQL     = `SELECT public, private FROM push_key`
	makeKeySQL = `INSERT INTO push_key (public, private) VALUES ($1, $2) ON CONFLICT DO NOTHING`
)

// Subscription is a browser that wants to be told, in the form in which it says so itself.
type Subscription struct {
	Endpoint  string
	P256dh    string // its public key, base64url
	Auth      string // its secret of 16 bytes, base64url
	UserAgent string
}

// Prepare makes the hub's key for push services if there is none yet: browsers bind their subscriptions to it, so that it
// must never change.
func (s *Service) Prepare(ctx context.Context) error {
	_, _, err := s.key(ctx)
	return err
}

// PublicKey is what browsers subscribe with, base64url.
func (s *Service) PublicKey(ctx context.Context) (string, error) {
	public, _, err := s.key(ctx)
	return public, err
}

func (s *Service) key(ctx context.Context) (public, private string, err error) {
	for range 2 { // the second time it is there, whoever made it
		var pub, sealed []byte
		err := s.pool.QueryRow(ctx, keySQL).Scan(&pub, &sealed)
		if err == nil {
			plain, err := s.box.Open(keyAAD, sealed)
			if err != nil {
				return "", "", fmt.Errorf("open the key for push services: %w", err)
			}
			return string(pub), string(plain), nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return "", "", fmt.Errorf("read the key for push services: %w", err)
		}
		private, public, err := webpush.GenerateVAPIDKeys()
		if err != nil {
			return "", "", fmt.Errorf("make a key for push services: %w", err)
		}
		if sealed, err = s.box.Seal(keyAAD, []byte(private)); err != nil {
			return "", "", fmt.Errorf("seal the key for push services: %w", err)
		}
		if _, err := s.pool.Exec(ctx, makeKeySQL, []byte(public), sealed); err != nil {
			return "", "", fmt.Errorf("keep the key for push services: %w", err)
		}
	}
	return "", "", errs.New(errs.Internal, "the key for push services is not there")
}

// Subscribe takes a device of the caller's session; a device that is known already changes its owner.
func (s *Service) Subscribe(ctx context.Context, a staff.Access, in Subscription) (ids.ID, error) {
	p256dh, auth, err := in.check()
	if err != nil {
		return 0, err
	}
	var id int64
	err = postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, subscribeSQL, int64(a.AgentID), int64(a.SessionID), in.Endpoint, p256dh, auth, clipBytes(in.UserAgent, maxUserAgent)).Scan(&id)
		if err != nil {
			return fmt.Errorf("keep subscription: %w", err)
		}
		_, err = tx.Exec(ctx, roomSQL, int64(a.AgentID), maxDevices)
		return err
	})
	return ids.ID(id), err
}

// Unsubscribe forgets a device of the caller; one that is not there changes nothing.
func (s *Service) Unsubscribe(ctx context.Context, a staff.Access, id ids.ID) error {
	_, err := s.pool.Exec(ctx, unsubscribeSQL, int64(id), int64(a.AgentID))
	return err
}

func (in Subscription) check() (p256dh, auth []byte, err error) {
	u, err := url.Parse(in.Endpoint)
	if err != nil || len(in.Endpoint) > maxEndpoint || u.User != nil || u.Hostname() == "" || u.Scheme != "https" && !loopback(u) {
		return nil, nil, errs.Field("endpoint", "must be the https address of a push service")
	}
	if p256dh, err = decode(in.P256dh); err == nil {
		_, err = ecdh.P256().NewPublicKey(p256dh)
	}
	if err != nil {
		return nil, nil, errs.Field("keys.p256dh", "must be a public key on the curve P-256, base64url")
	}
	if auth, err = decode(in.Auth); err != nil || len(auth) != 16 {
		return nil, nil, errs.Field("keys.auth", "must be 16 bytes, base64url")
	}
	return p256dh, auth, nil
}

// loopback lets a push service of one's own, on the same machine, do without TLS; whether it may be dialled at all is
// the guard's decision.
func loopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && err == nil && ip.IsLoopback()
}

func decode(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "="))
}

func clipBytes(s string, n int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// push is the job: one message to one device. nil also means that it is not wanted any more.
func (s *Service) push(ctx context.Context, args pushArgs) error {
	var n Notification
	var locale, endpoint string
	var p256dh, auth []byte
	err := s.pool.QueryRow(ctx, pushSQL, args.Notification, args.Version, args.Subscription).Scan(&n.ID, &n.Version, &n.AgentID, &n.Kind,
		&n.ConversationID, &n.MessageID, &n.Title, &n.Text, &n.Actor, &n.Times, &n.At, &n.ReadAt, &locale, &endpoint, &p256dh, &auth)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // read, grown, signed out or gone meanwhile
	}
	if err != nil {
		return fmt.Errorf("read notification %d: %w", args.Notification, err)
	}
	if s.cfg.Looking(int64(n.AgentID), int64(n.ConversationID)) {
		return nil
	}
	public, private, err := s.key(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(PushMessage{
		ID: n.ID, Kind: n.Kind, ConversationID: n.ConversationID, Title: n.Title, Text: n.Text, Actor: n.Actor, Times: n.Times, Locale: locale,
	})
	if err != nil {
		return err
	}
	resp, err := webpush.SendNotificationWithContext(ctx, body, &webpush.Subscription{
		Endpoint: endpoint,
		Keys:     webpush.Keys{P256dh: base64.RawURLEncoding.EncodeToString(p256dh), Auth: base64.RawURLEncoding.EncodeToString(auth)},
	}, &webpush.Options{
		HTTPClient: s.guard.Client(pushTime), Subscriber: s.sender(), VAPIDPublicKey: public, VAPIDPrivateKey: private,
		// A later message about the same thing takes the place of one that the device did not get yet.
		Topic: fmt.Sprintf("%s-%d", n.Kind, n.ConversationID), TTL: pushTTL, Urgency: urgency(n.Kind),
	})
	if errors.Is(err, egress.ErrRefused) {
		s.log.WarnContext(ctx, "a device's push address is not public and was forgotten", "agent_id", n.AgentID, "subscription_id", args.Subscription)
		_, err = s.pool.Exec(ctx, forgetSQL, args.Subscription)
		return err
	}
	if err != nil {
		return fmt.Errorf("push to subscription %d: %w", args.Subscription, hideURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	return s.pushed(ctx, args.Subscription, resp.StatusCode)
}

// pushed follows a push service's answer.
func (s *Service) pushed(ctx context.Context, subscription int64, status int) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusForbidden, status == http.StatusUnauthorized:
		// Gone, or bound to a key that is not ours: the browser subscribes anew when it opens the application.
		_, err := s.pool.Exec(ctx, forgetSQL, subscription)
		return err
	case status == http.StatusTooManyRequests, status >= 500:
		return fmt.Errorf("push to subscription %d: the service answered %d", subscription, status)
	}
	s.log.WarnContext(ctx, "a push service refuses a message", "subscription_id", subscription, "status", status)
	return nil // the same message would be refused again
}

func urgency(kind string) webpush.Urgency {
	if kind == Queue {
		return webpush.UrgencyNormal
	}
	return webpush.UrgencyHigh
}

// sender is whom a push service may turn to.
func (s *Service) sender() string {
	if strings.HasPrefix(s.cfg.BaseURL, "https://") {
		return s.cfg.BaseURL
	}
	return "parley@localhost"
}

// hideURL drops the address, whose path is a secret of the device, from what goes to the log.
func hideURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
