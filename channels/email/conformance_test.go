package email_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"

	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/email"
	"github.com/parley-hub/parley/channels/email/sink"
)

func TestConformance(t *testing.T) {
	channelstest.Run(t, func(t *testing.T) *channelstest.Peer {
		b := newBox(t)
		imap, smtp := newProxy(t, dove.IMAPPort), newProxy(t, b.smtp.Port)
		b.set["imap"].(map[string]any)["port"] = imap.port
		b.set["smtp"].(map[string]any)["port"] = smtp.port
		n := 0
		read := func(m sink.Mail) *enmime.Envelope {
			env, err := enmime.ReadEnvelope(bytes.NewReader(m.Data()))
			if err != nil {
				t.Fatal(err)
			}
			return env
		}
		return &channelstest.Peer{
			Kind: email.Kind(nil), Account: b.account(t),
			Write: func(text string) {
				n++
				b.deliver(t, letter(n, text))
			},
			Chat: func() (string, json.RawMessage) { return "ada@example.org", nil },
			Received: func() []string {
				var out []string
				for _, m := range b.smtp.Mails() {
					out = append(out, strings.TrimSpace(read(m).Text))
				}
				return out
			},
			Attempts: b.smtp.Attempts,
			Outage: func(on bool) {
				imap.away(on)
				smtp.away(on)
			},
			Cut:    func(applied bool) { b.smtp.Fail(sink.Fault{Cut: true, Kept: applied}) },
			Refuse: func() { b.smtp.Fail(sink.Fault{At: "rcpt", Code: 550, Text: "no such user here"}) },
			WriteFile: func(size int64) func() io.Reader {
				content := bytes.Repeat([]byte("0123456789abcdef"), int(size+15)/16)[:size]
				n++
				var m strings.Builder
				fmt.Fprintf(&m, "From: Ada <ada@example.org>\r\nMessage-ID: <%d@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
					"--b\r\nContent-Type: text/plain\r\n\r\nsee the file\r\n--b\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n"+
					"Content-Disposition: attachment; filename=photos.zip\r\n\r\n", n)
				enc := base64.StdEncoding.EncodeToString(content)
				for len(enc) > 0 {
					l := min(76, len(enc))
					m.WriteString(enc[:l] + "\r\n")
					enc = enc[l:]
				}
				m.WriteString("--b--\r\n")
				b.deliver(t, m.String())
				return func() io.Reader { return bytes.NewReader(content) }
			},
			ForgetFiles: func() {
				if err := dove.Empty(b.user); err != nil {
					t.Fatal(err)
				}
			},
			ReceivedSize: func() int64 {
				mails := b.smtp.Mails()
				if len(mails) == 0 {
					return 0
				}
				env := read(mails[len(mails)-1])
				if len(env.Attachments) == 0 {
					return 0
				}
				return int64(len(env.Attachments[0].Content))
			},
			LogOut: func() {
				b.smtp.SetPassword("another")
				if err := dove.SetPassword(b.user, "another"); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
