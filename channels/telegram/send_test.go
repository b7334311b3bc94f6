package telegram_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

// talk is setup with a customer who has written.
type talk struct {
	*bundle
	user *tgfake.User
	in   channels.Inbound
}

func setupTalk(t *testing.T) *talk {
	t.Helper()
	b := setup(t)
	u := b.fake.NewUser("Ada Lovelace", "en")
	u.Send("hello")
	return &talk{bundle: b, user: u, in: b.sink.UntilMessages(t, 1)[0]}
}

func (k *talk) out(text, html string, files ...channels.File) channels.Outbound {
	return channels.Outbound{ClientID: "c", Op: channels.OpSend, Attempt: 1, Chat: k.in.Chat, ChatData: k.in.ChatData, Text: text, HTML: html, Files: files}
}

func (k *talk) send(t *testing.T, m channels.Outbound) channels.SendResult {
	t.Helper()
	r, err := k.adapter.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sendError(t *testing.T, err error, kind channels.SendErrorKind) *channels.SendError {
	t.Helper()
	var se *channels.SendError
	if !errors.As(err, &se) || se.Kind != kind {
		t.Fatalf("got %v, want %s", err, kind)
	}
	if strings.Contains(err.Error(), tgfake.Token) || strings.Contains(se.Reason, tgfake.Token) {
		t.Fatalf("the token shows: %v", err)
	}
	return se
}

func file(kind, name, mime string, data []byte) channels.File {
	return channels.File{Kind: kind, Name: name, Type: mime, Size: int64(len(data)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

func TestLongTextIsSplit(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	text := strings.TrimSpace(strings.Repeat("All the ropes are in stock, 60 m each. ", 250))
	r := k.send(t, k.out(text, ""))
	got := k.user.Texts()
	if len(got) != 3 || len(r.ProviderIDs) != 3 || strings.Join(got, " ") != text {
		t.Fatalf("%d parts, ids %v", len(got), r.ProviderIDs)
	}
	if r.ProviderIDs[0] != k.in.Chat+":"+strconv.Itoa(k.user.Sent()[0].ID) {
		t.Errorf("first id %s", r.ProviderIDs[0])
	}
}

func TestFormattedTextGoesOutFormatted(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	k.send(t, k.out("x", `<p>Price: <b>12 &lt; 15</b></p><p><a href="https://x.y/?a=1&amp;b=2">see</a> <i>now</i></p><script>no</script>`))
	m := k.user.Sent()[0]
	want := []tgfake.Entity{{Type: "bold", Offset: 7, Length: 7}, {Type: "text_link", Offset: 15, Length: 3, URL: "https://x.y/?a=1&b=2"}, {Type: "italic", Offset: 19, Length: 3}}
	if m.Text != "Price: 12 < 15\nsee now" || !slices.Equal(m.Entities, want) {
		t.Errorf("got %q %+v", m.Text, m.Entities)
	}
}

func TestRefusedFormattingFallsBackToPlain(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	k.fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Refuse, Code: 400, Description: "Bad Request: can't parse entities: Unsupported start tag \"b\" at byte offset 0"})
	r := k.send(t, k.out("bold", "<b>bold</b>"))
	if got := k.user.Sent(); len(got) != 1 || got[0].Text != "bold" || len(got[0].Entities) != 0 || r.Note == "" {
		t.Errorf("got %+v, note %q", got, r.Note)
	}
}

func TestReplyGoesToTheRightMessage(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	m := k.out("answer", "")
	m.ReplyTo = k.in.ProviderID
	k.send(t, m)
	if got := k.user.Sent()[0]; k.in.Chat+":"+strconv.Itoa(got.ReplyTo) != k.in.ProviderID {
		t.Errorf("reply to %d, want %s", got.ReplyTo, k.in.ProviderID)
	}
	m.ReplyTo = k.in.Chat + ":999999" // deleted meanwhile
	k.send(t, m)
}

func TestEditDeleteReactTyping(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	r := k.send(t, k.out("frist", ""))
	edit := channels.Outbound{Op: channels.OpEdit, Chat: k.in.Chat, TargetID: r.ProviderIDs[0], Text: "first"}
	k.send(t, edit)
	if got := k.user.Sent()[0]; got.Text != "first" || !got.Edited {
		t.Errorf("got %+v", got)
	}
	k.send(t, edit) // "message is not modified" is no failure
	k.send(t, channels.Outbound{Op: channels.OpReact, Chat: k.in.Chat, TargetID: k.in.ProviderID, Emoji: "❤️"})
	k.send(t, channels.Outbound{Op: channels.OpReact, Chat: k.in.Chat, TargetID: k.in.ProviderID})
	_, err := k.adapter.Send(t.Context(), channels.Outbound{Op: channels.OpReact, Chat: k.in.Chat, TargetID: k.in.ProviderID, Emoji: "🚀"})
	sendError(t, err, channels.Permanent)
	del := channels.Outbound{Op: channels.OpDelete, Chat: k.in.Chat, TargetID: r.ProviderIDs[0]}
	k.send(t, del)
	k.send(t, del) // gone already
	if got := k.user.Sent()[0]; !got.Deleted {
		t.Errorf("got %+v", got)
	}
	_, err = k.adapter.Send(t.Context(), edit)
	sendError(t, err, channels.Permanent)
	if err := k.adapter.(channels.Typer).Typing(t.Context(), k.in.Chat, nil); err != nil {
		t.Error(err)
	}
	if got := k.fake.Bot().Actions(); len(got) != 1 || got[0] != k.in.Chat+" typing" {
		t.Errorf("actions %v", got)
	}
}

func TestFilesGoOutInTheirKind(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	jpeg := []byte("\xff\xd8 picture")
	for _, c := range []struct {
		f    channels.File
		want string
	}{
		{file("photo", "a.jpg", "image/jpeg", jpeg), "photo"},
		{file("photo", "a.heic", "image/heic", jpeg), "document"},
		{file("voice", "v.ogg", "audio/ogg; codecs=opus", jpeg), "voice"},
		{file("voice", "v.webm", "audio/webm", jpeg), "document"},
		{file("audio", "s.mp3", "audio/mpeg", jpeg), "audio"},
		{file("video", "v.mp4", "video/mp4", jpeg), "video"},
		{file("animation", "g.gif", "image/gif", jpeg), "animation"},
		{file("document", "../../договор \"1\".pdf", "application/pdf", jpeg), "document"},
		{file("sticker", "s.webp", "image/webp", jpeg), "sticker"},
	} {
		k.send(t, k.out("", "", c.f))
		sent := k.user.Sent()
		if got := sent[len(sent)-1]; got.Kind != c.want || got.Files[0].Size != int64(len(jpeg)) || !bytes.Equal(got.Files[0].Data, jpeg) {
			t.Errorf("%s %s went as %s: %+v", c.f.Kind, c.f.Type, got.Kind, got.Files)
		}
	}
	sent := k.user.Sent()
	if got := sent[7].Files[0].Name; got != "договор _1_.pdf" {
		t.Errorf("name %q", got)
	}
}

func TestAlbumAndCaption(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	pic := func(n string) channels.File { return file("photo", n, "image/jpeg", []byte("picture "+n)) }
	files := []channels.File{pic("1.jpg"), pic("2.jpg"), file("video", "3.mp4", "video/mp4", []byte("film")), file("document", "4.pdf", "application/pdf", []byte("paper"))}
	r := k.send(t, k.out("three and one", "three <b>and</b> one", files...))
	got := k.user.Sent()
	if len(got) != 4 || len(r.ProviderIDs) != 4 {
		t.Fatalf("%d messages, ids %v", len(got), r.ProviderIDs)
	}
	if got[0].Text != "three and one" || got[0].Entities[0].Type != "bold" || got[1].Text != "" || got[0].Album == "" || got[2].Album != got[0].Album || got[3].Album != "" {
		t.Errorf("got %+v", got)
	}
	if string(got[2].Files[0].Data) != "film" || got[2].Kind != "video" {
		t.Errorf("got %+v", got[2])
	}
	// A text too long for a caption goes ahead.
	long := strings.Repeat("word ", 300)
	k.send(t, k.out(long, "", pic("5.jpg")))
	if got = k.user.Sent()[4:]; len(got) != 2 || got[0].Kind != "text" || got[1].Text != "" {
		t.Errorf("got %+v", got)
	}
}

func TestUnusablePhotoGoesAsAFile(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	k.fake.Fail(tgfake.Fault{Method: "sendPhoto", Kind: tgfake.Refuse, Code: 400, Description: "Bad Request: PHOTO_INVALID_DIMENSIONS"})
	r := k.send(t, k.out("look", "", file("photo", "thin.png", "image/png", []byte("x"))))
	if got := k.user.Sent(); len(got) != 1 || got[0].Kind != "document" || got[0].Text != "look" || r.Note == "" {
		t.Errorf("got %+v, note %q", got, r.Note)
	}
}

func TestPartlyDeliveredIsUncertain(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	text := strings.Repeat("All the ropes are in stock. ", 200)
	k.fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Delay}, tgfake.Fault{Method: "sendMessage", Kind: tgfake.Refuse, Code: 403, Description: "Forbidden: bot was blocked by the user"})
	r, err := k.adapter.Send(t.Context(), k.out(text, ""))
	se := sendError(t, err, channels.Uncertain)
	if !strings.Contains(se.Reason, "1 of 2") || len(r.ProviderIDs) != 1 {
		t.Errorf("reason %q, ids %v", se.Reason, r.ProviderIDs)
	}
}

func TestLimitInTheMiddleIsWaitedFor(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	text := strings.Repeat("All the ropes are in stock. ", 200)
	k.fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Delay}, tgfake.Fault{Method: "sendMessage", Kind: tgfake.RateLimit, RetryAfter: 1})
	k.send(t, k.out(text, ""))
	if got := k.user.Texts(); len(got) != 2 {
		t.Errorf("%d parts", len(got))
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	k := setupTalk(t)
	for _, c := range []struct {
		name  string
		fault tgfake.Fault
		want  channels.SendErrorKind
	}{
		{"limit", tgfake.Fault{Kind: tgfake.RateLimit, RetryAfter: 3}, channels.Temporary},
		{"500 with JSON", tgfake.Fault{Kind: tgfake.ServerError}, channels.Temporary},
		{"502 of a proxy", tgfake.Fault{Kind: tgfake.BadGateway}, channels.Uncertain},
		{"garbage", tgfake.Fault{Kind: tgfake.Garbage}, channels.Uncertain},
		{"400", tgfake.Fault{Kind: tgfake.Refuse, Code: 400, Description: "Bad Request: something new"}, channels.Permanent},
		{"unknown chat", tgfake.Fault{Kind: tgfake.Refuse, Code: 400, Description: "Bad Request: chat not found"}, channels.Unreachable},
		{"blocked", tgfake.Fault{Kind: tgfake.Refuse, Code: 403, Description: "Forbidden: bot was blocked by the user"}, channels.Unreachable},
		{"deactivated", tgfake.Fault{Kind: tgfake.Refuse, Code: 403, Description: "Forbidden: user is deactivated"}, channels.Unreachable},
		{"token", tgfake.Fault{Kind: tgfake.Refuse, Code: 401, Description: "Unauthorized"}, channels.AccountDown},
		{"too large", tgfake.Fault{Kind: tgfake.Refuse, Code: 413, Description: "Request Entity Too Large"}, channels.Permanent},
	} {
		c.fault.Method = "sendMessage"
		k.fake.Fail(c.fault)
		_, err := k.adapter.Send(t.Context(), k.out("hi", ""))
		se := sendError(t, err, c.want)
		if se.Reason == "" || c.name == "limit" && se.RetryAfter != 3*time.Second {
			t.Errorf("%s: %+v", c.name, se)
		}
	}
	// A send that nobody waits for any more may have arrived.
	k.fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Delay, Delay: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := k.adapter.Send(ctx, k.out("hi", ""))
	sendError(t, err, channels.Uncertain)
	_, err = k.adapter.Send(t.Context(), channels.Outbound{Chat: "not a chat", Text: "x"})
	sendError(t, err, channels.Permanent)
	_, err = k.adapter.Send(t.Context(), k.out("  ", ""))
	sendError(t, err, channels.Permanent)
	_, err = k.adapter.Send(t.Context(), k.out("", "", channels.File{Kind: "document", Name: "big", Size: 60 << 20}))
	sendError(t, err, channels.Permanent)
}

// TestNobodyListens: a connection that was never made is surely no delivery, and no error shows the token.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	_ = l.Close()
	account := channels.Account{ID: 1, Settings: settings(t, map[string]string{"token": tgfake.Token, "api_url": url})}
	a, err := telegram.Kind().New(account)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Send(t.Context(), channels.Outbound{Chat: "5", Text: "hi"})
	sendError(t, err, channels.Temporary)
	_, err = a.Send(t.Context(), channels.Outbound{Chat: "5", Files: []channels.File{file("document", "a", "", []byte("x"))}})
	sendError(t, err, channels.Temporary)
	_, err = a.FetchMedia(t.Context(), []byte(`{"file_id":"x"}`), io.Discard)
	if err == nil || strings.Contains(err.Error(), tgfake.Token) {
		t.Errorf("got %v", err)
	}
	err = telegram.Kind().Probe(t.Context(), account)
	if err == nil || strings.Contains(err.Error(), tgfake.Token) || !strings.Contains(err.Error(), "getMe") {
		t.Errorf("probe: %v", err)
	}
}

func TestGroupMovesAndThrowsOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.fake.NewUser("Ada", "en")
	g := b.fake.NewGroup("Hiking", false)
	g.Say(u, "hello all")
	in := b.sink.UntilMessages(t, 1)[0]
	if in.Group == nil || in.Group.Name != "Hiking" || in.Sender.Name != "Ada" {
		t.Fatalf("got %+v", in)
	}
	n := g.Upgrade(u)
	r, err := b.adapter.Send(t.Context(), channels.Outbound{Op: channels.OpSend, Chat: in.Chat, Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sent()) != 1 || !strings.HasPrefix(r.ProviderIDs[0], strconv.FormatInt(n.ID, 10)+":") || r.Note == "" {
		t.Errorf("%+v, sent %+v", r, n.Sent())
	}
	n.Kick(u, true)
	_, err = b.adapter.Send(t.Context(), channels.Outbound{Op: channels.OpSend, Chat: strconv.FormatInt(n.ID, 10), Text: "hi"})
	sendError(t, err, channels.Unreachable)
	b.sink.Until(t, "the group is gone", func() bool {
		for _, e := range b.sink.Events() {
			if e.Group != nil && e.Group.Unreachable != nil && *e.Group.Unreachable != "" {
				return true
			}
		}
		return false
	})
}

func TestBusinessAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner, customer := b.fake.NewUser("Olga Shop", "en"), b.fake.NewUser("Ada", "en")
	z := b.fake.Connect(owner)
	id := z.Write(customer, "do you deliver?")
	in := b.sink.UntilMessages(t, 1)[0]
	m := channels.Outbound{Op: channels.OpSend, Chat: in.Chat, ChatData: in.ChatData, Text: "we do", ReplyTo: in.ProviderID}
	r, err := b.adapter.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got := z.Sent(customer); len(got) != 1 || got[0].Text != "we do" || got[0].ReplyTo != id {
		t.Fatalf("sent %+v", got)
	}
	for _, op := range []channels.Outbound{{Op: channels.OpEdit, Text: "we do!"}, {Op: channels.OpDelete}} {
		op.Chat, op.ChatData, op.TargetID = in.Chat, in.ChatData, r.ProviderIDs[0]
		if _, err := b.adapter.Send(t.Context(), op); err != nil {
			t.Errorf("%s: %v", op.Op, err)
		}
	}
	if err := b.adapter.(channels.MarkReader).MarkRead(t.Context(), in.Chat, in.ChatData, in.ProviderID); err != nil {
		t.Error(err)
	}
	z.OwnerWrites(customer, "I'll bring it myself")
	z.Edit(customer, id, "do you deliver today?")
	z.Delete(customer, id)
	b.sink.Until(t, "a deletion", func() bool {
		ev := b.sink.Events()
		return ev[len(ev)-1].Kind == channels.Revoke && ev[len(ev)-1].TargetID == in.ProviderID
	})
	for _, e := range b.sink.Messages() {
		if e.Text == "I'll bring it myself" && (e.Direction != channels.Out || e.Sender.Name != "Ada") {
			t.Errorf("typed by the owner: %+v", e)
		}
	}
	z.Disconnect()
	_, err = b.adapter.Send(t.Context(), m)
	sendError(t, err, channels.Permanent)
}
