package tgfake

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// file is a file that the server keeps. data is nil for one that is only a pattern or too large to be kept.
type file struct {
	id, unique, path string
	name, mime       string
	size             int64
	sha256           string
	data             []byte
	pattern          bool
	gone             bool
	width, height    int
	duration         int
	extra            object
}

// File is a file of a message.
type File struct {
	Kind   string `json:"kind"`
	ID     string `json:"file_id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Data is nil for a file above 4 MiB, of which only size and hash are kept.
	Data []byte `json:"-"`
}

// keep gives a file its ids; it needs s.mu.
func (s *Server) keep(f *file) *file {
	f.id, f.unique = s.opaque("BQACAgIAAxkBAAI"), s.opaque("AgAD")
	f.path = "documents/file_" + strconv.FormatInt(s.newID()%100000, 10)
	if i := strings.LastIndexByte(f.name, '.'); i >= 0 {
		f.path += f.name[i:]
	}
	s.files[f.id] = f
	return f
}

// describe is the file as a field of a message.
func (f *file) describe(kind string) any {
	o := object{"file_id": f.id, "file_unique_id": f.unique, "file_size": f.size}
	for k, v := range f.extra {
		o[k] = v
	}
	width, height := max(f.width, 1), max(f.height, 1)
	switch kind {
	case "photo":
		small := object{"file_id": f.id + "s", "file_unique_id": f.unique + "s", "file_size": f.size/10 + 1, "width": max(width/4, 1), "height": max(height/4, 1)}
		o["width"], o["height"] = width, height
		return []object{small, o}
	case "video", "animation":
		o["width"], o["height"], o["duration"], o["mime_type"] = width, height, f.duration, f.mime
		if f.name != "" {
			o["file_name"] = f.name
		}
	case "video_note":
		o["length"], o["duration"] = width, f.duration
	case "voice":
		o["duration"], o["mime_type"] = f.duration, f.mime
	case "audio", "document":
		o["mime_type"] = f.mime
		if f.name != "" {
			o["file_name"] = f.name
		}
		if kind == "audio" {
			o["duration"] = f.duration
		}
	case "sticker":
		o["width"], o["height"] = max(f.width, 512), max(f.height, 512)
		if f.extra == nil {
			o["type"], o["is_animated"], o["is_video"] = "regular", false, false
		}
	}
	return o
}

func (f *file) view(kind string) File {
	return File{Kind: kind, ID: f.id, Name: f.name, Type: f.mime, Size: f.size, SHA256: f.sha256, Data: f.data}
}

func getFile(c *call) (any, *apiError) {
	f := c.s.files[c.p.str("file_id")]
	if f == nil {
		return nil, bad("invalid file_id")
	}
	if f.gone {
		return nil, bad("wrong file_id or the file is temporarily unavailable")
	}
	if f.size > 20<<20 {
		return nil, bad("file is too big")
	}
	return object{"file_id": f.id, "file_unique_id": f.unique, "file_size": f.size, "file_path": f.path}, nil
}

// Forget makes a file unavailable, as Telegram does after a while.
func (s *Server) Forget(fileID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[fileID]; f != nil {
		f.gone = true
	}
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, token, path string) {
	s.mu.Lock()
	b := s.bots[token]
	unauthorized := b == nil || b.revoked
	var found *file
	for _, f := range s.files {
		if f.path == path && !f.gone {
			found = f
		}
	}
	s.calls["download"]++
	var fault *Fault
	if !unauthorized {
		fault = s.fault("download")
	}
	s.mu.Unlock()
	switch {
	case unauthorized:
		writeError(w, &apiError{code: 401, description: "Unauthorized"})
	case fault != nil && !s.before(w, r, fault):
	case found == nil:
		writeError(w, &apiError{code: 404, description: "Not Found"})
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(found.size, 10))
		src := io.Reader(bytes.NewReader(found.data))
		if found.pattern || found.data == nil {
			src = Pattern(found.size)
		}
		if fault != nil && fault.Kind == CutAfter {
			_, _ = io.CopyN(w, src, found.size/2)
			_ = http.NewResponseController(w).Flush() // what was written arrives
			cut()
		}
		_, _ = io.Copy(w, src) // a client that went away
	}
}

// Pattern reads size bytes that are the same each time: what a file made by its size alone contains.
func Pattern(size int64) io.Reader { return &pattern{left: size, x: 88172645463325252} }

type pattern struct {
	left int64
	x    uint64
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.left))
	for i := range n {
		p.x ^= p.x << 13
		p.x ^= p.x >> 7
		p.x ^= p.x << 17
		b[i] = byte(p.x)
	}
	p.left -= int64(n)
	return n, nil
}

// Message is a message as a customer or a test sees it.
type Message struct {
	ID       int             `json:"id"`
	Chat     int64           `json:"chat_id"`
	Business string          `json:"business_connection_id,omitempty"`
	FromBot  bool            `json:"from_bot"`
	Kind     string          `json:"kind"` // text, photo, voice, ...
	Text     string          `json:"text"` // or the caption
	Entities []Entity        `json:"entities,omitempty"`
	ReplyTo  int             `json:"reply_to,omitempty"`
	Album    string          `json:"album,omitempty"`
	Files    []File          `json:"files,omitempty"`
	Edited   bool            `json:"edited"`
	Deleted  bool            `json:"deleted"`
	Reaction []string        `json:"reaction,omitempty"` // the bot's
	Raw      json.RawMessage `json:"raw"`
}

// Entity is a piece of formatting, counted in UTF-16 units.
type Entity struct {
	Type   string `json:"type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	URL    string `json:"url,omitempty"`
}

// view needs s.mu.
func (c *chat) view(m *message) Message {
	raw, err := json.Marshal(m.object)
	if err != nil {
		panic("tgfake: a message that is no JSON: " + err.Error())
	}
	var o struct {
		Text            string   `json:"text"`
		Caption         string   `json:"caption"`
		Entities        []Entity `json:"entities"`
		CaptionEntities []Entity `json:"caption_entities"`
		Album           string   `json:"media_group_id"`
		Reply           struct {
			ID int `json:"message_id"`
		} `json:"reply_to_message"`
	}
	_ = json.Unmarshal(raw, &o) // just made
	return Message{
		ID: m.id, Chat: c.key.id, Business: c.key.business, FromBot: m.byBot, Kind: m.kind, Text: o.Text + o.Caption,
		Entities: append(o.Entities, o.CaptionEntities...), ReplyTo: o.Reply.ID, Album: o.Album, Files: m.files,
		Edited: m.edited, Deleted: m.deleted, Reaction: m.reaction, Raw: raw,
	}
}

// sent are the bot's messages in the chat, deleted ones included; it needs s.mu.
func (c *chat) sent() []Message {
	var out []Message
	for _, id := range c.order {
		if m := c.messages[id]; m.byBot {
			out = append(out, c.view(m))
		}
	}
	return out
}

// ForgetAll makes all files unavailable.
func (s *Server) ForgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		f.gone = true
	}
}
