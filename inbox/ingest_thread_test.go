package inbox

import (
	"strconv"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
)

// mails is a mail from somebody, with a content that nothing else has.
func mails(from, id string, refs ...string) channels.Inbound {
	return channels.Inbound{
		Kind: channels.Message, EventKey: "INBOX/1/" + id, ProviderID: id, Chat: from, Direction: channels.In, Content: "email", Subject: "Question", Text: "about " + id,
		HTML:   "<p>about " + id + "</p>",
		Sender: channels.Person{Identities: []channels.Identity{{Kind: crm.KindEmail, Value: from}}, Name: from}, At: time.Now(),
		Thread: "thread of " + id, Fingerprint: "content of " + id, References: refs, Raw: []byte("raw"),
		Recipients: []channels.Recipient{{Role: "from", Address: from}, {Role: "to", Address: "sales@hub.example"}},
		Data:       []byte(`{"email":{"copies":[]}}`),
	}
}

func newMailWay(t *testing.T) *way {
	w := newWay(t)
	w.channel = int64(w.count(`INSERT INTO channel (kind, name, settings) VALUES ('email', 'Sales', '{"address": "sales@hub.example"}') RETURNING id`))
	return w
}

func (w *way) conversationOf(id string) int64 {
	w.t.Helper()
	return int64(w.count(`SELECT conversation_id FROM message WHERE provider_id = $1 AND kind = 'message' ORDER BY seq LIMIT 1`, id))
}

func TestMailThreads(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	w.must(mails("ada@x.example", "a1"))
	w.must(mails("ada@x.example", "a2", "a1"))
	w.must(mails("ada@x.example", "a3"))                                                 // another matter
	w.must(mails("ada@x.example", "a4", "unknown", "a2", "a1"))                          // the nearest that is known
	w.must(mails("ada@x.example", "b1", "b0"), mails("ada@x.example", "b2", "b1", "b0")) // of one batch
	w.must(mails("ada@x.example", "c1"), mails("eve@x.example", "c2", "c1"))             // a stranger, in one batch
	if a, b := w.conversationOf("a1"), w.conversationOf("a2"); a != b {
		t.Errorf("an answer went to another conversation: %d, %d", a, b)
	}
	if a, b := w.conversationOf("a1"), w.conversationOf("a3"); a == b {
		t.Error("a new matter was put into an old conversation")
	}
	if a, b := w.conversationOf("a1"), w.conversationOf("a4"); a != b {
		t.Errorf("the nearest known reference was not followed: %d, %d", a, b)
	}
	if a, b := w.conversationOf("b1"), w.conversationOf("b2"); a != b {
		t.Errorf("an answer in the same batch went to another conversation: %d, %d", a, b)
	}
	if a, b := w.conversationOf("c1"), w.conversationOf("c2"); a == b {
		t.Error("a stranger of the same batch was let in")
	}
	w.want(1, `SELECT count(*) FROM conversation WHERE id = $1 AND subject = 'Question' AND last_kind = 'message' AND in_count = 3`, w.conversationOf("a1"))
	w.want(0, `SELECT count(*) FROM event WHERE kind = 'message.created' AND payload->>'content' = 'email' AND payload->>'html' <> ''`)
}

func TestStrangerWithAnIDGetsHisOwnConversation(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	w.must(mails("ada@x.example", "a1"))
	theirs := w.conversationOf("a1")
	by := mails("eve@x.example", "e1", "a1")
	w.must(by)
	token := mails("eve@x.example", "e2")
	token.Conversation = strconv.FormatInt(theirs, 10)
	w.must(token)
	for _, id := range []string{"e1", "e2"} {
		if w.conversationOf(id) == theirs {
			t.Errorf("%s was let into somebody else's conversation", id)
		}
		w.want(1, `SELECT count(*) FROM conversation WHERE id = $1 AND previous_id = $2`, w.conversationOf(id), theirs)
	}
	// the customer himself may come by the token
	own := mails("ada@x.example", "a2")
	own.Conversation = strconv.FormatInt(theirs, 10)
	w.must(own)
	if w.conversationOf("a2") != theirs {
		t.Error("the customer's own token was not followed")
	}
}

func TestCarbonCopyTakesPart(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	first := mails("ada@x.example", "a1")
	first.Recipients = append(first.Recipients, channels.Recipient{Role: "cc", Name: "Bob", Address: "Bob@X.example"})
	w.must(first)
	w.want(2, `SELECT count(*) FROM participant`)
	w.want(1, `SELECT count(*) FROM contact WHERE name = 'Bob'`)
	w.want(1, `SELECT count(*) FROM lead`) // of Ada alone
	w.want(0, `SELECT count(*) FROM identity WHERE value = 'sales@hub.example'`)
	w.must(mails("bob@x.example", "b1", "a1"))
	if w.conversationOf("a1") != w.conversationOf("b1") {
		t.Error("who was in Cc may not answer")
	}
}

func TestEqualMessageIDsAreDifferentMails(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	for i, from := range []string{"ada@x.example", "bob@x.example", "ada@x.example"} {
		m := mails(from, "same")
		m.EventKey, m.Fingerprint, m.Thread = "k"+strconv.Itoa(i), "f"+strconv.Itoa(i), "t"+strconv.Itoa(i)
		w.must(m)
	}
	w.want(3, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(3, `SELECT count(*) FROM conversation`)
	none := mails("ada@x.example", "")
	for i := range 2 { // no Message-ID at all
		none.EventKey, none.Fingerprint, none.Thread = "n"+strconv.Itoa(i), "g"+strconv.Itoa(i), "u"+strconv.Itoa(i)
		w.must(none)
	}
	w.want(5, `SELECT count(*) FROM conversation`)
}

func TestSameMailAgainIsOneMessage(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	m := mails("ada@x.example", "a1")
	again := m
	again.EventKey = "INBOX/2/77" // the server has numbered its messages anew
	w.must(m, again)
	w.must(again)
	w.want(1, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(1, `SELECT count(*) FROM message WHERE data#>>'{email,copies}' = '[]'`)

	// the same mail in another mailbox of ours
	other := w.count(`INSERT INTO channel (kind, name, settings) VALUES ('email', 'Support', '{"address": "support@hub.example"}') RETURNING id`)
	sales := w.channel
	w.channel = int64(other)
	w.must(m)
	again.EventKey = "INBOX/1/9"
	w.must(again)
	w.want(1, `SELECT count(*) FROM message WHERE kind = 'message'`)
	w.want(1, `SELECT count(*) FROM conversation`)
	w.want(1, `SELECT count(*) FROM message WHERE data#>>'{email,copies,0}' = $1 AND jsonb_array_length(data#>'{email,copies}') = 1`, strconv.Itoa(other))
	w.want(1, `SELECT count(*) FROM event WHERE kind = 'message.updated'`)
	w.channel = sales
}

func TestClosedThreadOpensAgainOrGetsASuccessor(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	w.must(mails("ada@x.example", "a1"))
	c := w.conversationOf("a1")
	closed := `UPDATE conversation SET status = 'closed', closed_at = now() - make_interval(days => $2) WHERE id = $1 RETURNING 1`
	w.count(closed, c, 1)
	auto := mails("ada@x.example", "auto", "a1")
	auto.Automatic = true
	w.must(auto)
	w.want(1, `SELECT count(*) FROM conversation WHERE id = $1 AND status = 'closed'`, c) // an out-of-office note opens nothing
	w.must(mails("ada@x.example", "a2", "a1"))
	w.want(1, `SELECT count(*) FROM conversation WHERE id = $1 AND status = 'open'`, c)
	w.count(closed, c, 30)
	w.must(mails("ada@x.example", "a3", "a2"))
	next := w.conversationOf("a3")
	w.want(1, `SELECT count(*) FROM conversation WHERE id = $1 AND previous_id = $2`, next, c)
	w.must(mails("ada@x.example", "a4", "a1"))
	if got := w.conversationOf("a4"); got != next {
		t.Errorf("an answer to the old part went to %d, want the successor %d", got, next)
	}
}

func TestBounceMarksItsMessage(t *testing.T) {
	t.Parallel()
	w := newMailWay(t)
	w.must(mails("ada@x.example", "a1"))
	c := w.conversationOf("a1")
	w.count(`WITH m AS (INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, text, status) VALUES (now(), gen_random_uuid(), $1, 'message', 'out', 'agent', 'hi', 'sent') RETURNING at, id)
INSERT INTO external_ref (channel_id, kind, key, message_at, message_id) SELECT $2, 'message', 'ours@hub.example', at, id FROM m RETURNING 1`, c, w.channel)
	w.must(channels.Inbound{Kind: channels.Status, EventKey: "INBOX/1/b", TargetID: "ours@hub.example", Status: channels.Bounced, Text: "no such user", At: time.Now()})
	w.want(1, `SELECT count(*) FROM message WHERE direction = 'out' AND status = 'failed' AND error = 'no such user'`)
}
