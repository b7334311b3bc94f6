package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/parley-hub/parley/channels/email/dovecottest"
	"github.com/parley-hub/parley/channels/email/sink"
)

// browserMail is the mail that the browser's tests send and look at: a mailbox on a Dovecot, a server that keeps what
// the hub sends, and a door for the tests to both. Without Dovecot there is none, and those tests are skipped.
//
//	PARLEY_E2E_MAIL_URL                   POST /deliver?to=... takes a mail, GET /sent lists what the hub has sent
//	PARLEY_E2E_MAIL_IMAP_PORT, _SMTP_PORT the servers, on 127.0.0.1 without encryption
//	PARLEY_E2E_MAIL_ADDRESS, _PASSWORD    the mailbox
func browserMail(t *testing.T) []string {
	t.Helper()
	if err := dovecottest.Available(); err != nil {
		t.Log(err)
		return nil
	}
	const address, password = "desk@mail.test", "s3cret"
	dove, err := dovecottest.Start(map[string]string{address: password})
	check(t, err)
	t.Cleanup(dove.Stop)
	out, err := sink.Start(address, password)
	check(t, err)
	t.Cleanup(out.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /deliver", func(w http.ResponseWriter, r *http.Request) {
		mail, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
		if err == nil {
			err = dove.Deliver(r.URL.Query().Get("to"), mail)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /sent", func(w http.ResponseWriter, _ *http.Request) {
		type sent struct {
			From string   `json:"from"`
			To   []string `json:"to"`
			Data string   `json:"data"`
		}
		all := []sent{}
		for _, m := range out.Mails() {
			all = append(all, sent{m.From, m.To, string(m.Data())})
		}
		if err := json.NewEncoder(w).Encode(all); err != nil {
			t.Log(err)
		}
	})
	door := httptest.NewServer(mux)
	t.Cleanup(door.Close)
	return []string{
		"PARLEY_E2E_MAIL_URL=" + door.URL, fmt.Sprintf("PARLEY_E2E_MAIL_IMAP_PORT=%d", dove.IMAPPort), fmt.Sprintf("PARLEY_E2E_MAIL_SMTP_PORT=%d", out.Port),
		"PARLEY_E2E_MAIL_ADDRESS=" + address, "PARLEY_E2E_MAIL_PASSWORD=" + password,
	}
}
