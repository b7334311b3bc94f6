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

		get("/api/bulk", signedIn, op(s.bulkList)),
		post("/api/bulk", may(staff.Reply), op(s.bulkStart), status(202)),
		get("/api/bulk/{id}/failures", signedIn, op(s.bulkFailures)),
		post("/api/bulk/{id}/undo", may(staff.Reply), op(s.bulkUndo), status(202)),

		get("/api/notifications", signedIn, op(s.notificationList)),
		get("/api/notifications/unread", signedIn, op(s.notificationUnread)),
		post("/api/notifications/read", sessionOnly, op(s.notificationRead), status(204)), // one's own only
		get("/api/me/notifications", sessionOnly, op(s.notifySettings)),
		put("/api/me/notifications", sessionOnly, op(s.notifySettingsPut)),
		get("/api/push/key", sessionOnly, op(s.pushKey)),
		post("/api/push/subscriptions", sessionOnly, op(s.pushSubscribe), status(201)),
		del("/api/push/subscriptions/{id}", sessionOnly, op(s.pushUnsubscribe)),
	}
}
