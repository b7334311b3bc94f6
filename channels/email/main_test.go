package email_test

import (
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/email"
	"github.com/parley-hub/parley/channels/email/dovecottest"
	"github.com/parley-hub/parley/channels/email/sink"
)

// dove serves all tests of the package; each takes a mailbox of its own.
var (
	dove     *dovecottest.Server
	dovecot  = dovecottest.Available()
	nextUser atomic.Int64
)

const password = "s3cret"

func TestMain(m *testing.M) {
	if dovecot == nil {
		users := map[string]string{}
		for i := range 200 {
			users[fmt.Sprintf("u%d@example.com", i)] = password
		}
		if dove, dovecot = dovecottest.Start(users); dovecot != nil {
			fmt.Fprintln(os.Stderr, dovecot)
			os.Exit(1)
		}
	}
	code := m.Run()
	if dove != nil {
		dove.Stop()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// box is a mailbox with its servers.
type box struct {
	user string
	smtp *sink.Server
	set  map[string]any
}

func newBox(t testing.TB) *box {
	t.Helper()
	if dovecot != nil {
		t.Fatal(dovecot)
	}
	b := &box{user: fmt.Sprintf("u%d@example.com", nextUser.Add(1))}
	var err error
	if b.smtp, err = sink.Start(b.user, password); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.smtp.Close)
	b.set = map[string]any{
		"address": b.user, "name": "Sales", "save_sent": false,
		"imap": map[string]any{"host": "127.0.0.1", "port": dove.IMAPPort, "tls": "none", "username": b.user, "password": password},
		"smtp": map[string]any{"host": "127.0.0.1", "port": b.smtp.Port, "tls": "none", "username": b.user, "password": password},
	}
	return b
}

func (b *box) account(t testing.TB) channels.Account {
	t.Helper()
	raw, err := json.Marshal(b.set)
	if err != nil {
		t.Fatal(err)
	}
	return channels.Account{ID: 7, Kind: email.Name, Settings: raw, Key: []byte("key of the channel")}
}

func (b *box) deliver(t testing.TB, mails ...string) {
	t.Helper()
	var list [][]byte
	for _, m := range mails {
		list = append(list, []byte(m))
	}
	if err := dove.Deliver(b.user, list...); err != nil {
		t.Fatal(err)
	}
}

// letter is a plain mail of a customer.
func letter(n int, text string) string {
	return fmt.Sprintf("From: Ada Lovelace <ada@example.org>\r\nTo: u@example.com\r\nSubject: Question %d\r\nMessage-ID: <%d@example.org>\r\n"+
		"Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", n, n, text)
}
