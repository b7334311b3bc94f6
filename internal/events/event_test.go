package events

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
)

func TestStatements(t *testing.T) {
	t.Parallel()
	dbtest.Prepare(t, map[string]string{
		"append": appendSQL, "read": readSQL, "before": beforeSQL, "head": headSQL, "known": knownSQL, "holder": holderSQL,
		"beginFollower": beginFollowerSQL, "follower": followerSQL, "lockFollower": lockFollowerSQL, "moveFollower": moveFollowerSQL,
		"park": parkSQL, "parked": parkedSQL, "audit": auditSQL, "auditRows": auditRowsSQL,
	})
}

func TestAppendKeepsOrderAndEverything(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	first := Event{
		Kind: "conversation.updated", Actor: Actor{"agent", 7}, SubjectKind: "conversation", SubjectID: "12",
		ConversationID: 12, TeamID: 3, AssigneeID: 7, TeamBefore: 2, AssigneeBefore: 8, Payload: json.RawMessage(`{"id": "12"}`),
	}
	second := Event{Kind: "x.y", Actor: System, SubjectKind: "x", SubjectID: "é"}
	s.write(t, append([]Event{first, second}, some(0, 300)...)...)
	got := s.log.wait(t, 302)
	opts := cmpopts.IgnoreFields(Event{}, "Payload", "Cursor", "At")
	first.Raw, second.Raw = json.RawMessage(`{"id": "12"}`), json.RawMessage(`{}`)
	if diff := cmp.Diff([]Event{first, second}, got[:2], opts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(upTo(0, 300), nums(t, got[2:])); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for i := 1; i < len(got); i++ {
		if !got[i].Cursor.After(got[i-1].Cursor) {
			t.Fatalf("cursor %s follows %s", got[i].Cursor, got[i-1].Cursor)
		}
	}
}

func TestPayloadLimit(t *testing.T) {
	t.Parallel()
	tx := dbtest.Tx(t)
	fits := Event{Kind: "x.y", Actor: System, SubjectKind: "x", SubjectID: "1", Payload: strings.Repeat("ж", MaxPayload/2-1)}
	if err := Append(t.Context(), tx, fits); err != nil {
		t.Errorf("a payload of the allowed size: %v", err)
	}
	long := fits
	long.Payload = strings.Repeat("<", MaxPayload)
	if err := Append(t.Context(), tx, long); err == nil {
		t.Error("a payload that is too long was taken")
	}
	if err := Queue(&pgx.Batch{}, fits, long); err == nil {
		t.Error("a payload that is too long was queued")
	}
	b := &pgx.Batch{}
	if err := Queue(b, fits); err != nil || b.Len() != 1 {
		t.Errorf("Queue: %d statements, %v", b.Len(), err)
	}
	if err := Queue(b); err != nil || b.Len() != 1 {
		t.Errorf("Queue of nothing: %d statements, %v", b.Len(), err)
	}
	if err := tx.SendBatch(t.Context(), b).Close(); err != nil {
		t.Error(err)
	}
}

func TestNULInAPayloadIsDropped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"a\u0000b"`:       `"ab"`,
		`"\\u0000"`:        `"\\u0000"`,
		`"\\\u0000x"`:      `"\\x"`,
		`"\u0000\u0000"`:   `""`,
		`"\"\u0000"`:       `"\""`,
		`{"\u0000k": "v"}`: `{"k": "v"}`,
		`"\u0001"`:         `"\u0001"`,
	} {
		if got := string(dropNUL([]byte(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if err := Append(t.Context(), dbtest.Tx(t), Event{Kind: "x.y", Actor: System, SubjectKind: "x", SubjectID: "1", Payload: "a\x00b"}); err != nil {
		t.Error(err)
	}
}

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []Cursor{{}, {1, 2, 3}, {1<<31 - 1, 1<<63 - 1, 1<<63 - 1}} {
		got, err := ParseCursor(c.String())
		if err != nil || got != c {
			t.Errorf("%s: got %v, %v", c, got, err)
		}
	}
	for _, s := range []string{"", ".", "..", "1", "1.2", "1.2.", "1.2.x", "-1.2.3", "1.-2.3", "1.2.-3", "1.2.3.4", "99999999999.1.1", "1.18446744073709551615.1", " 1.2.3", "1.2.3\x00"} {
		if c, err := ParseCursor(s); err == nil {
			t.Errorf("%q was read as %s", s, c)
		}
	}
}
