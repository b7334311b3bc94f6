package main

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestDemoCustomersWriteAndAnswerBack walks the whole way: a stranger's message becomes a conversation, the agent's
// answer reaches him, and he writes again. Then the hub starts anew beside a server that has forgotten everything.
func TestDemoCustomersWriteAndAnswerBack(t *testing.T) {
	t.Parallel()
	environ := append(place(t), "PARLEY_ADMIN_EMAIL=root@hub.test", "PARLEY_ADMIN_PASSWORD=correct horse battery")
	before := 0
	for range 2 {
		m, stop := running(t, environ, `Parley is at (\S+)\n\n`, "demo")
		agent := signIn(t, m[1], "root@hub.test", "correct horse battery")
		said := agent.await(t, "Marta writes", func() bool { return len(agent.from("Marta Lindqvist")) >= before+2 })
		agent.post("/api/conversations/"+said+"/messages", map[string]string{"id": uuid.NewString(), "text": "Yes, it is."})
		agent.await(t, "Marta answers", func() bool {
			texts := agent.from("Marta Lindqvist")
			before = len(texts)
			return strings.HasPrefix(texts[before-1], "Great.")
		})
		stop()
	}
}

// deskClient is an agent's browser, reduced to what this test asks for.
type deskClient struct {
	t    *testing.T
	http *http.Client
	base string
	last string // the conversation that from looked at
}

func signIn(t *testing.T, base, email, password string) *deskClient {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &deskClient{t: t, base: base, http: &http.Client{Jar: jar, Timeout: 10 * time.Second}}
	t.Cleanup(d.http.CloseIdleConnections)
	var me struct{}
	request(t, d.http, http.MethodPost, base+"/api/session", map[string]string{"email": email, "password": password}, &me)
	return d
}

// from returns the texts of a customer in order.
func (d *deskClient) from(name string) []string {
	d.t.Helper()
	var list struct {
		Items []struct {
			ID      string
			Contact struct{ Name string }
		}
	}
	request(d.t, d.http, http.MethodGet, d.base+"/api/conversations?view=all", nil, &list)
	for _, c := range list.Items {
		if c.Contact.Name != name {
			continue
		}
		d.last = c.ID
		var timeline struct {
			Items []struct{ Kind, Direction, Text string }
		}
		request(d.t, d.http, http.MethodGet, d.base+"/api/conversations/"+c.ID+"/timeline", nil, &timeline)
		var texts []string
		for _, i := range timeline.Items {
			if i.Kind == "message" && i.Direction == "in" {
				texts = append(texts, i.Text)
			}
		}
		return texts
	}
	return nil
}

// await returns the conversation that was looked at last.
func (d *deskClient) await(t *testing.T, what string, ok func() bool) string {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-time.After(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in 60 s", what)
		}
	}
	return d.last
}

func (d *deskClient) post(path string, body any) {
	d.t.Helper()
	var answer struct{}
	request(d.t, d.http, http.MethodPost, d.base+path, body, &answer)
}
