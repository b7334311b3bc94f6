package tgfake

import (
	"strconv"
	"strings"
)

// destination finds the chat of a call.
func (c *call) destination() (*chat, *apiError) {
	raw := strings.TrimSpace(c.p.str("chat_id"))
	if raw == "" {
		return nil, bad("chat_id is empty")
	}
	id, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return nil, bad("chat not found")
	}
	if bc := c.p.str("business_connection_id"); bc != "" {
		biz := c.b.business[bc]
		if biz == nil || !biz.enabled {
			return nil, bad("business connection not found")
		}
		if ch := c.b.chats[chatKey{business: bc, id: id}]; ch != nil {
			return ch, nil
		}
		return nil, bad("BUSINESS_PEER_INVALID")
	}
	if g := c.s.groups[id]; g != nil && g.bot == c.b {
		if g.upgraded != 0 {
			return nil, &apiError{code: 400, description: "Bad Request: group chat was upgraded to a supergroup chat", migrateTo: g.upgraded}
		}
		if !g.in {
			what := "group"
			if g.super {
				what = "supergroup"
			}
			return nil, &apiError{code: 403, description: "Forbidden: bot was kicked from the " + what + " chat"}
		}
		return g.chat, nil
	}
	ch := c.b.chats[chatKey{id: id}]
	if ch == nil {
		if c.s.users[id] != nil {
			return nil, &apiError{code: 403, description: "Forbidden: bot can't initiate conversation with a user"}
		}
		return nil, bad("chat not found")
	}
	if ch.user != nil && ch.user.deactivated {
		return nil, &apiError{code: 403, description: "Forbidden: user is deactivated"}
	}
	if ch.blocked {
		return nil, &apiError{code: 403, description: "Forbidden: bot was blocked by the user"}
	}
	return ch, nil
}

// post stores a message of the bot.
func (c *call) post(ch *chat, kind string, fields object) (*message, *apiError) {
	if err := c.quote(ch, fields); err != nil {
		return nil, err
	}
	if k := c.p.str("reply_markup"); k != "" {
		var markup object
		if !c.p.json("reply_markup", &markup) {
			return nil, bad("object expected as reply markup")
		}
		fields["reply_markup"] = markup
	}
	fields["from"] = c.b.object()
	if ch.key.business != "" {
		fields["business_connection_id"] = ch.key.business
		fields["from"] = c.b.business[ch.key.business].owner.object()
		fields["sender_business_bot"] = c.b.object()
	}
	return c.b.add(ch, kind, true, fields), nil
}

func (c *call) quote(ch *chat, fields object) *apiError {
	var r struct {
		ID     int  `json:"message_id"`
		Anyway bool `json:"allow_sending_without_reply"`
	}
	if !c.p.json("reply_parameters", &r) {
		r.ID = int(c.p.int("reply_to_message_id"))
	}
	if r.ID == 0 {
		return nil
	}
	m := ch.messages[r.ID]
	if m == nil || m.deleted {
		if r.Anyway {
			return nil
		}
		return bad("message to be replied not found")
	}
	fields["reply_to_message"] = quoted(m)
	return nil
}

// quoted is a message inside another: without what it answers itself.
func quoted(m *message) object {
	o := object{}
	for k, v := range m.object {
		if k != "reply_to_message" {
			o[k] = v
		}
	}
	return o
}

// announce tells the simulated customer, outside the lock.
func (c *call) announce(ch *chat, m *message) {
	if ch.user == nil {
		return
	}
	u := ch.user
	listeners := append(append([]func(*User, Message){}, c.s.onMessage...), u.onMessage...)
	if len(listeners) == 0 {
		return
	}
	view := ch.view(m)
	c.after = append(c.after, func() {
		for _, f := range listeners {
			c.s.wg.Go(func() { f(u, view) })
		}
	})
}

func sendMessage(c *call) (any, *apiError) {
	ch, err := c.destination()
	if err != nil {
		return nil, err
	}
	text, entities, err := c.p.formatted("text", "entities")
	switch {
	case err != nil:
		return nil, err
	case text == "":
		return nil, bad("message text is empty")
	case units(text) > 4096:
		return nil, bad("message is too long")
	}
	fields := object{"text": text}
	if len(entities) > 0 {
		fields["entities"] = entities
	}
	m, err := c.post(ch, "text", fields)
	if err != nil {
		return nil, err
	}
	c.announce(ch, m)
	return m.object, nil
}

// sendFile is sendPhoto, sendVoice and so on; kind is what follows "send".
func sendFile(c *call, kind string) (any, *apiError) {
	ch, err := c.destination()
	if err != nil {
		return nil, err
	}
	param := kind
	if kind == "videonote" {
		param = "video_note"
	}
	f, err := c.input(param, c.p.str(param))
	if err != nil {
		return nil, err
	}
	fields := object{}
	if err := c.caption(fields, func(name string) string { return c.p.str(name) }); err != nil {
		return nil, err
	}
	fields[param] = f.describe(param)
	if param == "animation" {
		fields["document"] = f.describe("document")
	}
	m, err := c.post(ch, param, fields)
	if err != nil {
		return nil, err
	}
	m.files = []File{f.view(param)}
	c.announce(ch, m)
	return m.object, nil
}

func (c *call) caption(fields object, value func(string) string) *apiError {
	p := &params{values: map[string]string{"caption": value("caption"), "parse_mode": value("parse_mode"), "caption_entities": value("caption_entities")}}
	text, entities, err := p.formatted("caption", "caption_entities")
	if err != nil {
		return err
	}
	if units(text) > 1024 {
		return bad("message caption is too long")
	}
	if text != "" {
		fields["caption"] = text
	}
	if len(entities) > 0 {
		fields["caption_entities"] = entities
	}
	return nil
}

// input finds the file of a parameter: uploaded under its name, attach://<name>, or a file_id.
func (c *call) input(kind, value string) (*file, *apiError) {
	name := kind
	if n, ok := strings.CutPrefix(value, "attach://"); ok {
		name, value = n, ""
	}
	if value != "" {
		if f := c.s.files[value]; f != nil {
			return f, nil
		}
		return nil, bad("wrong file identifier/HTTP URL specified")
	}
	f := c.p.files[name]
	if f == nil {
		return nil, bad("there is no " + strings.ReplaceAll(kind, "_", " ") + " in the request")
	}
	if f.size == 0 {
		return nil, bad("file must be non-empty")
	}
	if kind == "photo" && f.size > 10<<20 {
		return nil, bad("file is too big")
	}
	return c.s.keep(f), nil
}

func sendMediaGroup(c *call) (any, *apiError) {
	ch, err := c.destination()
	if err != nil {
		return nil, err
	}
	var media []map[string]any
	if !c.p.json("media", &media) {
		return nil, bad("can't parse media JSON object")
	}
	if len(media) < 2 || len(media) > 10 {
		return nil, bad("there must be from 2 to 10 media in an album")
	}
	album := c.s.opaque("")
	fields, files := make([]object, len(media)), make([]*file, len(media))
	family := ""
	for i, m := range media {
		kind, _ := m["type"].(string)
		f := kind
		if kind == "video" {
			f = "photo"
		}
		if (f != "photo" && f != "audio" && f != "document") || family != "" && family != f {
			return nil, bad("media of these kinds can't be mixed in an album")
		}
		family = f
		ref, _ := m["media"].(string)
		if files[i], err = c.input(kind, ref); err != nil {
			return nil, err
		}
		fields[i] = object{"media_group_id": album, kind: files[i].describe(kind)}
		text := func(name string) string {
			s, _ := m[name].(string)
			return s
		}
		if err := c.caption(fields[i], text); err != nil {
			return nil, err
		}
	}
	out := make([]object, len(media))
	for i, m := range media {
		kind, _ := m["type"].(string)
		posted, err := c.post(ch, kind, fields[i])
		if err != nil {
			return nil, err
		}
		posted.files = []File{files[i].view(kind)}
		out[i] = posted.object
		c.announce(ch, posted)
	}
	return out, nil
}

func sendChatAction(c *call) (any, *apiError) {
	ch, err := c.destination()
	if err != nil {
		return nil, err
	}
	action := c.p.str("action")
	if action == "" {
		return nil, bad("wrong parameter action in request")
	}
	c.b.actions = append(c.b.actions, strconv.FormatInt(ch.key.id, 10)+" "+action)
	return true, nil
}

func answerCallbackQuery(c *call) (any, *apiError) {
	id := c.p.str("callback_query_id")
	if id == "" {
		return nil, bad("query is too old and response timeout expired or query ID is invalid")
	}
	c.b.answered = append(c.b.answered, id)
	return true, nil
}
