package web

import (
	"net/http"
	"time"

	"github.com/parley-hub/parley/staff"
)

// table is every way in. Who may call stands in the middle column; doc.go explains it.
func (s *Server) table() []route {
	return join(s.machineRoutes(), s.staffRoutes(), s.inboxRoutes(), s.deskRoutes(), s.crmRoutes(), s.channelRoutes())
}

func (s *Server) machineRoutes() []route {
	return []route{
		get("/healthz", public, raw(s.healthz)),
		get("/readyz", public, raw(s.readyz)),
		get("/metrics", public, raw(s.serveMetrics)), // checks the caller itself: loopback or a token
		get("/api/openapi.json", public, raw(s.serveOpenAPI)),
		get("/api/live", signedIn, raw(s.live), within(0)),
		post("/api/csp-reports", public, raw(s.cspReport), body(reportLimit)),
		get("/hooks/{kind}/{channel}", public, raw(s.hook), body(hookLimit)),
		post("/hooks/{kind}/{channel}", public, raw(s.hook), body(hookLimit)),
		get("/forms/{key}", public, raw(s.form)),
		post("/forms/{key}", public, raw(s.form)),
		line(http.MethodOptions, "/forms/{key}", public, raw(s.form), nil),
		get("/forms/{key}/form.js", public, raw(s.form)),
	}
}

func (s *Server) staffRoutes() []route {
	return []route{
		get("/api/setup", public, op(s.setupState)),
		post("/api/setup", public, op(s.setup), secretAnswer()),
		get("/api/invitations/accept", public, op(s.invitationShow)),
		post("/api/invitations/accept", public, op(s.invitationAccept), secretAnswer()),

		post("/api/session", public, op(s.login), secretAnswer()),
		del("/api/session", public, op(s.logout)), // a session that is over can be left too
		get("/api/sessions", sessionOnly, op(s.sessionList)),
		del("/api/sessions", sessionOnly, op(s.sessionEndAll)),
		del("/api/sessions/{id}", sessionOnly, op(s.sessionEnd)),

		get("/api/me", signedIn, op(s.me), early()),
		patch("/api/me", sessionOnly, op(s.meUpdate)),
		post("/api/me/password", sessionOnly, op(s.mePassword), early()),
		post("/api/me/proof", sessionOnly, op(s.meProof), early()),
		get("/api/me/totp", sessionOnly, op(s.totpShow), early()),
		post("/api/me/totp", sessionOnly, op(s.totpBegin), early(), secretAnswer()),
		post("/api/me/totp/confirm", sessionOnly, op(s.totpConfirm), early(), secretAnswer()),
		post("/api/me/totp/codes", sessionOnly, op(s.totpCodes), secretAnswer()),
		del("/api/me/totp", sessionOnly, op(s.totpRemove)),
		put("/api/me/status", signedIn, op(s.meStatus)),

		get("/api/agents", signedIn, op(s.agentList)),
		get("/api/agents/{id}", signedIn, op(s.agentShow)),
		patch("/api/agents/{id}", may(staff.ManageAgents), op(s.agentUpdate)),
		get("/api/agents/{id}/security", may(staff.ManageAgents), op(s.agentSecurity)),
		get("/api/agents/{id}/sessions", may(staff.ManageAgents), op(s.agentSessionList)),
		del("/api/agents/{id}/sessions", may(staff.ManageAgents), op(s.agentSessionEndAll)),
		del("/api/agents/{id}/sessions/{session}", may(staff.ManageAgents), op(s.agentSessionEnd)),
		del("/api/agents/{id}/totp", may(staff.ManageAgents), op(s.agentTOTPRemove)),
		post("/api/agents/{id}/expire-password", may(staff.ManageAgents), op(s.agentPasswordExpire), status(204)),
		post("/api/agents/{id}/reset-link", may(staff.ManageAgents), op(s.agentResetLink), secretAnswer()),

		get("/api/teams", signedIn, op(s.teamList)),
		post("/api/teams", may(staff.ManageTeams), op(s.teamCreate), status(201)),
		patch("/api/teams/{id}", may(staff.ManageTeams), op(s.teamUpdate)),
		del("/api/teams/{id}", may(staff.ManageTeams), op(s.teamDelete)),

		get("/api/hours", signedIn, op(s.hoursList)),
		post("/api/hours", may(staff.ManageTeams), op(s.hoursCreate), status(201)),
		patch("/api/hours/{id}", may(staff.ManageTeams), op(s.hoursUpdate)),
		del("/api/hours/{id}", may(staff.ManageTeams), op(s.hoursDelete)),

		get("/api/absences", signedIn, op(s.absenceList)),
		post("/api/absences", signedIn, op(s.absenceCreate), status(201)), // one's own, or anybody's for a planner
		del("/api/absences/{id}", signedIn, op(s.absenceDelete)),

		get("/api/invitations", may(staff.ManageAgents), op(s.invitationList)),
		post("/api/invitations", may(staff.ManageAgents), op(s.invitationCreate), status(201), secretAnswer()),
		del("/api/invitations/{id}", may(staff.ManageAgents), op(s.invitationRevoke)),

		get("/api/tokens", sessionOnly, op(s.tokenList)),
		post("/api/tokens", sessionOnly, op(s.tokenCreate), status(201), secretAnswer()),
		del("/api/tokens/{id}", sessionOnly, op(s.tokenRevoke)),

		get("/api/settings", signedIn, op(s.settingsShow)),
		patch("/api/settings", may(staff.ManageSettings), op(s.settingsUpdate)),
		get("/api/audit", may(staff.ReadAudit), op(s.auditList)),
		get("/api/audit/export", may(staff.ReadAudit), raw(s.auditExport), within(5*time.Minute), paced(6)),
	}
}

func join(tables ...[]route) []route {
	var out []route
	for _, t := range tables {
		out = append(out, t...)
	}
	return out
}
