package inbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func texts(items []Item) []string {
	out := []string{}
	for _, it := range items {
		out = append(out, it.Text)
	}
	return out
}

func numbers(from, to int) []string {
	out := []string{}
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestTimelinePages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	p := o.stranger()
	old, id := o.openWith(p, Closed, 0, 0), o.openWith(p, Open, 0, 0)
	// 1 to 90, over two conversations and months; of every three two share their time, so that only seq orders them
	base := time.Now().AddDate(0, -2, 0)
	var last MessageKey
	for i := 1; i <= 90; i++ {
		c := id
		if i <= 40 {
			c = old
		}
		last = o.hearAt(c, fmt.Sprint(i), base.Add(time.Duration(i/3)*12*time.Hour))
	}
	contact := ids.ID(p.contact)
	read := func(q TimelineQuery) Timeline {
		t.Helper()
		tl, err := o.ContactTimeline(o.ctx, a, contact, q)
		if err != nil {
			t.Fatal(err)
		}
		return tl
	}
	// from the newest end to the oldest, then forward again
	var got []string
	q := TimelineQuery{Limit: 7}
	tl := read(q)
	if tl.Next != nil {
		t.Error("there is something newer than the newest")
	}
	for {
		got = append(texts(tl.Items), got...)
		if tl.Prev == nil {
			break
		}
		tl = read(TimelineQuery{Limit: 7, Before: *tl.Prev})
	}
	if d := cmp.Diff(numbers(1, 90), got); d != "" {
		t.Error("backward", d)
	}
	got = texts(tl.Items)
	for tl.Next != nil {
		tl = read(TimelineQuery{Limit: 7, After: *tl.Next})
		got = append(got, texts(tl.Items)...)
	}
	if d := cmp.Diff(numbers(1, 90), got); d != "" {
		t.Error("forward", d)
	}
	// one conversation only
	one, err := o.Timeline(o.ctx, a, id, TimelineQuery{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(numbers(41, 90), texts(one.Items)); d != "" || one.Prev != nil || one.Next != nil {
		t.Error(d, one.Prev, one.Next)
	}
	// around an item, by its id and by a cursor
	around := read(TimelineQuery{Limit: 10, Around: one.Items[9].ID.String()})
	if d := cmp.Diff(numbers(46, 55), texts(around.Items)); d != "" || around.Prev == nil || around.Next == nil {
		t.Error(d)
	}
	again := read(TimelineQuery{Limit: 10, Around: placeAt(around.Items[4]).String()})
	if d := cmp.Diff(texts(around.Items), texts(again.Items)); d != "" {
		t.Error(d)
	}
	if tl := read(TimelineQuery{Limit: 10, Around: last.ID.String()}); tl.Next != nil || len(tl.Items) != 5 {
		t.Errorf("around the newest: %q", texts(tl.Items))
	}
	// what comes in later does not move a page
	before := read(TimelineQuery{Limit: 5, Before: placeAt(around.Items[4]).String()})
	o.hear(id, "new")
	if d := cmp.Diff(before.Items, read(TimelineQuery{Limit: 5, Before: placeAt(around.Items[4]).String()}).Items); d != "" {
		t.Error(d)
	}
	for _, q := range []TimelineQuery{
		{Before: "x"}, {After: "!!"}, {Around: "bm9wZQ"}, {Limit: -1}, {Limit: 201}, {Before: *before.Prev, After: *before.Prev},
	} {
		_, err := o.ContactTimeline(o.ctx, a, contact, q)
		wantCode(t, err, errs.Invalid, fmt.Sprintf("%+v", q))
	}
	_, err = o.ContactTimeline(o.ctx, a, contact, TimelineQuery{Around: uuid.NewString()})
	wantCode(t, err, errs.NotFound, "around nothing")
	if tl, err := o.ContactTimeline(o.ctx, a, 1<<40, TimelineQuery{}); err != nil || tl.Items == nil || len(tl.Items) != 0 {
		t.Errorf("nobody's timeline: %+v, %v", tl, err)
	}
}

func placeAt(it Item) place { return place{it.At, int64(it.Seq)} }

func TestItemsAreWhole(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	p := o.person("Sara", "telegram", "77")
	id := o.openWith(p, Open, 0, 0)
	q := o.hear(id, strings.Repeat("ё", 300))
	k := o.say(a, id, strings.Repeat("я", 9000))
	o.exec(`UPDATE message SET reply_to_at = $1, reply_to_id = $2, edited_at = now(), html = '<b>x</b>', data = '{"a":1}', group_key = 'g' WHERE id = $3`, q.At, q.ID, k.ID)
	o.exec(`INSERT INTO message_revision (message_at, message_id, no, text) VALUES ($1, $2, 1, 'first'), ($1, $2, 2, 'second')`, k.At, k.ID)
	o.exec(`INSERT INTO message_raw VALUES ($1, $2, 'bytes')`, q.At, q.ID)
	o.exec(`INSERT INTO reaction (message_at, message_id, identity_id, emoji) VALUES ($1, $2, $3, '👍')`, k.At, k.ID, p.identity)
	o.exec(`INSERT INTO reaction (message_at, message_id, agent_id, emoji) VALUES ($1, $2, $3, '❤')`, q.At, q.ID, int64(a.AgentID))
	one, two := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	o.exec(`INSERT INTO attachment (id, message_at, message_id, position, kind, name, type, size, state, blob, preview)
VALUES ($3, $1, $2, 1, 'photo', 'b.jpg', 'image/jpeg', 7, 'ok', 'aa', 'bb'), ($4, $1, $2, 0, 'document', 'a.pdf', 'application/pdf', 9, 'pending', '', '')`, k.At, k.ID, one, two)
	tl, err := o.Timeline(o.ctx, a, id, TimelineQuery{})
	if err != nil || len(tl.Items) != 2 {
		t.Fatal(err, len(tl.Items))
	}
	asked, answer := tl.Items[0], tl.Items[1]
	raw := "/api/conversations/" + id.String() + "/messages/" + q.ID.String() + "/raw"
	preview := "/api/attachments/" + one.String() + "/preview"
	want := Item{
		ID: q.ID, Version: 1, Seq: asked.Seq, Kind: "message", Content: "text", Direction: "in", ConversationID: id, ChannelID: ids.ID(o.channel),
		ChannelKind: "telegram", Author: Author{Kind: "contact", ID: ids.Ptr(ids.ID(p.contact)), Name: "Sara"}, Text: strings.Repeat("ё", 300),
		Data: []byte("{}"), Attachments: []Attachment{}, Status: "received", InNo: 1, At: q.At, RawURL: &raw,
		Reactions: []Reaction{{Emoji: "❤", Author: Author{Kind: "agent", ID: ids.Ptr(a.AgentID), Name: a.Name}}},
	}
	if d := cmp.Diff(want, asked); d != "" {
		t.Error(d)
	}
	want = Item{
		ID: k.ID, Version: 1, Seq: answer.Seq, Kind: "message", Content: "text", Direction: "out", ConversationID: id, ChannelID: ids.ID(o.channel),
		ChannelKind: "telegram", Author: Author{Kind: "agent", ID: ids.Ptr(a.AgentID), Name: a.Name}, Text: strings.Repeat("я", 8000), Truncated: true,
		Data: []byte(`{"a": 1}`), Status: "sent", At: k.At, Album: "g", EditedAt: answer.EditedAt, Revisions: 2,
		ReplyTo:   &Quote{ID: q.ID, Author: "Sara", Text: strings.Repeat("ё", 200)},
		Reactions: []Reaction{{Emoji: "👍", Author: Author{Kind: "contact", ID: ids.Ptr(ids.ID(p.contact)), Name: "Sara"}}},
		Attachments: []Attachment{
			{ID: two, Kind: "document", Name: "a.pdf", Type: "application/pdf", Size: 9, State: "pending", URL: "/api/attachments/" + two.String()},
			{ID: one, Kind: "photo", Name: "b.jpg", Type: "image/jpeg", Size: 7, State: "ok", URL: "/api/attachments/" + one.String(), PreviewURL: &preview},
		},
	}
	if d := cmp.Diff(want, answer); d != "" {
		t.Error(d)
	}
	whole, err := o.Message(o.ctx, a, id, k.ID)
	if err != nil || whole.Truncated || whole.Text != strings.Repeat("я", 9000) || whole.HTML != "<b>x</b>" {
		t.Errorf("the whole message: %d bytes, %v", len(whole.Text), err)
	}
	revs, err := o.Revisions(o.ctx, a, id, k.ID)
	if err != nil || len(revs) != 2 || revs[0].Text != "first" {
		t.Errorf("revisions %+v, %v", revs, err)
	}
	bytes, err := o.Raw(o.ctx, a, id, q.ID)
	if err != nil || string(bytes) != "bytes" {
		t.Errorf("raw %q, %v", bytes, err)
	}
	_, err = o.Raw(o.ctx, a, id, k.ID)
	wantCode(t, err, errs.NotFound, "raw of our own")
}
