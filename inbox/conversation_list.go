package inbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// The views of the list. A team's is "team:" and its id.
const (
	ViewMine       = "mine"
	ViewUnassigned = "unassigned"
	ViewAll        = "all"
	ViewWaiting    = "waiting"
	ViewSnoozed    = "snoozed"
	ViewClosed     = "closed"
	ViewMentions   = "mentions"
	viewTeam       = "team:"
)

// Bounds of a list request.
const (
	defaultPage = 50
	maxPage     = 200
	maxTag      = 50
	maxSearch   = 200
)

// ListQuery says which conversations to list. Zero fields do not filter.
type ListQuery struct {
	View     string // one of the views; "" = all
	Team     ids.ID
	Assignee string // an agent's id, "me" or "none"
	Status   Status
	Channel  ids.ID
	Tag      string
	Search   string // a piece of the contact's name or of an address, phone numbers in any spelling
	Limit    int    // 0 = 50
	Cursor   string // of the page before

	saved *ViewFilter // of a saved view
}

// Conversations lists what the caller may see, newest last_at first, and the cursor of the next page ("" = the end).
// With a search and neither status nor view the closed ones are listed too: who looks for a person wants him found.
func (d *Desk) Conversations(ctx context.Context, a staff.Access, q ListQuery) (items []Conversation, next string, err error) {
	q, at, err := q.check()
	if err != nil {
		return nil, "", err
	}
	if err := d.loadSaved(ctx, a, &q); err != nil {
		return nil, "", err
	}
	l, err := newList(a, q, at)
	if err != nil {
		return nil, "", err
	}
	if q.Search != "" {
		ctx, cancel := context.WithTimeout(ctx, crm.SearchBudget)
		defer cancel()
		if err := l.search(ctx, d.pool, a, q.Search); err != nil {
			return nil, "", crm.SearchError(ctx, err)
		}
		items, next, err = l.run(ctx, d)
		return items, next, crm.SearchError(ctx, err)
	}
	return l.run(ctx, d)
}

func (l *list) run(ctx context.Context, d *Desk) ([]Conversation, string, error) {
	rows, err := d.pool.Query(ctx, l.sql(), l.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list conversations: %w", err)
	}
	items, err := pgx.CollectRows(rows, scanConversation)
	if err != nil {
		return nil, "", fmt.Errorf("list conversations: %w", err)
	}
	if len(items) <= l.limit {
		return orEmpty(items), "", nil
	}
	items = items[:l.limit]
	last := items[l.limit-1]
	return items, listCursor{last.LastAt, int64(last.ID)}.String(), nil
}

// listCursor is a place in the list: after the conversation with that last_at and id.
type listCursor struct {
	at time.Time
	id int64
}

func (c listCursor) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", c.at.UnixMicro(), c.id))
}

func parseListCursor(s string) (listCursor, error) {
	at, id, err := parsePair(s)
	return listCursor{time.UnixMicro(at).UTC(), id}, err
}

// parsePair reads the two numbers of an opaque cursor.
func parsePair(s string) (a, b int64, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	first, second, found := strings.Cut(string(raw), ".")
	if err == nil && !found {
		err = errors.New("no pair")
	}
	if err == nil {
		a, err = strconv.ParseInt(first, 10, 64)
	}
	if err == nil {
		b, err = strconv.ParseInt(second, 10, 64)
	}
	return a, b, err
}

func (q ListQuery) check() (ListQuery, listCursor, error) {
	var at listCursor
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if q.Limit < 1 || q.Limit > maxPage {
		return q, at, errs.Field("query.limit", "must be between 1 and %d", maxPage)
	}
	switch q.Status {
	case "", Open, Waiting, Snoozed, Closed:
	default:
		return q, at, errs.Field("query.status", "must be open, waiting, snoozed or closed")
	}
	if len([]rune(q.Tag)) > maxTag {
		return q, at, errs.Field("query.tag", "must have at most %d characters", maxTag)
	}
	if q.Search = strings.TrimSpace(q.Search); len([]rune(q.Search)) > maxSearch {
		return q, at, errs.Field("query.q", "must have at most %d characters", maxSearch)
	}
	if strings.ContainsRune(q.Search, 0) || strings.ContainsRune(q.Tag, 0) {
		return q, at, errs.Field("query.q", "must not contain control characters")
	}
	if q.Cursor != "" {
		var err error
		if at, err = parseListCursor(q.Cursor); err != nil {
			return q, at, errs.Field("query.cursor", "is not a cursor of this list")
		}
	}
	return q, at, nil
}

// list builds one statement of the conversation list. The texts are fixed pieces and their number is small, so each is
// prepared once per connection. Where the caller sees a union of sets (mine, my teams', nobody's), each set is read by
// its own partial index up to a page and the pages are merged: one condition with OR would walk the whole open inbox to
// find the few rows of somebody who sees little.
type list struct {
	args     []any
	me       string // placeholders
	teams    string
	statuses []string // alternatives, each a condition that some partial index implies
	branches []branch // what the caller sees, disjoint
	whole    bool     // the branches are all that he sees, not a part of it
	filters  []string
	limit    int
	after    string
}

// branch is a condition on c; each says that it stands once per team of the caller ($team in cond).
type branch struct {
	cond string
	each bool
}

const activeSQL = `c.status IN ('open', 'waiting')`

func newList(a staff.Access, q ListQuery, at listCursor) (*list, error) {
	l := &list{limit: q.Limit}
	l.me = l.arg(int64(a.AgentID), "bigint")
	l.statuses = statusSQL(q)
	if err := l.setView(a, q); err != nil {
		return nil, err
	}
	if q.Team != 0 {
		l.filter("c.team_id = " + l.arg(int64(q.Team), "bigint"))
	}
	if err := l.assignee(q.Assignee, "query.assignee"); err != nil {
		return nil, err
	}
	if q.Channel != 0 {
		l.filter("c.channel_id = " + l.arg(int64(q.Channel), "bigint"))
	}
	l.tag(q.Tag)
	if q.saved != nil {
		if err := l.narrow(*q.saved); err != nil {
			return nil, err
		}
	}
	if q.Cursor != "" {
		l.after = fmt.Sprintf("(c.last_at, c.id) < (%s, %s)", l.arg(pgtype.Timestamptz{Time: at.at, Valid: true}, "timestamptz"),
			l.arg(at.id, "bigint"))
	}
	return l, nil
}

func (l *list) assignee(who, field string) error {
	switch who {
	case "":
	case "me":
		l.filter("c.assignee_id = " + l.me)
	case "none":
		l.filter("c.assignee_id IS NULL")
	default:
		id, err := ids.Parse(who)
		if err != nil || id == 0 {
			return errs.Field(field, `must be an agent's id, "me" or "none"`)
		}
		l.filter("c.assignee_id = " + l.arg(int64(id), "bigint"))
	}
	return nil
}

func (l *list) tag(tag string) {
	if tag != "" {
		// the second half lets the partial index on tags be used
		l.filter("c.tags @> " + l.arg([]string{tag}, "text[]") + " AND c.tags <> '{}'")
	}
}

// statusSQL keeps the words of the partial indexes, so that the planner can prove that they apply.
func statusSQL(q ListQuery) []string {
	var one string
	switch q.Status {
	case Open:
		one = activeSQL + ` AND c.status = 'open'`
	case Waiting:
		one = activeSQL + ` AND c.status = 'waiting'`
	case Snoozed:
		one = `c.status = 'snoozed'`
	case Closed:
		one = `c.status = 'closed'`
	}
	view := activeSQL
	switch q.View {
	case ViewWaiting:
		view = activeSQL + ` AND c.status = 'waiting'`
	case ViewSnoozed:
		view = `c.status = 'snoozed'`
	case ViewClosed:
		view = `c.status = 'closed'`
	default:
		if one != "" {
			return []string{one}
		}
		if q.View == ViewMentions { // what one was asked about counts also when it is over
			return []string{activeSQL, `c.status = 'snoozed'`, `c.status = 'closed'`}
		}
		if q.Search != "" && (q.View == ViewAll || q.View == "") {
			return []string{activeSQL, `c.status = 'snoozed'`, `c.status = 'closed'`}
		}
	}
	if one != "" {
		return []string{view + " AND " + one}
	}
	return []string{view}
}

const (
	mineSQL     = "c.assignee_id = $me"
	nobodysSQL  = "c.assignee_id IS NULL AND c.team_id IS NULL"
	freeSQL     = "c.assignee_id IS NULL AND (c.team_id IS NULL OR c.team_id = ANY ($teams))"
	mySetTeam   = "c.team_id = $team AND c.assignee_id IS DISTINCT FROM $me"
	anythingSQL = "true"
)

// setView turns view and scope into disjoint branches; together they say what visibleSQL says.
func (l *list) setView(a staff.Access, q ListQuery) error {
	all := a.Scope == staff.ScopeAll
	switch view := q.View; {
	case view == ViewMine:
		l.branch(a, mineSQL)
	case view == ViewUnassigned && all:
		l.branch(a, "c.assignee_id IS NULL")
	case view == ViewUnassigned:
		l.branch(a, freeSQL)
	case strings.HasPrefix(view, viewTeam):
		team, err := ids.Parse(strings.TrimPrefix(view, viewTeam))
		if err != nil || team == 0 {
			return errs.Field("query.view", "a team's view is team: and the team's id")
		}
		l.filter("c.team_id = " + l.arg(int64(team), "bigint"))
		switch {
		case all, a.Scope == staff.ScopeTeam && a.InTeam(team):
			l.branch(a, anythingSQL)
		case a.InTeam(team):
			l.branch(a, mineSQL)
			l.branch(a, "c.assignee_id IS NULL")
		default:
			l.branch(a, mineSQL)
		}
	case view == ViewMentions:
		l.filter("c.id IN (SELECT n.conversation_id FROM mention n WHERE n.agent_id = " + l.me + ")")
		l.branch(a, scopeBranches(a.Scope)...)
	case view == "", view == ViewAll, view == ViewWaiting, view == ViewSnoozed, view == ViewClosed:
		l.branch(a, scopeBranches(a.Scope)...)
		l.whole = true
	default:
		return errs.Field("query.view", "must be mine, unassigned, all, waiting, snoozed, closed, mentions, team: with an id or saved: with an id")
	}
	return nil
}

func scopeBranches(s staff.Scope) []string {
	switch s {
	case staff.ScopeAll:
		return []string{anythingSQL}
	case staff.ScopeTeam:
		return []string{mineSQL, mySetTeam, nobodysSQL}
	case staff.ScopeOwn:
		return []string{mineSQL, freeSQL}
	}
	return []string{"false"}
}

func (l *list) branch(a staff.Access, conds ...string) {
	for _, cond := range conds {
		if strings.Contains(cond, "$teams") || strings.Contains(cond, "$team") {
			if l.teams == "" {
				l.teams = l.arg(teamsOf(a), "bigint[]")
			}
		}
		each := cond == mySetTeam
		cond = strings.ReplaceAll(cond, "$teams", l.teams)
		cond = strings.ReplaceAll(cond, "$team", "t.id")
		l.branches = append(l.branches, branch{cond: strings.ReplaceAll(cond, "$me", l.me), each: each})
	}
}

func (l *list) filter(cond string) { l.filters = append(l.filters, cond) }

func (l *list) arg(v any, sqlType string) string {
	l.args = append(l.args, v)
	return fmt.Sprintf("$%d::%s", len(l.args), sqlType)
}

// page is the LIMIT as the statement writes it: a literal, since the planner cannot use one that it does not know, and
// one of three, so that there are few statements.
func (l *list) page() int {
	for _, n := range []int{defaultPage, 100} {
		if l.limit <= n {
			return n + 1
		}
	}
	return maxPage + 1
}

func (l *list) sql() string {
	// the page is cut before anything is joined to it: however wrong an estimate, names are looked up for one page only
	return "SELECT " + conversationViewColumns + ", coalesce(r.in_no, 0) FROM (" + l.rows(l.page()) + `) c
	JOIN contact p ON p.id = c.contact_id JOIN channel h ON h.id = c.channel_id
	LEFT JOIN read_marker r ON r.conversation_id = c.id AND r.agent_id = ` + l.me + " ORDER BY c.last_at DESC, c.id DESC"
}

// rows is the part of the statement that finds the conversations, at most limit of them.
func (l *list) rows(limit int) string {
	order := fmt.Sprintf("ORDER BY c.last_at DESC, c.id DESC LIMIT %d", limit)
	var parts []string
	for _, b := range l.branches {
		for _, status := range l.statuses {
			conds := append([]string{status}, l.filters...)
			if b.cond != anythingSQL {
				conds = append(conds, b.cond)
			}
			if l.after != "" {
				conds = append(conds, l.after)
			}
			part := "SELECT c.* FROM conversation c WHERE " + strings.Join(conds, " AND ") + " " + order
			if b.each {
				// behind a SELECT the planner does not see how many teams there are; it would plan anew for every caller
				part = fmt.Sprintf("SELECT c.* FROM unnest((SELECT %s)) t (id) CROSS JOIN LATERAL (%s) c %s", l.teams, part, order)
			}
			parts = append(parts, part)
		}
	}
	rows := parts[0]
	if len(parts) > 1 {
		rows = "SELECT c.* FROM ((" + strings.Join(parts, ")\nUNION ALL (") + ")) c " + order
	}
	return rows
}
