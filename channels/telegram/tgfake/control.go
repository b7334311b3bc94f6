package tgfake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// The control API does by JSON what the Go methods do. Every answer is JSON; an error is {"error": "..."}.
//
//	POST /control/bots                 {token, username}                       -> {token, id, username}
//	GET  /control/bots                                                         -> [{token, id, username, pending, webhook}]
//	POST /control/users                {name, lang, username, phone, token}    -> {id}
//	GET  /control/users                                                        -> [{id, name, username, token}]
//	GET  /control/users/{id}/sent                                              -> [Message]: what the bot sent to the user
//	POST /control/users/{id}/{action}  Action                                  -> {id} or {ids}
//	     actions: send start html reply photo voice audio video video_note animation document sticker album location venue
//	     contact own_contact poll edit react press block unblock deactivate post
//	POST /control/groups               {title, super}                          -> {id}
//	POST /control/groups/{id}/{action} {user, text}: say joined left rename kick admit upgrade   GET .../sent
//	POST /control/raw                  {token, update}                         -> {id}
//	POST /control/faults               Fault or [Fault];  DELETE clears
//	POST /control/revoke, /control/restore {token}
//	POST /control/flood                {users, messages, text, token}          -> {updates}
//	GET  /control/calls/{method}                                               -> {calls}

// Action is the body of a user's action; each action reads what it needs.
type Action struct {
	Text    string   `json:"text"`
	Payload string   `json:"payload"`
	Caption string   `json:"caption"`
	Data    []byte   `json:"data"` // base64
	Datas   [][]byte `json:"datas"`
	Size    int64    `json:"size"` // instead of data: so many bytes of Pattern
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Seconds int      `json:"seconds"`
	Emoji   string   `json:"emoji"`
	Emojis  []string `json:"emojis"`
	Format  string   `json:"format"`
	Message int      `json:"message_id"`
	Button  string   `json:"button"`
	Lat     float64  `json:"lat"`
	Lon     float64  `json:"lon"`
	Title   string   `json:"title"`
	Address string   `json:"address"`
	Phone   string   `json:"phone"`
	UserID  int64    `json:"user_id"`
	Options []string `json:"options"`
	Kind    string   `json:"kind"`
	Fields  object   `json:"fields"`
}

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/control/"), "/"), "/")
	parts = append(parts, "", "", "")
	body := http.MaxBytesReader(w, r.Body, 64<<20)
	read := func(dst any) bool {
		if err := json.NewDecoder(body).Decode(dst); err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": "the body is not the JSON expected: " + err.Error()})
			return false
		}
		return true
	}
	post := r.Method == http.MethodPost
	switch {
	case parts[0] == "bots" && post:
		var in struct{ Token, Username string }
		if read(&in) && in.Token != "" {
			b := s.NewBot(in.Token, in.Username)
			writeJSON(w, http.StatusOK, object{"token": b.Token, "id": b.ID, "username": b.Username})
		}
	case parts[0] == "bots":
		writeJSON(w, http.StatusOK, s.listBots())
	case parts[0] == "users" && parts[1] == "" && post:
		s.controlNewUser(w, read)
	case parts[0] == "users" && parts[1] == "":
		writeJSON(w, http.StatusOK, s.listUsers())
	case parts[0] == "users":
		s.controlUser(w, post, parts[1], parts[2], read)
	case parts[0] == "groups":
		s.controlGroup(w, post, parts[1], parts[2], read)
	case parts[0] == "raw" && post:
		var in struct {
			Token  string          `json:"token"`
			Update json.RawMessage `json:"update"`
		}
		if read(&in) {
			if b := s.bot(in.Token); b != nil {
				writeJSON(w, http.StatusOK, object{"id": b.Raw(in.Update)})
				return
			}
			notThere(w, "bot")
		}
	case parts[0] == "faults":
		s.controlFaults(w, r.Method, read)
	case (parts[0] == "revoke" || parts[0] == "restore") && post:
		var in struct{ Token string }
		if read(&in) {
			s.setRevoked(in.Token, parts[0] == "revoke")
			writeJSON(w, http.StatusOK, object{"ok": true})
		}
	case parts[0] == "flood" && post:
		var in struct {
			Users, Messages int
			Text, Token     string
		}
		if read(&in) {
			if b := s.bot(in.Token); b != nil {
				writeJSON(w, http.StatusOK, object{"updates": b.Flood(in.Users, in.Messages, in.Text)})
				return
			}
			notThere(w, "bot")
		}
	case parts[0] == "calls":
		writeJSON(w, http.StatusOK, object{"calls": s.Calls(parts[1])})
	default:
		notThere(w, "resource")
	}
}

func notThere(w http.ResponseWriter, what string) {
	writeJSON(w, http.StatusNotFound, object{"error": "no such " + what})
}

// bot finds a bot by token; "" = the first.
func (s *Server) bot(token string) *Bot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == "" {
		return s.first
	}
	return s.bots[token]
}

func (s *Server) listBots() []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []object{}
	for _, b := range s.bots {
		out = append(out, object{"token": b.Token, "id": b.ID, "username": b.Username, "pending": len(b.updates), "webhook": b.hook.url})
	}
	return out
}

func (s *Server) listUsers() []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []object{}
	for _, u := range s.users {
		out = append(out, object{"id": u.ID, "name": strings.TrimSpace(u.First + " " + u.Last), "username": u.Username, "token": u.b.Token})
	}
	return out
}

func (s *Server) controlNewUser(w http.ResponseWriter, read func(any) bool) {
	var in struct{ Name, Lang, Username, Phone, Token string }
	if !read(&in) {
		return
	}
	b := s.bot(in.Token)
	if b == nil {
		notThere(w, "bot")
		return
	}
	u := b.NewUser(in.Name, in.Lang)
	s.mu.Lock()
	u.Username, u.Phone = in.Username, in.Phone
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"id": u.ID})
}

func (s *Server) controlUser(w http.ResponseWriter, post bool, id, action string, read func(any) bool) {
	n, _ := strconv.ParseInt(id, 10, 64)
	s.mu.Lock()
	u := s.users[n]
	s.mu.Unlock()
	if u == nil {
		notThere(w, "user")
		return
	}
	if !post {
		if action != "sent" {
			notThere(w, "resource")
			return
		}
		sent := u.Sent()
		if sent == nil {
			sent = []Message{}
		}
		writeJSON(w, http.StatusOK, sent)
		return
	}
	var a Action
	if !read(&a) {
		return
	}
	ids, ok := u.Do(action, a)
	switch {
	case !ok:
		notThere(w, "action")
	case len(ids) == 1:
		writeJSON(w, http.StatusOK, object{"id": ids[0]})
	default:
		writeJSON(w, http.StatusOK, object{"ids": ids})
	}
}

// Do runs an action by its name; false when there is none of it.
func (u *User) Do(action string, a Action) ([]int, bool) {
	one := func(id int) ([]int, bool) { return []int{id}, true }
	content := Content{Data: a.Data, Size: a.Size, Name: a.Name, Type: a.Type, Duration: a.Seconds, Width: 1280, Height: 960}
	switch action {
	case "send":
		return one(u.Send(a.Text))
	case "start":
		return one(u.Start(a.Payload))
	case "html":
		return one(u.SendHTML(a.Text))
	case "reply":
		return one(u.Reply(a.Message, a.Text))
	case "photo", "voice", "audio", "video", "video_note", "animation", "document":
		return one(u.SendFile(action, content, a.Caption))
	case "sticker":
		return one(u.SendSticker(a.Emoji, a.Format, a.Data))
	case "album":
		return u.SendAlbum(a.Caption, a.Datas...), true
	case "location":
		return one(u.SendLocation(a.Lat, a.Lon))
	case "venue":
		return one(u.SendVenue(a.Lat, a.Lon, a.Title, a.Address))
	case "contact":
		return one(u.SendContact(a.Name, a.Phone, a.UserID))
	case "own_contact":
		return one(u.SendOwnContact())
	case "poll":
		return one(u.SendPoll(a.Text, a.Options...))
	case "post":
		if a.Fields == nil {
			a.Fields = object{}
		}
		return one(u.Post(a.Kind, a.Fields))
	case "edit":
		u.Edit(a.Message, a.Text)
	case "react":
		if a.Emoji != "" {
			a.Emojis = append(a.Emojis, a.Emoji)
		}
		u.React(a.Message, a.Emojis...)
	case "press":
		u.Press(a.Message, a.Button)
	case "block":
		u.Block()
	case "unblock":
		u.Unblock()
	case "deactivate":
		u.Deactivate()
	default:
		return nil, false
	}
	return nil, true
}

func (s *Server) controlGroup(w http.ResponseWriter, post bool, id, action string, read func(any) bool) {
	if id == "" && post {
		var in struct {
			Title string
			Super bool
		}
		if read(&in) {
			writeJSON(w, http.StatusOK, object{"id": s.NewGroup(in.Title, in.Super).ID})
		}
		return
	}
	n, _ := strconv.ParseInt(id, 10, 64)
	s.mu.Lock()
	g := s.groups[n]
	s.mu.Unlock()
	if g == nil {
		notThere(w, "group")
		return
	}
	if !post {
		writeJSON(w, http.StatusOK, append([]Message{}, g.Sent()...))
		return
	}
	var in struct {
		User int64
		Text string
	}
	if !read(&in) {
		return
	}
	s.mu.Lock()
	u := s.users[in.User]
	s.mu.Unlock()
	if u == nil {
		notThere(w, "user")
		return
	}
	out := object{"ok": true}
	switch action {
	case "say":
		out["id"] = g.Say(u, in.Text)
	case "joined":
		out["id"] = g.Joined(u)
	case "left":
		out["id"] = g.Left(u)
	case "rename":
		out["id"] = g.Rename(u, in.Text)
	case "kick":
		g.Kick(u, true)
	case "admit":
		g.Kick(u, false)
	case "upgrade":
		out["id"] = g.Upgrade(u).ID
	default:
		notThere(w, "action")
		return
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) controlFaults(w http.ResponseWriter, method string, read func(any) bool) {
	if method == http.MethodDelete {
		s.ClearFaults()
		writeJSON(w, http.StatusOK, object{"ok": true})
		return
	}
	var raw json.RawMessage
	if !read(&raw) {
		return
	}
	var many []Fault
	if json.Unmarshal(raw, &many) != nil {
		var one Fault
		if err := json.Unmarshal(raw, &one); err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
			return
		}
		many = []Fault{one}
	}
	s.Fail(many...)
	writeJSON(w, http.StatusOK, object{"ok": true})
}

// Flood lets users write messages each, all at once, for benches and limit tests. It returns the number of updates.
func (b *Bot) Flood(users, messages int, text string) int {
	if text == "" {
		text = "Hello"
	}
	people := make([]*User, users)
	for i := range people {
		people[i] = b.NewUser("Customer "+strconv.Itoa(i+1), "en")
	}
	for m := range messages {
		for _, u := range people {
			u.Send(text + " " + strconv.Itoa(m+1))
		}
	}
	return users * messages
}
