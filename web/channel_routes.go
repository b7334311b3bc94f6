package web

import (
	"time"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/staff"
)

// channelRoutes is the part of the table that belongs to channels and to what is sent through them.
func (s *Server) channelRoutes() []route {
	return []route{
		get("/api/channels", signedIn, op(s.channelList)),
		post("/api/channels", may(staff.ManageChannels), op(s.channelCreate), status(201)),
		post("/api/channels/test", may(staff.ManageChannels), op(s.channelTest)),
		get("/api/channels/{id}", signedIn, op(s.channelShow)),
		patch("/api/channels/{id}", may(staff.ManageChannels), op(s.channelUpdate)),
		del("/api/channels/{id}", may(staff.ManageChannels), op(s.channelDelete)),
		get("/api/channels/{id}/quarantine", may(staff.ManageChannels), op(s.quarantineList)),
		post("/api/channels/{id}/quarantine/{quarantine}/retry", may(staff.ManageChannels), op(s.quarantineRetry)),
		del("/api/sample-data", may(staff.ManageData), op(s.sampleRemove)),

		get("/api/channels/email/settings", may(staff.ManageChannels), op(s.mailSettings), within(30*time.Second)),

		post("/api/conversations", may(staff.Reply), op(s.conversationStart), status(201)),
		post("/api/conversations/{id}/messages", may(staff.Reply), op(s.messagePost), status(202)),
		patch("/api/conversations/{id}/messages/{message}", may(staff.Reply), op(s.messageEdit)),
		del("/api/conversations/{id}/messages/{message}", may(staff.Reply), op(s.messageDelete)),
		post("/api/conversations/{id}/messages/{message}/cancel", may(staff.Reply), op(s.messageCancel)),
		post("/api/conversations/{id}/messages/{message}/retry", may(staff.Reply), op(s.messageRetry)),
		post("/api/conversations/{id}/messages/{message}/resolve", may(staff.Reply), op(s.messageResolve)),
		put("/api/conversations/{id}/messages/{message}/reaction", may(staff.Reply), op(s.messageReact)),
		get("/api/outbox", signedIn, op(s.outboxList)),
		get("/api/routing/dry-run", signedIn, op(s.routingDryRun)),

		post("/api/uploads", may(staff.Reply), raw(s.upload), body(inbox.MaxUpload+uploadOverhead), within(5*time.Minute)),
		get("/api/attachments/{id}", signedIn, raw(s.attachment), within(10*time.Minute)),
		get("/api/attachments/{id}/preview", signedIn, raw(s.attachment)),
	}
}
