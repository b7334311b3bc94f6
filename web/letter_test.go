package web

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

// newPostOffice is a hub whose letters may fetch pictures from this machine.
func newPostOffice(t *testing.T) (*edge, *blob.Dir) {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	e := newEdge(t, func(_ *Config, d *Deps) {
		box, _, err := secret.LoadOrCreate(t.TempDir() + "/key")
		if err != nil {
			t.Fatal(err)
		}
		d.Desk = inbox.NewDesk(d.Pool, quietBus{}, d.Log)
		d.Files = inbox.NewFiles(d.Pool, quietBus{}, store, slog.New(slog.DiscardHandler))
		d.Box, d.Egress = box, egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	})
	return e, store
}

func dot(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var shown = regexp.MustCompile(`src="(/api/images\?token=[^"]+)"`)

func TestLetterOverHTTP(t *testing.T) {
	t.Parallel()
	var asked []*http.Request
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		switch r.URL.Path {
		case "/p.png":
			w.Header().Set("Content-Type", "text/html") // a lie
			_, _ = w.Write(dot(t))
		case "/page":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("<script>alert(1)</script>"))
		case "/drawing":
			w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`))
		case "/flood":
			_, _ = w.Write(append(dot(t), make([]byte, maxPicture)...))
		case "/inside":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer elsewhere.Close()
	e, store := newPostOffice(t)
	anna, annaID := e.hire("anna", staff.Member, staff.ScopeOwn)
	bob, _ := e.hire("bob", staff.Member, staff.ScopeOwn)
	_, talk, messages := e.talk("Sara", annaID, 2)
	key, size, err := store.Put(e.ctx, bytes.NewReader(dot(t)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	file := uuid.Must(uuid.NewV7())
	e.exec(`INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, kind, name, type, size, state, blob, content_id)
SELECT $1, 1, conversation_id, at, id, 'photo', 'logo.png', 'image/png', $3, 'ok', $4, 'logo 1@mail' FROM message WHERE id = $2`, file, messages[0], size, key)
	letter := `<p onclick="x()">Hello</p><script>x()</script><img src="cid:logo%201@mail"><img src="cid:unknown">`
	for _, p := range []string{"/p.png", "/page", "/drawing", "/flood", "/inside", "/absent"} {
		letter += `<img src="` + elsewhere.URL + p + `" alt="` + p + `">`
	}
	e.exec(`UPDATE message SET html = $2 WHERE id = $1`, messages[0], letter)
	path := fmt.Sprintf("/api/conversations/%d/messages/%s/body", talk, messages[0])

	w := e.call(anna, "GET", path, nil)
	if w.Code != 200 || w.Header().Get("X-Blocked-Images") != "6" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "img-src data: http://127.0.0.1:8080", "sandbox allow-popups", "frame-ancestors 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "script") || strings.Contains(policy, "allow-same-origin") {
		t.Errorf("the policy %q lets too much", policy)
	}
	if b := w.Body.String(); strings.Contains(b, "script>") || strings.Contains(b, "onclick") || strings.Contains(b, elsewhere.URL) {
		t.Errorf("the letter came out as %s", b)
	}
	pictures := shown.FindAllStringSubmatch(w.Body.String(), -1)
	if len(pictures) != 1 {
		t.Fatalf("%d pictures in place, want the logo", len(pictures))
	}
	if w := e.call(as{}, "GET", pictures[0][1], nil); w.Code != 200 || w.Header().Get("Content-Type") != "image/png" || w.Header().Get("Cross-Origin-Resource-Policy") != "cross-origin" || !bytes.Equal(w.Body.Bytes(), dot(t)) {
		t.Errorf("the logo without a cookie: %d %v", w.Code, w.Header())
	}

	w = e.call(anna, "GET", path+"?images=1&theme=dark&lang=am", nil)
	if w.Header().Get("X-Blocked-Images") != "0" || !strings.Contains(w.Body.String(), `<html lang="am" data-dark>`) {
		t.Errorf("got %v", w.Header())
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`src="([^"]+)" alt="([^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		p := e.call(as{}, "GET", m[1], nil)
		got[m[2]] = p.Code
		if p.Code == 200 && (p.Header().Get("Content-Type") != "image/png" || p.Header().Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s came as %v", m[2], p.Header())
		}
	}
	want := map[string]int{"/p.png": 200, "/page": 404, "/drawing": 404, "/flood": 404, "/inside": 404, "/absent": 404}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, r := range asked {
		if r.Header.Get("Cookie")+r.Header.Get("Referer")+r.Header.Get("Authorization")+r.Header.Get("X-Forwarded-For") != "" {
			t.Errorf("the stranger's server was told %v", r.Header)
		}
	}

	// Who may not see the conversation, what is not there, and wrong input.
	e.want(http.StatusNotFound, bob, "GET", path, nil)
	e.want(http.StatusUnauthorized, as{}, "GET", path, nil)
	e.want(http.StatusNotFound, anna, "GET", strings.Replace(path, messages[0].String(), messages[1].String(), 1), nil)
	for _, q := range []string{"images=2", "theme=pink", "lang=de"} {
		e.want(http.StatusUnprocessableEntity, anna, "GET", path+"?"+q, nil)
	}
	e.exec(`UPDATE message SET deleted_at = now() WHERE id = $1`, messages[0])
	e.want(http.StatusNotFound, anna, "GET", path, nil)
}

// An address of a picture can neither be made up, nor changed, nor kept.
func TestPictureTokens(t *testing.T) {
	t.Parallel()
	e, _ := newPostOffice(t)
	good := e.pictureAddress(picture{Remote: "http://127.0.0.1:1/p.png", Until: time.Now().Add(time.Minute)})
	token := strings.TrimPrefix(good, "/api/images?token=")
	for name, address := range map[string]string{
		"none": "/api/images", "empty": "/api/images?token=", "garbage": "/api/images?token=" + url.QueryEscape("a b"), "short": good[:len(good)-4],
		"changed": "/api/images?token=" + strings.ToUpper(token),
		"late":    e.pictureAddress(picture{Remote: "http://127.0.0.1:1/p.png", Until: time.Now().Add(-time.Second)}),
		"no file": e.pictureAddress(picture{File: uuid.New(), Until: time.Now().Add(time.Minute)}),
		"scheme":  e.pictureAddress(picture{Remote: "file:///etc/passwd", Until: time.Now().Add(time.Minute)}),
	} {
		if w := e.call(as{}, "GET", address, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	if a := e.pictureAddress(picture{Remote: "https://a.example/" + strings.Repeat("x", maxPictureAddress)}); a != "" {
		t.Errorf("an address full of data got %s", a)
	}
}
