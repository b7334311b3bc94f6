package live

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/testsignal"
)

// desk is the truth of TestResumeAtRandomPoints: conversations that move and get messages.
type desk struct {
	r    *room
	rows int
}

func newDesk(r *room, rows int) *desk {
	_, err := r.pool.Exec(context.Background(), `CREATE TABLE row_of (id bigint PRIMARY KEY, version bigint NOT NULL, team bigint NOT NULL, assignee bigint NOT NULL)`)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.pool.Exec(context.Background(), `INSERT INTO row_of SELECT n, 1, n % 3, 0 FROM generate_series(1, $1::bigint) n`, rows); err != nil {
		r.t.Fatal(err)
	}
	return &desk{r, rows}
}

// change moves a row and says so, in one transaction, sometimes rolled back, sometimes late.
func (d *desk) change(ctx context.Context) error {
	tx, err := d.r.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	no := 1 + rand.Int64N(int64(d.rows))
	var was place
	var version int64
	if err := tx.QueryRow(ctx, `SELECT version, team, assignee FROM row_of WHERE id = $1 FOR UPDATE`, no).Scan(&version, &was.team, &was.assignee); err != nil {
		return err
	}
	to := was
	if rand.IntN(2) == 0 {
		to = place{rand.Int64N(3), rand.Int64N(4)}
	}
	version++
	if _, err := tx.Exec(ctx, `UPDATE row_of SET version = $2, team = $3, assignee = $4 WHERE id = $1`, no, version, to.team, to.assignee); err != nil {
		return err
	}
	e := moved(no, was, to)
	e.Payload = map[string]string{"id": fmt.Sprint(no), "version": fmt.Sprint(version)}
	if err := events.Append(ctx, tx, e); err != nil {
		return err
	}
	switch rand.IntN(20) {
	case 0:
		return nil
	case 1, 2:
		if _, err := tx.Exec(ctx, `SELECT pg_sleep(0.004)`); err != nil {
			return err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	events.Wake(d.r.bus)
	return nil
}

// list is what an agent sees of the truth.
func (d *desk) list(ctx context.Context, a Access) (map[string]string, error) {
	rows, err := d.r.pool.Query(ctx, `SELECT id, version, team, assignee FROM row_of`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var no, version int64
		var at place
		if err := rows.Scan(&no, &version, &at.team, &at.assignee); err != nil {
			return nil, err
		}
		if a.Sees(at.team, at.assignee) {
			out[fmt.Sprint(no)] = fmt.Sprint(version)
		}
	}
	return out, rows.Err()
}

// browser keeps a list as the application does, over sockets that break.
type browser struct {
	d       *desk
	access  Access
	cursor  string
	rows    map[string]string
	last    events.Cursor
	resumes int
	ended   bool // the marker was seen
}

// live opens a socket and follows it until it breaks or, when it is to the end, until the marker comes.
func (b *browser) live(ctx context.Context, toEnd bool) error {
	c, err := b.d.r.try(b.access.AgentID, 0)
	if err != nil {
		return err
	}
	defer c.ws.Close()
	hello := map[string]string{"type": "hello", "since": b.cursor}
	if err := c.ws.WriteJSON(hello); err != nil {
		return err
	}
	kill := rand.IntN(60)
	// When the writers have ended nothing comes any more until the marker.
	defer context.AfterFunc(ctx, func() { _ = c.ws.Close() })()
	for n := 0; toEnd || n < kill; n++ {
		_ = c.ws.SetReadDeadline(time.Now().Add(20 * time.Second))
		var f frame
		if err := c.ws.ReadJSON(&f); err != nil {
			if toEnd {
				return err
			}
			return nil
		}
		switch f.Type {
		case "ready", "snapshot":
			if f.Type == "ready" && b.cursor != "" {
				b.resumes++
				continue
			}
			// The socket is open: what changes while the list is read comes as an event.
			if b.rows, err = b.d.list(ctx, b.access); err != nil {
				return err
			}
			b.cursor = f.Cursor
			if b.last, err = events.ParseCursor(f.Cursor); err != nil {
				return err
			}
		case "event":
			at, err := events.ParseCursor(f.Cursor)
			if err != nil {
				return err
			}
			if !at.After(b.last) {
				return fmt.Errorf("cursor %s follows %s", at, b.last)
			}
			b.last, b.cursor = at, f.Cursor
			var row struct{ ID, Version string }
			if err := json.Unmarshal(f.Data, &row); err != nil {
				return err
			}
			switch f.Kind {
			case "conversation.updated":
				// An older version never overwrites a newer: the list may have been read later.
				if old := b.rows[row.ID]; len(old) < len(row.Version) || len(old) == len(row.Version) && old < row.Version {
					b.rows[row.ID] = row.Version
				}
			case "conversation.gone":
				delete(b.rows, row.ID)
			case "setting.updated":
				if strings.Contains(string(f.Data), "end") {
					b.ended = true
					return nil
				}
			}
		}
	}
	// As a network does it: without a word.
	if tcp, ok := c.ws.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return nil
}

// TestResumeAtRandomPoints kills the sockets of 50 agents at random while everything moves. In the end every screen
// shows what the database says.
func TestResumeAtRandomPoints(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	lasts := 3 * time.Second
	if s := os.Getenv("PARLEY_TEST_RESUME_FOR"); s != "" {
		lasts, _ = time.ParseDuration(s)
	}
	d := newDesk(r, 40)
	scopes := []string{scopeOwn, scopeTeam, scopeAll}
	for agent := range int64(50) {
		r.hire(agent+1, scopes[agent%3], agent%4)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	var writers, readers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := d.change(context.Background()); err != nil {
					t.Error(err)
					return
				}
				<-time.After(2 * time.Millisecond)
			}
		})
	}
	ended := make(chan struct{})
	var mu sync.Mutex
	resumes := 0
	for agent := range int64(50) {
		access, err := r.Access(ctx, agent+1)
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			b := &browser{d: d, access: access}
			for ctx.Err() == nil {
				if err := b.live(ctx, false); err != nil && ctx.Err() == nil {
					t.Errorf("agent %d: %v", access.AgentID, err)
					return
				}
				<-time.After(time.Duration(rand.IntN(40)) * time.Millisecond)
			}
			<-ended
			if b.ended {
				t.Errorf("agent %d saw the end before it was written", access.AgentID)
			}
			if err := b.live(context.Background(), true); err != nil {
				t.Errorf("agent %d, last time: %v", access.AgentID, err)
				return
			}
			want, err := d.list(context.Background(), access)
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, b.rows); diff != "" {
				t.Errorf("agent %d %+v (-database +screen):\n%s", access.AgentID, access, diff)
			}
			mu.Lock()
			resumes += b.resumes
			mu.Unlock()
		})
	}
	writers.Wait()
	r.write(marker("end"))
	close(ended)
	readers.Wait()
	t.Logf("%d resumes, %d snapshots, %d frames", resumes, r.hub.Metrics.Snapshots.Load(), r.hub.Metrics.FramesSent.Load())
	if resumes == 0 {
		t.Error("nobody resumed")
	}
}

// TestResumeWithoutGapOrDouble comes back at every point of a stream that goes on.
func TestResumeWithoutGapOrDouble(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	c, first := r.join(1)
	_ = c.ws.Close()
	const n = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range int64(n) {
			r.write(message(i+1, place{}))
		}
		r.write(marker("end"))
	}()
	cursor, next := first.Cursor, 1
	for end := false; !end; {
		c := r.dial(1)
		if f := c.hello(cursor); f.Type != "ready" || f.Cursor != cursor {
			t.Fatalf("got %s %s, want ready %s", f.Type, f.Cursor, cursor)
		}
		for range 1 + rand.IntN(40) {
			f := c.next()
			if f.Kind == "setting.updated" {
				end = true
				break
			}
			if f.ConversationID != fmt.Sprint(next) {
				t.Fatalf("got event %s, want %d", f.ConversationID, next)
			}
			next++
			cursor = f.Cursor
		}
		_ = c.ws.Close()
	}
	if next != n+1 {
		t.Errorf("%d events of %d", next-1, n)
	}
	<-done
}

func TestSnapshotWhenTheCursorIsOfNoUse(t *testing.T) {
	t.Parallel()
	r := open(t, Config{MaxReplay: 5})
	r.hire(1, scopeAll)
	_, first := r.join(1)
	for range 3 {
		r.write(message(1, place{}), message(1, place{}))
	}
	c, _ := r.join(1)
	r.write(marker("x"))
	c.until("x")
	for name, since := range map[string]string{"too far back": first.Cursor, "unknown": "1.99999999999.5", "nonsense": "yesterday", "of another house": "9.1.1"} {
		if f := r.dial(1).hello(since); f.Type != "snapshot" || f.Cursor == "" {
			t.Errorf("%s: got %s %s", name, f.Type, f.Cursor)
		}
	}
	if n := r.hub.Metrics.Snapshots.Load(); n != 4 {
		t.Errorf("%d snapshots were counted", n)
	}
}

// TestSnapshotWhenPermissionsChangedMeanwhile: what was on the screen may not be there any more.
func TestSnapshotWhenPermissionsChangedMeanwhile(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hire(2, scopeTeam, 4)
	one, first := r.join(1)
	two, other := r.join(2)
	_ = one.ws.Close()
	_ = two.ws.Close()
	testsignal.Until(t, "both are gone", func() bool { return len(r.hub.Connected()) == 0 })
	watcher := func() *client { r.hire(9, scopeAll); c, _ := r.join(9); return c }()

	a, _ := r.Access(t.Context(), 1)
	r.write(agentRow(a, "away", false), marker("status"))
	watcher.until("status")
	if f := r.dial(1).hello(first.Cursor); f.Type != "ready" {
		t.Errorf("after a mere change of status: %s", f.Type)
	}
	r.write(events.Event{Kind: "team.updated", Actor: events.System, SubjectKind: "team", SubjectID: "4", Payload: map[string]any{"id": "4", "member_ids": []string{"7"}}}, marker("team"))
	watcher.until("team")
	if f := r.dial(2).hello(other.Cursor); f.Type != "snapshot" {
		t.Errorf("after leaving a team: %s", f.Type)
	}
	r.hire(1, scopeOwn)
	a, _ = r.Access(t.Context(), 1)
	r.write(agentRow(a, "away", false), marker("scope"))
	watcher.until("scope")
	if f := r.dial(1).hello(first.Cursor); f.Type != "snapshot" {
		t.Errorf("after a change of scope: %s", f.Type)
	}
}
