package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	lockConversationSQL = `SELECT c.version, c.status, c.priority, c.tags, coalesce(c.team_id, 0), coalesce(c.assignee_id, 0),
	c.snoozed_until, coalesce(c.merged_into, 0) FROM conversation c WHERE c.id = $4 AND ` + visibleSQL + ` FOR UPDATE OF c`

	// version and owner stand in the condition although the row is locked: that at most one of two takers gets it is said
	// here and needs no other line of code to be right
	updateConversationSQL = `UPDATE conversation SET version = version + 1, status = $4, priority = $5, tags = $6,
	team_id = nullif($7::bigint, 0), assignee_id = nullif($8::bigint, 0), snoozed_until = $9,
	closed_at = CASE WHEN $4 = 'closed' THEN coalesce(closed_at, now()) END,
	waiting_since = CASE WHEN $4 IN ('closed', 'waiting') AND status <> $4 THEN NULL ELSE waiting_since END,
	queued_at = CASE WHEN $4 = 'closed' OR $8::bigint <> 0 THEN NULL ELSE coalesce(queued_at, now()) END
WHERE id = $1 AND version = $2 AND assignee_id IS NOT DISTINCT FROM nullif($3::bigint, 0)`

	updateNamesSQL = `SELECT coalesce((SELECT name FROM agent WHERE id = $1), ''),
	coalesce((SELECT name FROM agent WHERE id = $2), ''), coalesce((SELECT name FROM team WHERE id = $3), '')`

	assignableSQL = `SELECT role, disabled_at IS NOT NULL FROM agent WHERE id = $1`

	teamExistsSQL = `SELECT 1 FROM team WHERE id = $1`

	myMarkerSQL = `SELECT in_no FROM read_marker WHERE agent_id = $1 AND conversation_id = $2`

	// the other open conversation that forbids to open this one
	openRivalSQL = `SELECT o.id FROM conversation c JOIN conversation o ON o.channel_id = c.channel_id AND o.status <> 'closed'
	AND (c.thread_key IS NULL AND o.thread_key IS NULL AND o.contact_id = c.contact_id OR o.thread_key = c.thread_key)
WHERE c.id = $1 LIMIT 1`
)

// maxSnooze bounds how far away a conversation can be put.
const maxSnooze = 366 * 24 * time.Hour

// ConversationPatch changes what is set. With Version the change is refused when the row is newer. Without it, giving a
// conversation to oneself is a take: it succeeds only while nobody has it.
type ConversationPatch struct {
	Version      *int
	Status       *Status
	SnoozedUntil *time.Time // alone it means status snoozed
	Assignee     ids.Patch
	Team         ids.Patch
	Priority     *int
	Tags         *[]string
}

// locked is the row as the transaction holds it.
type locked struct {
	version        int
	status         Status
	priority       int
	tags           []string
	team, assignee int64
	snoozedUntil   *time.Time
	mergedInto     int64
}

// UpdateConversation changes a conversation that the caller sees, writes what happened into its timeline, and returns it
// as it is then (also when the caller no longer sees it).
func (d *Desk) UpdateConversation(ctx context.Context, a staff.Access, id ids.ID, p ConversationPatch) (Conversation, error) {
	if err := may(a, staff.Reply, "change conversations"); err != nil {
		return Conversation{}, err
	}
	if err := p.check(); err != nil {
		return Conversation{}, err
	}
	var c Conversation
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var evs []events.Event
		var err error
		c, evs, err = update(ctx, tx, a, int64(id), p)
		return evs, err
	})
	if name, ok := postgres.Unique(err); ok && (name == "conversation_one_open" || name == "conversation_one_thread") {
		return Conversation{}, d.rival(ctx, id, err)
	}
	return c, err
}

func (p *ConversationPatch) check() error {
	if p.Status != nil {
		switch *p.Status {
		case Open, Waiting, Snoozed, Closed:
		default:
			return errs.Field("status", "must be open, waiting, snoozed or closed")
		}
		if p.SnoozedUntil != nil && *p.Status != Snoozed {
			return errs.Field("snoozed_until", "goes with status snoozed only")
		}
	}
	if p.SnoozedUntil != nil {
		if in := time.Until(*p.SnoozedUntil); in <= 0 || in > maxSnooze {
			return errs.Field("snoozed_until", "must lie in the future, within a year")
		}
	}
	if p.Priority != nil && (*p.Priority < 0 || *p.Priority > 3) {
		return errs.Field("priority", "must be between 0 and 3")
	}
	if p.Tags != nil {
		tags, err := cleanTags(*p.Tags)
		if err != nil {
			return err
		}
		p.Tags = &tags
	}
	return nil
}

func update(ctx context.Context, tx pgx.Tx, a staff.Access, id int64, p ConversationPatch) (Conversation, []events.Event, error) {
	was, err := lock(ctx, tx, a, id, p.Assignee.Set && p.Assignee.ID == a.AgentID)
	if err != nil {
		return Conversation{}, nil, err
	}
	if p.Version != nil && *p.Version != was.version {
		return Conversation{}, nil, &errs.E{
			Code: errs.Conflict, Msg: "Somebody changed this conversation meanwhile.", Extra: map[string]any{"version": was.version},
		}
	}
	now, err := was.apply(ctx, tx, a, p)
	if err != nil {
		return Conversation{}, nil, err
	}
	lines, err := linesOf(ctx, tx, a, was, now)
	if err != nil {
		return Conversation{}, nil, err
	}
	var evs []events.Event
	if len(lines) > 0 {
		if err := write(ctx, tx, id, was, now); err != nil {
			return Conversation{}, nil, err
		}
	}
	list, err := loadConversations(ctx, tx, []int64{id})
	if err != nil {
		return Conversation{}, nil, err
	}
	c := list[id]
	if len(lines) > 0 {
		if evs, err = changeEvents(ctx, tx, a, c, was, lines); err != nil {
			return Conversation{}, nil, err
		}
	}
	err = tx.QueryRow(ctx, myMarkerSQL, int64(a.AgentID), id).Scan(&c.ReadInNo)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Conversation{}, nil, fmt.Errorf("read marker of conversation %d: %w", id, err)
	}
	c.Unread = max(0, c.InCount-c.ReadInNo)
	return c, evs, nil
}

// lock takes the row. A taker who saw it free a moment ago and finds it gone is told that somebody was faster, not that
// it does not exist.
func lock(ctx context.Context, tx pgx.Tx, a staff.Access, id int64, take bool) (locked, error) {
	var seen int
	if take {
		err := tx.QueryRow(ctx, seesConversationSQL, who(a, id)...).Scan(&seen)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return locked{}, fmt.Errorf("look at conversation %d: %w", id, err)
		}
	}
	var l locked
	err := tx.QueryRow(ctx, lockConversationSQL, who(a, id)...).Scan(&l.version, &l.status, &l.priority, &l.tags, &l.team,
		&l.assignee, &l.snoozedUntil, &l.mergedInto)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && seen == 1:
		return l, taken(0)
	case errors.Is(err, pgx.ErrNoRows):
		return l, noConversation()
	case err != nil:
		return l, fmt.Errorf("lock conversation %d: %w", id, err)
	}
	utc(l.snoozedUntil)
	return l, nil
}

func taken(by int64) error {
	e := errs.New(errs.Conflict, "Somebody else has taken this conversation.")
	if by != 0 {
		e.Extra = map[string]any{"assignee_id": idPtr(by)}
	}
	return e
}

// apply says what the row shall be, or why the caller may not make it so.
func (l locked) apply(ctx context.Context, db postgres.DB, a staff.Access, p ConversationPatch) (locked, error) {
	now := l
	if p.Assignee.Set && int64(p.Assignee.ID) != l.assignee {
		if err := l.mayAssign(ctx, db, a, p); err != nil {
			return now, err
		}
		now.assignee = int64(p.Assignee.ID)
	}
	if p.Team.Set && int64(p.Team.ID) != l.team {
		if err := may(a, staff.Assign, "move conversations to another team"); err != nil {
			return now, err
		}
		if err := teamExists(ctx, db, p.Team.ID); err != nil {
			return now, err
		}
		now.team = int64(p.Team.ID)
	}
	if p.Status != nil {
		now.status = *p.Status
	}
	if p.SnoozedUntil != nil {
		// the database keeps microseconds; cut here so that the same time again is no change
		until := p.SnoozedUntil.UTC().Truncate(time.Microsecond)
		now.status, now.snoozedUntil = Snoozed, &until
	}
	if now.status != Snoozed {
		now.snoozedUntil = nil
	} else if now.snoozedUntil == nil {
		return now, errs.Field("snoozed_until", "is needed to snooze")
	}
	if l.status == Closed && now.status != Closed && l.mergedInto != 0 {
		return now, &errs.E{
			Code: errs.Conflict, Msg: "This conversation goes on in another one, since its contacts were merged.",
			Extra: map[string]any{"conversation_id": idPtr(l.mergedInto)},
		}
	}
	if p.Priority != nil {
		now.priority = *p.Priority
	}
	if p.Tags != nil {
		now.tags = *p.Tags
	}
	return now, nil
}

// mayAssign: anybody who answers may take what nobody has and give back his own; to give to others, or to take from
// somebody, needs the permission. Taking from somebody also needs the version, which proves that he was seen.
func (l locked) mayAssign(ctx context.Context, db postgres.DB, a staff.Access, p ConversationPatch) error {
	me, to := int64(a.AgentID), int64(p.Assignee.ID)
	switch {
	case to == me && l.assignee != 0 && (p.Version == nil || !a.Can(staff.Assign)):
		return taken(l.assignee)
	case to == me:
		return nil
	case to == 0 && l.assignee == me:
		return nil
	}
	if err := may(a, staff.Assign, "give conversations to others"); err != nil || to == 0 {
		return err
	}
	var role staff.Role
	var disabled bool
	err := db.QueryRow(ctx, assignableSQL, to).Scan(&role, &disabled)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errs.Field("assignee_id", "there is no such agent")
	case err != nil:
		return fmt.Errorf("look at agent %d: %w", to, err)
	case disabled:
		return errs.Field("assignee_id", "this agent is disabled")
	case !(staff.Access{Role: role}).Can(staff.Reply):
		return errs.Field("assignee_id", "this person does not answer customers")
	}
	return nil
}

func teamExists(ctx context.Context, db postgres.DB, team ids.ID) error {
	if team == 0 {
		return nil
	}
	var one int
	err := db.QueryRow(ctx, teamExistsSQL, int64(team)).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.Field("team_id", "there is no such team")
	}
	if err != nil {
		return fmt.Errorf("look at team %s: %w", team, err)
	}
	return nil
}

// linesOf compares before and after; no line means that nothing changed.
func linesOf(ctx context.Context, db postgres.DB, a staff.Access, was, now locked) ([]line, error) {
	var to, team string
	me := a.Name
	if was.assignee != now.assignee || was.team != now.team || me == "" {
		var mine string
		err := db.QueryRow(ctx, updateNamesSQL, int64(a.AgentID), now.assignee, now.team).Scan(&mine, &to, &team)
		if err != nil {
			return nil, fmt.Errorf("read names: %w", err)
		}
		if me == "" {
			me = mine
		}
	}
	var out []line
	if was.assignee != now.assignee {
		l := line{event: "assigned", from: idPtr(was.assignee), to: idPtr(now.assignee), text: me + " gave this to " + to + "."}
		switch now.assignee {
		case int64(a.AgentID):
			l.text = me + " took this."
		case 0:
			l.event, l.text = "unassigned", me+" gave this back."
		}
		out = append(out, l)
	}
	if was.team != now.team {
		l := line{event: "team", from: idPtr(was.team), to: idPtr(now.team), text: me + " moved this to team " + team + "."}
		if now.team == 0 {
			l.text = me + " moved this out of its team."
		}
		out = append(out, l)
	}
	if was.status != now.status || !sameTime(was.snoozedUntil, now.snoozedUntil) {
		out = append(out, statusLine(me, was, now))
	}
	if was.priority != now.priority {
		out = append(out, line{
			event: "priority", from: was.priority, to: now.priority, text: fmt.Sprintf("%s set the priority to %d.", me, now.priority),
		})
	}
	if !slices.Equal(was.tags, now.tags) {
		text := me + " removed all tags."
		if len(now.tags) > 0 {
			text = me + " set the tags: " + strings.Join(now.tags, ", ") + "."
		}
		out = append(out, line{event: "tags", from: was.tags, to: now.tags, text: text})
	}
	return out, nil
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

func statusLine(me string, was, now locked) line {
	l := line{event: "status", from: was.status, to: now.status}
	switch {
	case now.status == Closed:
		l.text = me + " closed this."
	case now.status == Snoozed:
		l.text = me + " snoozed this until " + now.snoozedUntil.Format(time.RFC3339) + "."
		l.more = map[string]any{"until": now.snoozedUntil}
	case was.status == Closed:
		l.text = me + " reopened this."
	case now.status == Waiting:
		l.text = me + " waits for the customer."
	default:
		l.text = me + " opened this."
	}
	return l
}

func write(ctx context.Context, tx pgx.Tx, id int64, was, now locked) error {
	tag, err := tx.Exec(ctx, updateConversationSQL, id, was.version, was.assignee, now.status, now.priority, now.tags,
		now.team, now.assignee, now.snoozedUntil)
	if err != nil {
		return fmt.Errorf("update conversation %d: %w", id, err)
	}
	if tag.RowsAffected() != 1 {
		return errs.New(errs.Conflict, "Somebody changed this conversation meanwhile.")
	}
	return keepTags(ctx, tx, now.tags)
}

func changeEvents(ctx context.Context, tx pgx.Tx, a staff.Access, c Conversation, was locked, lines []line) ([]events.Event, error) {
	keys, err := addLines(ctx, tx, int64(c.ID), int64(a.AgentID), lines)
	if err != nil {
		return nil, err
	}
	items, err := loadItems(ctx, tx, keys)
	if err != nil {
		return nil, err
	}
	evs := []events.Event{conversationEvent(EventConversationUpdated, a.Actor(), c, was.team, was.assignee)}
	for _, it := range items {
		evs = append(evs, itemEvent(EventMessageCreated, a.Actor(), it, c))
	}
	return evs, nil
}

// rival explains that only one conversation of a customer is open on a channel.
func (d *Desk) rival(ctx context.Context, id ids.ID, cause error) error {
	e := &errs.E{Code: errs.Conflict, Msg: "Another conversation with this customer is open on this channel.", Err: cause}
	var other int64
	if err := d.pool.QueryRow(ctx, openRivalSQL, int64(id)).Scan(&other); err == nil {
		e.Extra = map[string]any{"conversation_id": idPtr(other)}
	}
	return e
}
