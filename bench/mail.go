package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/email"
	"github.com/parley-hub/parley/channels/email/dovecottest"
	"github.com/parley-hub/parley/e2e/rig"
)

const (
	mailUser = "sales@example.com"
	mailPass = "s3cret"
)

// letterNo is a customer's mail; its subject and text carry the number.
func letterNo(n int) []byte {
	return fmt.Appendf(nil, "From: Customer %d <c%d@example.org>\r\nTo: %s\r\nSubject: Letter %06d\r\nMessage-ID: <%d@example.org>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nLetter %06d. %s\r\n"+
		"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Letter %06d. %s</p>\r\n--b--\r\n",
		n, n, mailUser, n, n, n, strings.Repeat("words ", 100), n, strings.Repeat("<b>words</b> ", 100))
}

func mailSettings(d *dovecottest.Server, more map[string]any) map[string]any {
	server := map[string]any{"host": "127.0.0.1", "port": d.IMAPPort, "tls": "none", "username": mailUser, "password": mailPass}
	set := map[string]any{"address": mailUser, "imap": server, "smtp": map[string]any{"host": "127.0.0.1", "port": 1, "tls": "none"}, "save_sent": false}
	for k, v := range more {
		set[k] = v
	}
	return set
}

// mailbox lends a hub with an empty mailbox on a Dovecot of its own.
func (w *world) mailbox(ctx context.Context, fn func(h *hub, d *dovecottest.Server, ch rig.Channel) error) error {
	d, err := dovecottest.Start(map[string]string{mailUser: mailPass})
	if err != nil {
		return err
	}
	defer d.Stop()
	return w.with(ctx, func(h *hub) error {
		var ch rig.Channel
		in := map[string]any{"kind": "email", "name": "Sales", "settings": mailSettings(d, nil)}
		if err := h.Admin.Post(ctx, "/api/channels", in, &ch); err != nil {
			return err
		}
		if ch, err = h.ChannelUp(ctx, ch.ID); err != nil {
			return err
		}
		return fn(h, d, ch)
	})
}

// notices is a mail program that only waits: it tells when the server says that something came.
func notices(d *dovecottest.Server) (came chan time.Time, end func(), err error) {
	came = make(chan time.Time, 100)
	c, err := imapclient.DialInsecure(net.JoinHostPort("127.0.0.1", strconv.Itoa(d.IMAPPort)), &imapclient.Options{
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(m *imapclient.UnilateralDataMailbox) {
			if m.NumMessages != nil {
				came <- time.Now()
			}
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	if err := c.Login(mailUser, mailPass).Wait(); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	if _, err := c.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	idle, err := c.Idle()
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return came, func() { _ = errors.Join(idle.Close(), c.Close()) }, nil
}

// emailVisible is how long after the mail server's own notice a mail stands on an agent's screen.
func emailVisible(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(40, 10)
	err = w.mailbox(ctx, func(h *hub, d *dovecottest.Server, _ rig.Channel) error {
		came, end, err := notices(d)
		if err != nil {
			return err
		}
		defer end()
		shown := make(chan time.Time, 100)
		s, err := open(ctx, h.Hub.URL, h.Admin.Cookie, func(frame []byte, at time.Time) {
			if bytes.Contains(frame[:min(200, len(frame))], messageCreated) && bytes.Contains(frame, []byte(`"Letter `)) {
				shown <- at
			}
		})
		if err != nil {
			return err
		}
		defer s.close() //nolint:errcheck // the numbers are taken by then
		var over, all []time.Duration
		for i := range n {
			sent := time.Now()
			if err := d.Deliver(mailUser, letterNo(i)); err != nil {
				return err
			}
			var notice, visible time.Time
			for notice.IsZero() || visible.IsZero() {
				select {
				case notice = <-came:
				case visible = <-shown:
				case <-time.After(10 * time.Second):
					return errors.New("a mail did not come")
				}
			}
			over, all = append(over, max(0, visible.Sub(notice))), append(all, visible.Sub(sent))
		}
		slices.Sort(over)
		slices.Sort(all)
		rows = []row{
			atMost("on the screen after the server's notice, p50", quantile(over, 0.5), 0, "ms", 50, 0),
			atMost("after its delivery, p50 (the server itself waits half a second)", quantile(all, 0.5), 0, "ms", 0, 0),
		}
		return nil
	})
	return rows, err
}

// counting is a hub that stores nothing: what is left is fetching and conversion.
type counting struct {
	mu   sync.Mutex
	n    int
	want int
	done chan struct{}
}

func (c *counting) Ingest(_ context.Context, b channels.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.n
	c.n += len(b.Events)
	if before < c.want && c.n >= c.want {
		close(c.done)
	}
	return nil
}

func (c *counting) State(context.Context, channels.State) error { return nil }

// fetchAlone is how long it takes to fetch and convert what lies in the mailbox.
func fetchAlone(ctx context.Context, d *dovecottest.Server, n int) (time.Duration, error) {
	raw, err := json.Marshal(mailSettings(d, map[string]any{"import_days": 30}))
	if err != nil {
		return 0, err
	}
	a, err := email.Kind(nil).New(channels.Account{ID: 1, Kind: email.Name, Settings: raw, Key: []byte("bench")})
	if err != nil {
		return 0, err
	}
	c := &counting{want: n, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		_ = a.Run(ctx, c)
	}()
	select {
	case <-c.done:
	case <-ended:
	}
	took := time.Since(began)
	cancel()
	<-ended
	if c.n < n {
		return 0, fmt.Errorf("%d of %d mails were fetched", c.n, n)
	}
	return took, nil
}

const sqlMails = `SELECT count(*)::int FROM message WHERE kind = 'message' AND content = 'email'`

// emailBulk is a backlog: many mails that came while the channel was off.
func emailBulk(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(2000, 200)
	err = w.mailbox(ctx, func(h *hub, d *dovecottest.Server, ch rig.Channel) error {
		path := "/api/channels/" + ch.ID
		if err := h.Admin.Patch(ctx, path, map[string]any{"enabled": false}, nil); err != nil {
			return err
		}
		var mails [][]byte
		for i := range n {
			mails = append(mails, letterNo(i))
		}
		if err := d.Deliver(mailUser, mails...); err != nil {
			return err
		}
		alone, err := fetchAlone(ctx, d, n)
		if err != nil {
			return err
		}
		if err := h.Admin.Patch(ctx, path, map[string]any{"enabled": true}, nil); err != nil {
			return err
		}
		began := time.Now()
		err = rig.Until(ctx, "all mails are stored", 5*time.Minute, func() (bool, error) {
			got, err := ask[int](ctx, h, sqlMails)
			return got >= n, err
		})
		if err != nil {
			return err
		}
		took := time.Since(began)
		stored, err := ask[int](ctx, h, sqlMails)
		if err != nil {
			return err
		}
		convs, err := ask[int](ctx, h, `SELECT count(*)::int FROM conversation`)
		if err != nil {
			return err
		}
		rows = []row{
			exact("mails stored", stored, n), exact("conversations", convs, n),
			atLeast("mails of a backlog, the limit is fetching and parsing alone", float64(n)/took.Seconds(), float64(n)/alone.Seconds(), "mails/s", 1100, 0.6),
		}
		return err
	})
	return rows, err
}

// emailIdle is what watching a full mailbox costs while nothing comes, over an empty one.
func emailIdle(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(2000, 200)
	err = w.mailbox(ctx, func(h *hub, d *dovecottest.Server, ch rig.Channel) error {
		empty, err := h.idleCPU(ctx)
		if err != nil {
			return err
		}
		if err := h.Admin.JSON(ctx, http.MethodDelete, "/api/channels/"+ch.ID, nil, nil); err != nil {
			return err
		}
		var mails [][]byte
		for i := range n {
			mails = append(mails, letterNo(i))
		}
		if err := d.Deliver(mailUser, mails...); err != nil {
			return err
		}
		in := map[string]any{"kind": "email", "name": "Again", "settings": mailSettings(d, nil)} // only mail from now on
		if err := h.Admin.Post(ctx, "/api/channels", in, &ch); err != nil {
			return err
		}
		if _, err = h.ChannelUp(ctx, ch.ID); err != nil {
			return err
		}
		full, err := h.idleCPU(ctx)
		if err != nil {
			return err
		}
		stored, err := ask[int](ctx, h, sqlMails)
		rows = []row{
			exact("old mails taken", stored, 0),
			atMost(fmt.Sprintf("CPU of the idle hub with a mailbox of %d mails, over one with an empty mailbox", n), max(0, full-empty), 0, "%", 0.1, 0),
			atMost("the idle hub with that mailbox, all in all", full, 0, "%", 0, 0),
		}
		return err
	})
	return rows, err
}

// idleCPU is the share of one core that the hub takes while nothing happens, in percent.
func (h *hub) idleCPU(ctx context.Context) (float64, error) {
	rig.Pause(ctx, 2*time.Second) // what was begun is done
	before, err := ticks(h.Hub.PID())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	rig.Pause(ctx, 15*time.Second)
	after, err := ticks(h.Hub.PID())
	return float64(after-before) / time.Since(began).Seconds(), err // a tick is a hundredth of a second: ticks/s are percent
}

// ticks is the processor time that a process has used, in hundredths of a second.
func ticks(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("no times in %q", b)
	}
	user, err := strconv.Atoi(f[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(f[12])
	return user + system, err
}
