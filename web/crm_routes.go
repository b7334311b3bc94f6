package web

import "github.com/parley-hub/parley/staff"

// crmRoutes is the part of the table that belongs to crm.
func (s *Server) crmRoutes() []route {
	return []route{
		get("/api/contacts", signedIn, op(s.contactList)),
		post("/api/contacts", may(staff.EditContacts), op(s.contactCreate), status(201)),
		get("/api/contacts/{id}", signedIn, op(s.contactShow)),
		patch("/api/contacts/{id}", may(staff.EditContacts), op(s.contactUpdate)),
		del("/api/contacts/{id}", may(staff.ManageData), op(s.contactErase)),
		put("/api/contacts/{id}/hold", may(staff.ManageData), op(s.contactHold)),
		post("/api/contacts/{id}/export", may(staff.ManageData), op(s.contactExport), status(202)),
		get("/api/contact-exports", may(staff.ManageData), op(s.exportList)),
		get("/api/contact-exports/{id}/file", may(staff.ManageData), raw(s.exportFile), within(0)),
		get("/api/channels/{id}/retention", may(staff.ManageData), op(s.retentionShow)),
		put("/api/channels/{id}/retention", may(staff.ManageData), op(s.retentionUpdate)),
		post("/api/contacts/{id}/merge", may(staff.MergeContacts), op(s.contactMerge), paced(60)),
		post("/api/merges/{id}/undo", may(staff.MergeContacts), op(s.mergeUndo)),
		get("/api/leads", signedIn, op(s.leadList)),
		post("/api/leads", may(staff.EditContacts), op(s.leadCreate), status(201)),
		patch("/api/leads/{id}", may(staff.EditContacts), op(s.leadUpdate)),
		get("/api/lead-totals", signedIn, op(s.leadTotals)),
		get("/api/pipelines", signedIn, op(s.pipelineList)),
		post("/api/pipelines", may(staff.ManageSettings), op(s.pipelineCreate), status(201)),
		patch("/api/pipelines/{id}", may(staff.ManageSettings), op(s.pipelineUpdate)),
	}
}
