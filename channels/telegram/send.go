package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parley-hub/parley/channels"
)

const (
	maxMessage = 4096 // UTF-16 units after the formatting was taken out
	maxCaption = 1024
	// maxWait is how long a started message waits for a limit to pass before its rest is given up as uncertain.
	maxWait = 30 * time.Second
)

const noFormatting = "Sent without formatting: Telegram did not accept it."

// sentMessage is what we read of a sent message; the library's type would refuse it for any field that it does not know.
type sentMessage struct {
	ID       int    `json:"message_id"`
	Date     int    `json:"date"`
	Business string `json:"business_connection_id"`
	Chat     struct {
		ID int64 `json:"id"`
	} `json:"chat"`
}

// Send delivers one message, edit, deletion or reaction. Errors are *channels.SendError.
func (a *Adapter) Send(ctx context.Context, m channels.Outbound) (channels.SendResult, error) {
	d, err := a.newDelivery(m)
	if err != nil {
		return channels.SendResult{}, err
	}
	switch m.Op {
	case channels.OpSend, "":
		err = d.send(ctx)
	case channels.OpEdit:
		err = d.edit(ctx)
	case channels.OpDelete:
		err = d.remove(ctx)
	case channels.OpReact:
		err = d.react(ctx)
	default:
		return channels.SendResult{}, &channels.SendError{Kind: channels.Permanent, Reason: fmt.Sprintf("Telegram cannot do %q.", m.Op)}
	}
	if err == nil {
		return d.result, nil
	}
	se := a.outcome(err)
	if len(d.result.ProviderIDs) > 0 {
		// A part has arrived: trying the whole again would send that part twice.
		se = uncertain(fmt.Sprintf("Only %d of %d parts of the message were delivered. %s", len(d.result.ProviderIDs), d.total, se.Reason), err)
	}
	return d.result, se
}

// delivery is one Send on its way.
type delivery struct {
	a      *Adapter
	m      channels.Outbound
	chat   string
	ref    chatRef
	total  int
	result channels.SendResult
}

func (a *Adapter) newDelivery(m channels.Outbound) (*delivery, error) {
	d := &delivery{a: a, m: m, chat: m.Chat}
	if _, err := strconv.ParseInt(m.Chat, 10, 64); err != nil {
		return nil, &channels.SendError{Kind: channels.Permanent, Reason: "This conversation has no Telegram chat.", Err: err}
	}
	if len(m.ChatData) > 0 {
		if err := json.Unmarshal(m.ChatData, &d.ref); err != nil {
			return nil, &channels.SendError{Kind: channels.Permanent, Reason: "The chat's data cannot be read.", Err: err}
		}
	}
	return d, nil
}

// target is where a message goes.
func (d *delivery) target() params {
	p := params{"chat_id": d.chat}
	if d.ref.Business != "" {
		p["business_connection_id"] = d.ref.Business
	}
	if d.ref.Thread != 0 {
		p["message_thread_id"] = d.ref.Thread
	}
	if d.ref.Topic != 0 {
		p["direct_messages_topic_id"] = d.ref.Topic
	}
	return p
}

// first adds the quote, which only the first part of a message carries.
func (d *delivery) first(p params) params {
	if len(d.result.ProviderIDs) > 0 || d.m.ReplyTo == "" {
		return p
	}
	chat, id, ok := parseProviderID(d.m.ReplyTo)
	if ok && chat == d.m.Chat {
		p["reply_parameters"] = params{"message_id": id, "allow_sending_without_reply": true}
	}
	return p
}

func (d *delivery) sent(messages ...sentMessage) {
	for _, s := range messages {
		chat := s.Chat.ID
		if chat == 0 {
			chat, _ = strconv.ParseInt(d.chat, 10, 64) // checked when the delivery began
		}
		d.result.ProviderIDs = append(d.result.ProviderIDs, providerID(d.ref.Business, chat, s.ID))
		if d.result.At.IsZero() {
			d.result.At = unix(s.Date)
		}
	}
}

func (d *delivery) note(s string) {
	if !strings.Contains(d.result.Note, s) {
		d.result.Note = joined(" ", d.result.Note, s)
	}
}

// body is the text to send: the formatted form when there is one.
func (d *delivery) body() rich {
	if d.m.HTML != "" {
		if r := fromHTML(d.m.HTML).trim(); r.text != "" {
			return r
		}
	}
	return rich{text: clean(d.m.Text, 1<<20)}.trim()
}

func (d *delivery) send(ctx context.Context) error {
	text := d.body()
	groups := albums(d.m.Files)
	var parts []rich
	// The text becomes the caption of the first file when it fits; otherwise it goes ahead of the files.
	caption := rich{}
	if len(groups) > 0 && units(text.text) <= maxCaption && groups[0].captions() {
		caption = text
	} else if text.text != "" || len(groups) == 0 {
		parts = text.split(maxMessage)
	}
	d.total = len(parts) + len(d.m.Files)
	for _, part := range parts {
		if err := d.sendText(ctx, part); err != nil {
			return err
		}
	}
	for i, g := range groups {
		c := rich{}
		if i == 0 {
			c = caption
		}
		if err := d.sendFiles(ctx, g, c); err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) sendText(ctx context.Context, r rich) error {
	return d.formatted(r, "text", func(p params) error {
		var s sentMessage
		if err := d.attempt(ctx, func() error {
			for k, v := range d.first(d.target()) {
				p[k] = v
			}
			return d.a.api.call(ctx, "sendMessage", p, &s)
		}); err != nil {
			return err
		}
		d.sent(s)
		return nil
	})
}

// formatted runs call with the text in field, once more without formatting when Telegram does not accept it.
func (d *delivery) formatted(r rich, field string, call func(p params) error) error {
	p := params{}
	if r.text != "" {
		p[field] = r.text
	}
	if h := r.html(); h != "" {
		p[field], p["parse_mode"] = h, "HTML"
		err := call(p)
		if !refused(err, "can't parse entities", "can't parse") {
			return err
		}
		d.note(noFormatting)
		p = params{field: r.text}
	}
	return call(p)
}

// attempt runs a call that is one part of a message. It follows a group to its new number, and, once a part of the
// message has arrived, waits for limits and short outages by itself: the outbox could only start all over.
func (d *delivery) attempt(ctx context.Context, call func() error) error {
	waited := time.Duration(0)
	for wait := time.Second; ; wait *= 2 {
		err := call()
		var ae *apiError
		if errors.As(err, &ae) && ae.MigrateTo != 0 && d.chat != strconv.FormatInt(ae.MigrateTo, 10) {
			d.chat = strconv.FormatInt(ae.MigrateTo, 10)
			d.note("The group has a new number.")
			continue
		}
		if err == nil || len(d.result.ProviderIDs) == 0 {
			return err
		}
		se := d.a.outcome(err)
		w := max(wait, se.RetryAfter)
		if se.Kind != channels.Temporary || waited+w > maxWait || !sleep(ctx, w) {
			return err
		}
		waited += w
	}
}

func (d *delivery) edit(ctx context.Context) error {
	p, err := d.message()
	if err != nil {
		return err
	}
	text := d.body()
	if text.text == "" {
		return &channels.SendError{Kind: channels.Permanent, Reason: "An edited message needs a text."}
	}
	call := func(method, field string, limit int) error {
		if units(text.text) > limit {
			return &channels.SendError{Kind: channels.Permanent, Reason: fmt.Sprintf("The text is too long: an edited message may have %d characters.", limit)}
		}
		return d.formatted(text, field, func(fp params) error {
			for k, v := range p {
				fp[k] = v
			}
			return d.a.api.call(ctx, method, fp, nil)
		})
	}
	err = call("editMessageText", "text", maxMessage)
	if refused(err, "there is no text in the message to edit") {
		err = call("editMessageCaption", "caption", maxCaption)
	}
	if refused(err, "message is not modified") {
		return nil // it already reads so
	}
	return err
}

func (d *delivery) remove(ctx context.Context) error {
	p, err := d.message()
	if err != nil {
		return err
	}
	method := "deleteMessage"
	if d.ref.Business != "" {
		method = "deleteBusinessMessages"
		p["message_ids"] = []any{p["message_id"]}
		delete(p, "message_id")
		delete(p, "chat_id")
	}
	err = d.a.api.call(ctx, method, p, nil)
	if refused(err, "message to delete not found", "message identifier is not specified") {
		return nil // gone already
	}
	return err
}

func (d *delivery) react(ctx context.Context) error {
	p, err := d.message()
	if err != nil {
		return err
	}
	delete(p, "business_connection_id") // the method knows none
	list := []params{}
	if d.m.Emoji != "" {
		list = append(list, params{"type": "emoji", "emoji": strings.ReplaceAll(d.m.Emoji, "\ufe0f", "")})
	}
	p["reaction"] = list
	return d.a.api.call(ctx, "setMessageReaction", p, nil)
}

// message points at the message that an edit, a deletion or a reaction is about.
func (d *delivery) message() (params, error) {
	chat, id, ok := parseProviderID(d.m.TargetID)
	if !ok {
		return nil, &channels.SendError{Kind: channels.Permanent, Reason: "Telegram does not know this message."}
	}
	p := params{"chat_id": chat, "message_id": id}
	if d.ref.Business != "" {
		p["business_connection_id"] = d.ref.Business
	}
	return p, nil
}

// Typing shows "typing" to the customer for some five seconds.
func (a *Adapter) Typing(ctx context.Context, chat string, chatData json.RawMessage) error {
	d, err := a.newDelivery(channels.Outbound{Chat: chat, ChatData: chatData})
	if err != nil {
		return err
	}
	p := d.target()
	delete(p, "direct_messages_topic_id")
	p["action"] = "typing"
	return a.api.callFor(ctx, 5*time.Second, "sendChatAction", p, nil)
}

// MarkRead marks a message of a business account's chat as read. A bot's own chats have no such mark.
func (a *Adapter) MarkRead(ctx context.Context, chat string, chatData json.RawMessage, providerID string) error {
	d, err := a.newDelivery(channels.Outbound{Chat: chat, ChatData: chatData, TargetID: providerID})
	if err != nil || d.ref.Business == "" {
		return err
	}
	p, err := d.message()
	if err != nil {
		return err
	}
	return a.api.callFor(ctx, 10*time.Second, "readBusinessMessage", p, nil)
}
