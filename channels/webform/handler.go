package webform

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-hub/parley/channels"
)

// described is what the script needs to know of a form.
type described struct {
	Fields     []field `json:"fields"`
	Thanks     string  `json:"thanks"`
	Redirect   string  `json:"redirect"`
	Language   string  `json:"language"`
	Trap       string  `json:"trap"`
	Token      string  `json:"token"`
	Bits       int     `json:"bits"`
	MinSeconds int     `json:"min_seconds"`
	ExpiresIn  int     `json:"expires_in"` // seconds
	Words      *text   `json:"words"`
}

// accepted answers a submission that is stored.
type accepted struct {
	OK       bool   `json:"ok"`
	Thanks   string `json:"thanks"`
	Redirect string `json:"redirect"`
}

// problem is an RFC 9457 document, as everywhere in the hub.
type problem struct {
	status int
	code   string
	detail string
	wrong  map[string]string // field -> what is wrong
	wait   time.Duration
}

// mayCall refuses browsers on pages of sites that the form is not meant for. A request without Origin comes from a
// program; one of ours from the form's own page.
func (a *Adapter) mayCall(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site" || r.Method == http.MethodGet
	}
	o, ok := originOf(origin)
	if !ok || o != strings.ToLower(origin) {
		return false
	}
	return a.own(o, r) || slices.Contains(a.set.Sites, o)
}

func (a *Adapter) own(origin string, r *http.Request) bool {
	if base, ok := originOf(a.account.BaseURL); ok && base == origin {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// cross lets the named site's page read the answer. Nothing here depends on cookies, and none are allowed.
func (a *Adapter) cross(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin, Accept")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if origin := r.Header.Get("Origin"); origin != "" && a.mayCall(r) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

func (a *Adapter) preflight(w http.ResponseWriter, r *http.Request) {
	a.cross(w, r)
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// show describes the form to the script, or is its page.
func (a *Adapter) show(w http.ResponseWriter, r *http.Request) {
	token, err := a.signer.issue()
	if err != nil {
		a.fail(w, r, problem{status: http.StatusServiceUnavailable, code: "unavailable", detail: "Try again in a moment."})
		return
	}
	if wantsPage(r) {
		a.page(w, r, http.StatusOK, pageData{Token: token, Values: map[string]string{}})
		return
	}
	a.cross(w, r)
	a.json(w, http.StatusOK, described{
		Fields: a.set.Fields, Thanks: a.thanks(), Redirect: a.set.Redirect, Language: a.set.Language, Trap: a.set.trap(), Token: token,
		Bits: *a.set.PowBits, MinSeconds: *a.set.MinSeconds, ExpiresIn: int(tokenLife.Seconds()), Words: words[a.set.Language],
	})
}

// take is one submission. Counting comes before reading, reading before checking, and only what would be stored is
// counted against the form.
func (a *Adapter) take(w http.ResponseWriter, r *http.Request, sink channels.Sink) {
	wd := words[a.set.Language]
	if wait := a.limits.sender(ipOf(r)); wait > 0 {
		a.fail(w, r, problem{status: http.StatusTooManyRequests, code: "too_many", detail: wd.Busy, wait: wait})
		return
	}
	sub, p := a.read(w, r)
	if p != nil {
		a.fail(w, r, *p)
		return
	}
	if sub.values[a.set.trap()] != "" { // a robot is told that all is well, and learns nothing
		a.accept(w, r)
		return
	}
	var c challenge
	if token := sub.values[paramToken]; token != "" {
		var ok bool
		if c, ok = a.signer.verify(token, sub.values[paramProof]); !ok {
			a.again(w, r, sub, problem{status: http.StatusUnprocessableEntity, code: "stale", detail: wd.Again})
			return
		}
		if early := time.Duration(*a.set.MinSeconds)*time.Second - c.age; early > 0 {
			a.again(w, r, sub, problem{status: http.StatusUnprocessableEntity, code: "too_fast", detail: wd.Again, wait: early})
			return
		}
	}
	if a.set.ProofRequired && !c.proven {
		a.again(w, r, sub, problem{status: http.StatusUnprocessableEntity, code: "proof", detail: wd.Again})
		return
	}
	answers, wrong := a.set.judge(sub)
	if len(wrong) > 0 {
		a.again(w, r, sub, problem{status: http.StatusUnprocessableEntity, code: "invalid", detail: firstOf(wrong), wrong: wrong})
		return
	}
	if wait := a.limits.form(c.proven); wait > 0 {
		a.again(w, r, sub, problem{status: http.StatusTooManyRequests, code: "too_many", detail: wd.Busy, wait: wait})
		return
	}
	in := a.set.inbound(sub, answers, c, a.now())
	if err := sink.Ingest(r.Context(), channels.Batch{Events: []channels.Inbound{in}}); err != nil {
		a.again(w, r, sub, problem{status: http.StatusServiceUnavailable, code: "unavailable", detail: wd.Failed, wait: 2 * time.Second})
		return
	}
	a.accept(w, r)
}

// read takes the body, of which only so many are in memory at once.
func (a *Adapter) read(w http.ResponseWriter, r *http.Request) (submission, *problem) {
	wd := words[a.set.Language]
	select {
	case a.limits.bodies <- struct{}{}:
		defer func() { <-a.limits.bodies }()
	default:
		return submission{}, &problem{status: http.StatusTooManyRequests, code: "too_many", detail: wd.Busy, wait: time.Second}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return submission{}, &problem{status: http.StatusRequestEntityTooLarge, code: "too_large", detail: "A submission may have at most 64 kB."}
	case err != nil:
		return submission{}, &problem{status: http.StatusBadRequest, code: "invalid", detail: "The body was cut off."}
	}
	sub, err := readSubmission(r, body)
	switch {
	case errors.Is(err, errMedia):
		return sub, &problem{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", detail: "Send a form or a JSON object."}
	case err != nil:
		return sub, &problem{status: http.StatusUnprocessableEntity, code: "invalid", detail: err.Error()}
	}
	if sub.values[paramPage] == "" && sub.values[paramReferrer] == "" { // a plain form: the browser says on which page it stood
		sub.values[paramPage] = r.Referer()
	}
	return sub, nil
}

func (a *Adapter) thanks() string {
	if a.set.Thanks != "" {
		return a.set.Thanks
	}
	return words[a.set.Language].Thanks
}

func (a *Adapter) accept(w http.ResponseWriter, r *http.Request) {
	switch {
	case !wantsPage(r):
		a.cross(w, r)
		a.json(w, http.StatusOK, accepted{OK: true, Thanks: a.thanks(), Redirect: a.set.Redirect})
	case a.set.Redirect != "":
		http.Redirect(w, r, a.set.Redirect, http.StatusSeeOther)
	default:
		a.page(w, r, http.StatusOK, pageData{Thanks: a.thanks()})
	}
}

// again refuses in a way that keeps what was typed: a plain form gets it back on the hub's own page.
func (a *Adapter) again(w http.ResponseWriter, r *http.Request, sub submission, p problem) {
	token, err := a.signer.issue()
	if !wantsPage(r) || err != nil {
		a.fail(w, r, p)
		return
	}
	setWait(w, p.wait)
	a.page(w, r, p.status, pageData{Token: token, Values: sub.values, Wrong: p.wrong, Trouble: p.detail})
}

func (a *Adapter) fail(w http.ResponseWriter, r *http.Request, p problem) {
	setWait(w, p.wait)
	if wantsPage(r) {
		a.page(w, r, p.status, pageData{Trouble: p.detail})
		return
	}
	a.cross(w, r)
	doc := map[string]any{"type": "about:blank", "title": http.StatusText(p.status), "status": p.status, "code": p.code, "detail": p.detail}
	if p.wait > 0 {
		doc["retry_after"] = seconds(p.wait)
	}
	if len(p.wrong) > 0 {
		var list []map[string]string
		for _, name := range slices.Sorted(maps.Keys(p.wrong)) {
			list = append(list, map[string]string{"location": "body." + name, "message": p.wrong[name]})
		}
		doc["errors"] = list
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(doc) // the visitor may be gone
}

func (a *Adapter) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the visitor may be gone
}

func setWait(w http.ResponseWriter, wait time.Duration) {
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
	}
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

func firstOf(wrong map[string]string) string {
	name := slices.Sorted(maps.Keys(wrong))[0]
	return name + ": " + wrong[name]
}

// wantsPage tells a browser that shows the answer from a program that reads it.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ipOf is the sender as the web server knows it: behind a trusted proxy it has put the client's address there.
func ipOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
