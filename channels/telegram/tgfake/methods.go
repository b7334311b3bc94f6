package tgfake

import (
	"net/http"
	"time"
)

// call is one call of a method.
type call struct {
	s *Server
	b *Bot
	r *http.Request
	p *params
	// after runs once s.mu is free again.
	after []func()
}

// method runs with s.mu held.
type method func(c *call) (any, *apiError)

func methodNamed(name string) method {
	switch name {
	case "getme":
		return func(c *call) (any, *apiError) {
			o := c.b.object()
			o["can_join_groups"], o["can_read_all_group_messages"], o["supports_inline_queries"], o["can_connect_to_business"] = true, false, false, true
			return o, nil
		}
	case "setwebhook":
		return setWebhook
	case "deletewebhook":
		return deleteWebhook
	case "getwebhookinfo":
		return getWebhookInfo
	case "sendmessage":
		return sendMessage
	case "sendphoto", "sendvoice", "sendaudio", "sendvideo", "senddocument", "sendanimation", "sendsticker", "sendvideonote":
		return func(c *call) (any, *apiError) { return sendFile(c, name[len("send"):]) }
	case "sendmediagroup":
		return sendMediaGroup
	case "editmessagetext":
		return editMessageText
	case "editmessagecaption":
		return editMessageCaption
	case "deletemessage":
		return deleteMessage
	case "deletebusinessmessages":
		return deleteBusinessMessages
	case "setmessagereaction":
		return setMessageReaction
	case "sendchataction":
		return sendChatAction
	case "readbusinessmessage":
		return readBusinessMessage
	case "getbusinessconnection":
		return getBusinessConnection
	case "answercallbackquery":
		return answerCallbackQuery
	case "getfile":
		return getFile
	}
	return nil
}

func (s *Server) serveMethod(w http.ResponseWriter, r *http.Request, token, name string) {
	s.mu.Lock()
	b := s.bots[token]
	s.calls[name]++
	var f *Fault
	if b != nil && !b.revoked {
		f = s.fault(name)
	}
	unauthorized := b == nil || b.revoked
	s.mu.Unlock()
	if unauthorized {
		writeError(w, &apiError{code: 401, description: "Unauthorized"})
		return
	}
	p, err := s.readParams(r)
	if err != nil {
		if r.Context().Err() != nil {
			cut()
		}
		writeError(w, bad("can't parse request"))
		return
	}
	for _, upload := range p.files {
		if upload.size > maxUpload {
			writeError(w, &apiError{code: 413, description: "Request Entity Too Large"})
			return
		}
	}
	if f != nil && !s.before(w, r, f) {
		return
	}
	c := &call{s: s, b: b, r: r, p: p}
	var result any
	var refusal *apiError
	if name == "getupdates" {
		result, refusal = c.getUpdates()
	} else {
		result, refusal = c.run(name)
	}
	switch {
	case f != nil && f.Kind == CutAfter:
		cut()
	case f != nil && f.Kind == Garbage:
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("<html>what is this</html>"))
	case refusal != nil:
		writeError(w, refusal)
	default:
		writeJSON(w, http.StatusOK, object{"ok": true, "result": result})
	}
}

func (c *call) run(name string) (any, *apiError) {
	m := methodNamed(name)
	if m == nil {
		return nil, &apiError{code: 404, description: "Not Found"}
	}
	c.s.mu.Lock()
	result, refusal := m(c)
	if refusal == nil {
		result = frozen(result) // it is encoded after the lock is gone
	}
	c.s.mu.Unlock()
	for _, f := range c.after {
		f()
	}
	return result, refusal
}

// before does what a fault does in place of the call; false when the call has been answered.
func (s *Server) before(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	switch f.Kind {
	case RateLimit:
		writeError(w, &apiError{code: 429, description: tooMany(f.RetryAfter), retryAfter: f.RetryAfter})
		return false
	case ServerError:
		writeError(w, &apiError{code: 500, description: "Internal Server Error"})
		return false
	case BadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html><head><title>502 Bad Gateway</title></head></html>"))
		return false
	case Refuse:
		writeError(w, &apiError{code: f.Code, description: f.Description})
		return false
	case CutBefore:
		cut()
	case Delay:
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			cut()
		case <-s.ctx.Done():
			cut()
		}
	case CutAfter, Garbage:
	}
	return true
}
