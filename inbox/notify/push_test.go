package notify

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// device is a browser with its push service: it takes messages, proves who sent them, and decrypts them.
type device struct {
	*httptest.Server
	key  *ecdh.PrivateKey
	auth []byte
	hub  string // the key that it subscribed with

	mu     sync.Mutex
	status int
	got    []PushMessage
	topics []string
	fault  error
}

func newDevice(t *testing.T, hub string) *device {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{key: key, auth: make([]byte, 16), hub: hub, status: http.StatusCreated}
	_, _ = rand.Read(d.auth)
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = d.trust(r)
		}
		var plain []byte
		if err == nil {
			plain, err = d.decrypt(body)
		}
		var m PushMessage
		if err == nil {
			err = json.Unmarshal(plain, &m)
		}
		d.fault = errors.Join(d.fault, err)
		if d.status < 300 {
			d.got, d.topics = append(d.got, m), append(d.topics, r.Header.Get("Topic"))
		}
		w.WriteHeader(d.status)
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *device) subscription() Subscription {
	return Subscription{
		Endpoint: d.URL + "/push/secret", P256dh: base64.RawURLEncoding.EncodeToString(d.key.PublicKey().Bytes()),
		Auth: base64.RawURLEncoding.EncodeToString(d.auth), UserAgent: "test",
	}
}

// trust checks RFC 8292: a token for this service, signed with the key that the browser subscribed with.
func (d *device) trust(r *http.Request) error {
	token, key, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "vapid t="), ", k=")
	parts := strings.Split(token, ".")
	if !ok || key != d.hub || len(parts) != 3 || r.Header.Get("Ttl") == "" {
		return errors.New("not signed by the hub: " + r.Header.Get("Authorization"))
	}
	raw, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return err
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(sig) != 64 {
		return errors.New("no signature")
	}
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(public, hash[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return errors.New("the signature is wrong")
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, &claims)
	}
	if err != nil || claims.Aud != d.URL || claims.Sub != "https://hub.example.org" || claims.Exp > time.Now().Add(24*time.Hour).Unix() {
		return errors.New("claims: " + string(b))
	}
	return nil
}

// decrypt follows RFC 8291 and RFC 8188.
func (d *device) decrypt(body []byte) ([]byte, error) {
	if len(body) < 21+65 {
		return nil, errors.New("too short")
	}
	salt, idLen := body[:16], int(body[20])
	if binary.BigEndian.Uint32(body[16:20]) < 18 || idLen != 65 {
		return nil, errors.New("bad header")
	}
	sender, err := ecdh.P256().NewPublicKey(body[21 : 21+idLen])
	if err != nil {
		return nil, err
	}
	shared, err := d.key.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(d.key.PublicKey().Bytes()) + string(sender.Bytes())
	ikm, err := hkdf.Key(sha256.New, shared, d.auth, info, 32)
	if err != nil {
		return nil, err
	}
	cek, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, body[21+idLen:], nil)
	if err != nil {
		return nil, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, errors.New("no end of the last record")
	}
	return plain[:len(plain)-1], nil
}

func TestPushReachesTheDevice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	hub, err := o.PublicKey(o.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.PublicKey(o.ctx); err != nil || again != hub {
		t.Errorf("the key changed to %q, %v", again, err)
	}
	var private []byte
	if err := o.pool.QueryRow(o.ctx, `SELECT private FROM push_key`).Scan(&private); err != nil || len(private) < 45 {
		t.Errorf("%d bytes, %v: the private key is not sealed", len(private), err)
	}
	anna := o.hire(staff.ScopeAll)
	d := newDevice(t, hub)
	for range 2 { // the same browser again is the same device
		if _, err := o.Subscribe(o.ctx, anna, d.subscription()); err != nil {
			t.Fatal(err)
		}
	}
	conv := o.open(0, anna.AgentID)
	o.hears(conv, "Сколько стоит?")
	o.hears(conv, "ስንት ነው?")
	o.catchUp()
	list := o.pushes()
	if len(list) != 2 {
		t.Fatalf("%d jobs, want 2", len(list))
	}
	work := func(list ...pushArgs) (err error) {
		for _, args := range list {
			err = errors.Join(err, o.push(o.ctx, args))
		}
		return err
	}
	if err := work(list...); err != nil {
		t.Fatal(err)
	}
	want := []PushMessage{{ID: d.got[0].ID, Kind: Message, ConversationID: conv, Title: "Sara Bekele", Text: "ስንት ነው?", Times: 2, Locale: "en"}}
	if diff := cmp.Diff(want, d.got); diff != "" || d.fault != nil { // the first grew before it was sent
		t.Errorf("%v (-want +got):\n%s", d.fault, diff)
	}
	if len(d.topics[0]) == 0 || len(d.topics[0]) > 32 {
		t.Errorf("topic %q", d.topics[0])
	}

	d.status = http.StatusServiceUnavailable
	if err := work(list...); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a service in trouble: %v; want an error without the device's address", err)
	}
	if err := o.Read(o.ctx, anna, ReadWhat{All: true}); err != nil {
		t.Fatal(err)
	}
	if err := work(list...); err != nil {
		t.Errorf("what was read meanwhile: %v", err)
	}
	d.status = http.StatusGone
	o.hears(conv, "hello?")
	o.catchUp()
	if err := work(o.pushes()...); err != nil {
		t.Errorf("a device that is gone: %v", err)
	}
	if n := o.id(`SELECT count(*) FROM push_subscription`); n != 0 {
		t.Errorf("%d subscriptions are left of a device that is gone", n)
	}
}

func TestPushIsQuiet(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	hub, err := o.PublicKey(o.ctx)
	if err != nil {
		t.Fatal(err)
	}
	anna := o.hire(staff.ScopeAll)
	d := newDevice(t, hub)
	if _, err := o.Subscribe(o.ctx, anna, d.subscription()); err != nil {
		t.Fatal(err)
	}
	conv := o.open(0, anna.AgentID)
	o.hears(conv, "hello")
	o.catchUp()
	list := o.pushes()
	o.looking[[2]int64{int64(anna.AgentID), int64(conv)}] = true // opened while the job waited
	if err := o.push(o.ctx, list[0]); err != nil || len(d.got) != 0 {
		t.Errorf("%v; pushed %v while she looks", err, d.got)
	}
	o.looking = map[[2]int64]bool{}
	if _, err := o.SetSettings(o.ctx, anna, Settings{Assigned: Bell, Message: Bell, Mention: Bell, Queue: Bell}); err != nil {
		t.Fatal(err)
	}
	o.hears(conv, "only the bell")
	o.catchUp()
	if list := o.pushes(); len(list) != 0 {
		t.Errorf("%d pushes although the bell is enough", len(list))
	}
	if _, err := o.SetSettings(o.ctx, anna, DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	for range 3 * pushesPerMinute {
		o.hears(o.open(0, anna.AgentID), "many at once")
	}
	o.catchUp()
	if n := len(o.pushes()); n > pushesPerMinute {
		t.Errorf("%d pushes within a minute", n)
	}
	// signed out: that device is told nothing more
	o.exec(`DELETE FROM session WHERE id = $1`, int64(anna.SessionID))
	if n := o.id(`SELECT count(*) FROM push_subscription`); n != 0 {
		t.Errorf("%d subscriptions outlive the session", n)
	}
}

func TestPushGoesNowhereInside(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.guard = egress.Guard{} // as it is unless the operator allows more
	anna := o.hire(staff.ScopeAll)
	d := newDevice(t, "")
	if _, err := o.Subscribe(o.ctx, anna, d.subscription()); err != nil {
		t.Fatal(err)
	}
	o.hears(o.open(0, anna.AgentID), "hello")
	o.catchUp()
	if err := o.push(o.ctx, o.pushes()[0]); err != nil {
		t.Error(err)
	}
	if len(d.got) != 0 || d.fault != nil || o.id(`SELECT count(*) FROM push_subscription`) != 0 {
		t.Errorf("an address inside the house was dialled, or is kept: %v %v", d.got, d.fault)
	}
}

func TestSubscriptionIsChecked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	anna := o.hire(staff.ScopeAll)
	good := newDevice(t, "").subscription()
	good.Endpoint = "https://push.example.org/x"
	for field, change := range map[string]func(*Subscription){
		"endpoint":    func(s *Subscription) { s.Endpoint = "http://push.example.org/x" },
		"keys.p256dh": func(s *Subscription) { s.P256dh = "AAAA" },
		"keys.auth":   func(s *Subscription) { s.Auth = "AAAA" },
	} {
		s := good
		change(&s)
		_, err := o.Subscribe(o.ctx, anna, s)
		var e *errs.E
		if !errors.As(err, &e) || e.Field != field {
			t.Errorf("got %v, want field %s refused", err, field)
		}
	}
	id, err := o.Subscribe(o.ctx, anna, good)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Unsubscribe(o.ctx, o.hire(staff.ScopeAll), id); err != nil || o.id(`SELECT count(*) FROM push_subscription`) != 1 {
		t.Errorf("somebody else took it away, %v", err)
	}
	if err := o.Unsubscribe(o.ctx, anna, id); err != nil || o.id(`SELECT count(*) FROM push_subscription`) != 0 {
		t.Errorf("it stays, %v", err)
	}
}
