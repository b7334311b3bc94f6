package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

type auditIn struct {
	Page
	Kind  string    `query:"kind" maxLength:"100" doc:"a kind, or how kinds begin"`
	Agent ids.ID    `query:"agent" doc:"who did it"`
	From  time.Time `query:"from" doc:"not before"`
	To    time.Time `query:"to" doc:"before"`
}

func (in auditIn) filter() staff.AuditFilter {
	return staff.AuditFilter{Kind: in.Kind, Agent: in.Agent, From: in.From, To: in.To}
}

func (s *Server) auditList(ctx context.Context, in *auditIn) (*listed[staff.AuditRow], error) {
	return listedWith(s.deps.Staff.Audit(ctx, CallerFrom(ctx), in.filter(), in.Cursor, in.Limit))
}

const (
	// auditPage is how many rows are read at once for a file, auditMost how many a file has; the filter makes it smaller.
	auditPage = 1000
	auditMost = 200_000
)

// auditExport gives the audit out as CSV. That it was taken is in the audit, too.
func (s *Server) auditExport(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	in, err := auditQuery(r.URL.Query())
	if err != nil {
		return err
	}
	by := CallerFrom(ctx)
	if err := s.deps.Staff.AuditExported(ctx, by, in.filter()); err != nil {
		return err
	}
	rows, next, err := s.deps.Staff.Audit(ctx, by, in.filter(), "", auditPage)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="audit.csv"`)
	out := csv.NewWriter(w)
	if err := out.Write([]string{"id", "at", "kind", "actor_kind", "actor_id", "actor", "subject_kind", "subject_id", "detail"}); err != nil {
		return err
	}
	for written := 0; ; {
		for _, row := range rows {
			if err := out.Write(auditLine(row)); err != nil {
				return err
			}
		}
		written += len(rows)
		out.Flush()
		if out.Error() != nil || next == "" || written >= auditMost {
			return out.Error()
		}
		if rows, next, err = s.deps.Staff.Audit(ctx, by, in.filter(), next, auditPage); err != nil {
			// The answer has begun: cutting the connection is how the client learns that the file is not whole.
			s.log.WarnContext(ctx, "audit export", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// auditQuery reads the filter of an export; the list's is read by its types.
func auditQuery(q url.Values) (auditIn, error) {
	in := auditIn{Kind: q.Get("kind")}
	if len(in.Kind) > 100 || !utf8.ValidString(in.Kind) || strings.ContainsRune(in.Kind, 0) {
		return in, errs.Field("query.kind", "must have at most 100 characters")
	}
	var err error
	if in.Agent, err = ids.Parse(q.Get("agent")); err != nil {
		return in, errs.Field("query.agent", "must be an id")
	}
	for name, to := range map[string]*time.Time{"from": &in.From, "to": &in.To} {
		v := q.Get(name)
		if v == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return in, errs.Field("query."+name, "must be a time like 2026-01-31T00:00:00Z")
		}
		*to = at
	}
	return in, nil
}

func auditLine(r staff.AuditRow) []string {
	actor := ""
	if r.Actor.ID != nil {
		actor = r.Actor.ID.String()
	}
	var detail bytes.Buffer
	e := json.NewEncoder(&detail)
	e.SetEscapeHTML(false)
	_ = e.Encode(r.Detail) // it came out of JSON
	line := []string{
		r.ID.String(), r.At.Format(time.RFC3339), r.Kind, r.Actor.Kind, actor, r.Actor.Name, r.Subject.Kind, r.Subject.ID,
		strings.TrimSpace(detail.String()),
	}
	for i, cell := range line {
		line[i] = csvCell(cell)
	}
	return line
}

// csvCell keeps a spreadsheet from taking what somebody typed for a formula: a quote in front makes it text.
func csvCell(s string) string {
	if t := strings.TrimLeft(s, " "); t != "" && strings.ContainsRune("=+-@\t\r\n", rune(t[0])) {
		return "'" + s
	}
	return s
}
