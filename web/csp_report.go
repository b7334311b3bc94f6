package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/parley-hub/parley/internal/errs"
)

const (
	// cspReports is where browsers tell what the policy stopped.
	cspReports = "/api/csp-reports"
	// reportLimit bounds a batch of reports; a browser's own is a few kilobytes.
	reportLimit = 32 << 10
	// reportsPerMinute bounds what a page (or a stranger) can put into the log of this node.
	reportsPerMinute = 60
	// reportsAtOnce of one batch are looked at.
	reportsAtOnce = 20
)

// cspViolation is what both forms of reports have in common: report-uri (with dashes) and the Reporting API.
type cspViolation struct {
	Directive   string `json:"effectiveDirective"`
	Blocked     string `json:"blockedURL"`
	OldForm     string `json:"effective-directive"`
	OldViolated string `json:"violated-directive"`
	OldBlocked  string `json:"blocked-uri"`
}

// cspReport counts what the policy stopped and logs its kind: an address in a report may hold what belongs to a
// customer, so that neither the page, nor the whole address, nor the sample of the script is written down.
func (s *Server) cspReport(w http.ResponseWriter, r *http.Request) error {
	if err := s.pace.take(0, "csp", reportsPerMinute); err != nil {
		return err
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	found, ok := cspViolations(data)
	if !ok {
		return errs.Field("body", "must be a report of the content security policy")
	}
	for _, v := range found {
		directive, blocked := cspDirective(v), cspBlocked(v)
		s.metrics.reported(directive)
		s.log.WarnContext(r.Context(), "content security policy", "directive", directive, "blocked", blocked)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func cspViolations(data []byte) ([]cspViolation, bool) {
	var old struct {
		Report *cspViolation `json:"csp-report"`
	}
	if err := json.Unmarshal(data, &old); err == nil {
		if old.Report == nil {
			return nil, false
		}
		return []cspViolation{*old.Report}, true
	}
	var batch []struct {
		Type string       `json:"type"`
		Body cspViolation `json:"body"`
	}
	if err := json.Unmarshal(data, &batch); err != nil {
		return nil, false
	}
	var out []cspViolation
	for _, b := range batch {
		if b.Type == "csp-violation" && len(out) < reportsAtOnce {
			out = append(out, b.Body)
		}
	}
	return out, true
}

// cspDirective is the directive by name, "other" for what is none: strangers must not make series of a metric.
func cspDirective(v cspViolation) string {
	d := v.Directive
	if d == "" {
		d = v.OldForm
	}
	if d == "" {
		d, _, _ = strings.Cut(v.OldViolated, " ")
	}
	known := []string{
		"default-src", "script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem", "style-src-attr", "img-src",
		"media-src", "font-src", "connect-src", "frame-src", "worker-src", "manifest-src", "object-src", "base-uri", "form-action", "frame-ancestors",
	}
	if slices.Contains(known, d) {
		return d
	}
	return "other"
}

// cspBlocked is what kind of thing was stopped: inline, eval, or the scheme of an address.
func cspBlocked(v cspViolation) string {
	b := v.Blocked
	if b == "" {
		b = v.OldBlocked
	}
	if slices.Contains([]string{"inline", "eval", "wasm-eval", "self", "data", "blob", "trusted-types-policy", "trusted-types-sink"}, b) {
		return b
	}
	u, err := url.Parse(b)
	if err == nil && slices.Contains([]string{"http", "https", "ws", "wss", "data", "blob", "file"}, u.Scheme) {
		return u.Scheme
	}
	return "other"
}
