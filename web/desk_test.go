package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/parley-hub/parley/inbox/notify"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

func TestDeskOverHTTP(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	box, _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	e.deps.Notify = notify.New(notify.Config{}, e.deps.Pool, quietBus{}, box, egress.Guard{}, slog.New(slog.DiscardHandler))
	anna, annaID := e.hire("anna", staff.Member, staff.ScopeAll)
	_, talk, _ := e.talk("Sara", annaID, 1)
	at := func(format string) string { return fmt.Sprintf(format, talk) }

	saved := e.want(http.StatusOK, anna, http.MethodPut, at("/api/conversations/%d/draft"), map[string]any{"version": 0, "text": "hel"})
	if saved["version"] != 1.0 || saved["text"] != "hel" {
		t.Errorf("saved %v", saved)
	}
	late := e.want(http.StatusConflict, anna, http.MethodPut, at("/api/conversations/%d/draft"), map[string]any{"version": 0, "text": "other"})
	if d, _ := late["draft"].(map[string]any); late["reason"] != "draft" || d["text"] != "hel" {
		t.Errorf("a late save is told %v", late)
	}
	if n := len(items(e.want(http.StatusOK, anna, http.MethodGet, "/api/drafts", nil))); n != 1 {
		t.Errorf("%d drafts", n)
	}
	e.want(http.StatusUnprocessableEntity, anna, http.MethodPut, at("/api/conversations/%d/draft"), map[string]any{"version": -1, "text": "x"})

	made := e.want(http.StatusCreated, anna, http.MethodPost, "/api/canned", map[string]any{"scope": "own", "title": "Hi", "text": "Hello {{contact.name}}"})
	id := made["id"].(string)
	e.want(http.StatusOK, anna, http.MethodPatch, "/api/canned/"+id, map[string]any{"version": 1, "scope": "own", "title": "Hi", "text": "Hello"})
	e.want(http.StatusConflict, anna, http.MethodPatch, "/api/canned/"+id, map[string]any{"version": 1, "scope": "own", "title": "Hi", "text": "x"})
	e.want(http.StatusOK, anna, http.MethodPost, "/api/canned/"+id+"/use", nil)
	e.want(http.StatusNoContent, anna, http.MethodDelete, "/api/canned/"+id, nil)

	view := e.want(http.StatusCreated, anna, http.MethodPost, "/api/views", map[string]any{"name": "Mine", "filter": map[string]any{"assignee": "me"}})
	if n := len(items(e.want(http.StatusOK, anna, http.MethodGet, "/api/conversations?view=saved:"+view["id"].(string), nil))); n != 1 {
		t.Errorf("%d in the saved view", n)
	}
	e.want(http.StatusUnprocessableEntity, anna, http.MethodPost, "/api/views", map[string]any{"name": "x", "filter": map[string]any{"priority": 9}})

	if n := len(items(e.want(http.StatusOK, anna, http.MethodGet, at("/api/conversations/%d/mentionable"), nil))); n != 0 {
		t.Errorf("%d to name where nobody else works", n)
	}
	bulk := e.want(http.StatusAccepted, anna, http.MethodPost, "/api/bulk", map[string]any{"view": "all", "change": map[string]any{"assignee_id": nil}})
	if bulk["total"] != 1.0 || bulk["state"] != "running" {
		t.Errorf("bulk %v", bulk)
	}
	e.want(http.StatusOK, anna, http.MethodGet, "/api/bulk/"+bulk["id"].(string)+"/failures", nil)
	e.want(http.StatusConflict, anna, http.MethodPost, "/api/bulk/"+bulk["id"].(string)+"/undo", nil)

	how := e.want(http.StatusOK, anna, http.MethodGet, "/api/me/notifications", nil)
	how["queue"] = "off"
	e.want(http.StatusOK, anna, http.MethodPut, "/api/me/notifications", how)
	how["queue"] = "loud"
	e.want(http.StatusUnprocessableEntity, anna, http.MethodPut, "/api/me/notifications", how)
	if key := e.want(http.StatusOK, anna, http.MethodGet, "/api/push/key", nil); len(key["key"].(string)) != 87 {
		t.Errorf("key %v", key)
	}
	e.want(http.StatusUnprocessableEntity, anna, http.MethodPost, "/api/push/subscriptions", map[string]any{
		"endpoint": "http://10.0.0.1/", "keys": map[string]any{"p256dh": "x", "auth": "y"},
	})
	e.want(http.StatusOK, anna, http.MethodGet, "/api/notifications", nil)
	e.want(http.StatusOK, anna, http.MethodGet, "/api/notifications/unread", nil)
	e.want(http.StatusNoContent, anna, http.MethodPost, "/api/notifications/read", map[string]any{"all": true})
}
