package web

import "github.com/parley-hub/parley/staff"

// deskRoutes is the part of the table that belongs to what an agent uses all day.
func (s *Server) deskRoutes() []route {
	return []route{
		get("/api/drafts", signedIn, op(s.draftList)),
		get("/api/conversations/{id}/draft", signedIn, op(s.draftShow)),
		put("/api/conversations/{id}/draft", may(staff.Reply), op(s.draftSave)),
		get("/api/conversations/{id}/mentionable", signedIn, op(s.mentionableList)),

		get("/api/canned", signedIn, op(s.cannedList)),
		post("/api/canned", may(staff.Reply), op(s.cannedCreate), status(201)),
		patch("/api/canned/{id}", may(staff.Reply), op(s.cannedUpdate)),
		del("/api/canned/{id}", may(staff.Reply), op(s.cannedDelete)),
		post("/api/canned/{id}/use", may(staff.Reply), op(s.cannedUse)),

		get("/api/views", signedIn, op(s.viewList)),
		post("/api/views", sessionOnly, op(s.viewCreate), status(201)),
		patch("/api/views/{id}", sessionOnly, op(s.viewUpdate)),
		del("/api/views/{id}", sessionOnly, op(s.viewDelete)),
	}
}
