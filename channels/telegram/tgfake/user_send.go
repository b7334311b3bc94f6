package tgfake

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// Send sends a text.
func (u *User) Send(text string) int { return u.Post("text", textFields(text)) }

// Start opens the bot by a deep link; payload may be "".
func (u *User) Start(payload string) int { return u.Send(strings.TrimSpace("/start " + payload)) }

// SendHTML sends a formatted text, given as Telegram's HTML.
func (u *User) SendHTML(html string) int {
	text, entities, err := parseHTML(html)
	if err != nil {
		panic(err)
	}
	return u.Post("text", object{"text": text, "entities": entities})
}

// Reply answers a message.
func (u *User) Reply(to int, text string) int {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	fields := textFields(text)
	if m := u.b.privateChat(u).messages[to]; m != nil {
		fields["reply_to_message"] = quoted(m)
	}
	return u.post("text", fields)
}

// textFields marks commands and addresses as Telegram does by itself.
func textFields(text string) object {
	fields := object{"text": text}
	var entities []object
	mark := func(kind string, re *regexp.Regexp) {
		for _, at := range re.FindAllStringIndex(text, -1) {
			entities = append(entities, object{"type": kind, "offset": units(text[:at[0]]), "length": units(text[at[0]:at[1]])})
		}
	}
	mark("bot_command", regexp.MustCompile(`^/[a-z0-9_]+(@[A-Za-z0-9_]+)?`))
	mark("url", regexp.MustCompile(`https?://[^\s]+`))
	if entities != nil {
		fields["entities"] = entities
	}
	return fields
}

// Content is what a file of a customer is made of: Data, or Size bytes of Pattern.
type Content struct {
	Data          []byte
	Size          int64
	Name, Type    string
	Width, Height int
	Duration      int // seconds
}

func (s *Server) newFile(c Content, extra object) *file {
	f := &file{name: c.Name, mime: c.Type, width: c.Width, height: c.Height, duration: c.Duration, extra: extra}
	if c.Data != nil {
		sum := sha256.Sum256(c.Data)
		f.data, f.size, f.sha256 = c.Data, int64(len(c.Data)), hex.EncodeToString(sum[:])
	} else {
		f.pattern, f.size = true, c.Size
	}
	return s.keep(f)
}

// SendFile sends a file of a kind: photo, voice, audio, video, video_note, animation, document, sticker.
func (u *User) SendFile(kind string, c Content, caption string) int {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	return u.sendFile(kind, c, caption, nil, nil)
}

func (u *User) sendFile(kind string, c Content, caption string, extra, fields object) int {
	f := u.b.s.newFile(c, extra)
	if fields == nil {
		fields = object{}
	}
	fields[kind] = f.describe(kind)
	if kind == "animation" {
		fields["document"] = f.describe("document")
	}
	if caption != "" {
		fields["caption"] = caption
	}
	id := u.post(kind, fields)
	u.b.privateChat(u).messages[id].files = []File{f.view(kind)}
	return id
}

// SendPhoto sends a JPEG.
func (u *User) SendPhoto(data []byte, caption string) int {
	return u.SendFile("photo", Content{Data: data, Type: "image/jpeg", Width: 1280, Height: 960}, caption)
}

// SendVoice sends an Ogg/Opus voice message.
func (u *User) SendVoice(data []byte, seconds int) int {
	return u.SendFile("voice", Content{Data: data, Type: "audio/ogg", Duration: seconds}, "")
}

// SendDocument sends a file under its name.
func (u *User) SendDocument(name, mime string, data []byte, caption string) int {
	return u.SendFile("document", Content{Data: data, Name: name, Type: mime}, caption)
}

// SendAlbum sends pictures that belong together; the first carries the caption.
func (u *User) SendAlbum(caption string, photos ...[]byte) []int {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	album := u.b.s.opaque("")
	var ids []int
	for i, p := range photos {
		c := ""
		if i == 0 {
			c = caption
		}
		ids = append(ids, u.sendFile("photo", Content{Data: p, Type: "image/jpeg", Width: 1280, Height: 960}, c, nil, object{"media_group_id": album}))
	}
	return ids
}

// SendLocation sends a place.
func (u *User) SendLocation(lat, lon float64) int {
	return u.Post("location", object{"location": object{"latitude": lat, "longitude": lon}})
}

// SendVenue sends a place with a name.
func (u *User) SendVenue(lat, lon float64, title, address string) int {
	place := object{"latitude": lat, "longitude": lon}
	return u.Post("venue", object{"location": place, "venue": object{"location": place, "title": title, "address": address}})
}

// SendOwnContact shares u's own number, as the contact button does.
func (u *User) SendOwnContact() int {
	c := object{"phone_number": u.Phone, "first_name": u.First, "user_id": u.ID}
	if u.Last != "" {
		c["last_name"] = u.Last
	}
	return u.Post("contact", object{"contact": c})
}

// SendContact sends somebody else's card; userID 0 = not on Telegram.
func (u *User) SendContact(name, phone string, userID int64) int {
	c := object{"phone_number": phone, "first_name": name}
	if userID != 0 {
		c["user_id"] = userID
	}
	return u.Post("contact", object{"contact": c})
}

// SendPoll sends a poll.
func (u *User) SendPoll(question string, options ...string) int {
	var list []object
	for _, o := range options {
		list = append(list, object{"text": o, "voter_count": 0})
	}
	return u.Post("poll", object{"poll": object{
		"id": "5195264862331896", "question": question, "options": list, "total_voter_count": 0, "is_closed": false, "is_anonymous": true,
		"type": "regular", "allows_multiple_answers": false,
	}})
}

// SendSticker sends a sticker: format static, animated (.tgs) or video (.webm).
func (u *User) SendSticker(emoji, format string, data []byte) int {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	extra := object{"type": "regular", "is_animated": format == "animated", "is_video": format == "video", "emoji": emoji, "set_name": "ParleyPack"}
	return u.sendFile("sticker", Content{Data: data, Width: 512, Height: 512}, "", extra, nil)
}

// Edit changes the text or caption of u's message.
func (u *User) Edit(id int, text string) {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	m := u.b.privateChat(u).messages[id]
	if m == nil {
		return
	}
	field := "caption"
	if m.kind == "text" {
		field = "text"
	}
	m.object[field], m.object["edit_date"] = text, u.b.s.Now().Unix()
	delete(m.object, "entities")
	delete(m.object, "caption_entities")
	m.edited = true
	u.b.push("edited_message", m.object)
}

// React replaces u's reactions on a message; none takes them away. "custom:<id>" is a custom emoji.
func (u *User) React(id int, emojis ...string) {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	list := make([]object, 0, len(emojis))
	for _, e := range emojis {
		if custom, ok := strings.CutPrefix(e, "custom:"); ok {
			list = append(list, object{"type": "custom_emoji", "custom_emoji_id": custom})
			continue
		}
		list = append(list, object{"type": "emoji", "emoji": e})
	}
	c := u.b.privateChat(u)
	u.b.push("message_reaction", object{
		"chat": c.object, "message_id": id, "user": u.object(), "date": u.b.s.Now().Unix(), "old_reaction": []object{}, "new_reaction": list,
	})
}

// Press presses a button under a message of the bot.
func (u *User) Press(id int, data string) string {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	query := u.b.s.opaque("")
	q := object{"id": query, "from": u.object(), "chat_instance": "-4052315364", "data": data}
	if m := u.b.privateChat(u).messages[id]; m != nil {
		q["message"] = m.object
	}
	u.b.push("callback_query", q)
	return query
}
