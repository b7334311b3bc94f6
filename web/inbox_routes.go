package web

import "github.com/parley-hub/parley/staff"

// inboxRoutes is the part of the table that belongs to inbox; what is sent through channels is channelRoutes.
func (s *Server) inboxRoutes() []route {
	return []route{
		get("/api/conversations", signedIn, op(s.conversationList)),
		get("/api/conversations/{id}", signedIn, op(s.conversationShow)),
		patch("/api/conversations/{id}", may(staff.Reply), op(s.conversationUpdate)),
		get("/api/conversations/{id}/timeline", signedIn, op(s.conversationTimeline)),
		post("/api/conversations/{id}/read", signedIn, op(s.conversationRead), status(204)), // one's own marker only
		get("/api/conversations/{id}/messages/{message}", signedIn, op(s.messageShow)),
		get("/api/conversations/{id}/messages/{message}/revisions", signedIn, op(s.messageRevisions)),
		get("/api/conversations/{id}/messages/{message}/raw", signedIn, raw(s.messageRaw)),
		get("/api/conversations/{id}/messages/{message}/body", signedIn, raw(s.messageBody)),
		get("/api/images", public, raw(s.pictureShow)), // the token in the address is the right to see it
		get("/api/contacts/{id}/timeline", signedIn, op(s.contactTimeline)),
		get("/api/search", signedIn, op(s.search)),
		get("/api/counts", signedIn, op(s.counts)),
		get("/api/tags", signedIn, op(s.tagList)),
		get("/api/health", signedIn, op(s.health)),
	}
}
