package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// Whom a note can name.
const (
	mentionAgent = "agent"
	mentionTeam  = "team"
)

// maxMentions is how many one note can name.
const maxMentions = 20

// Mention names a colleague or a team in a note.
type Mention struct {
	Kind string `json:"kind" enum:"agent,team"`
	ID   ids.ID `json:"id"`
	Name string `json:"name" maxLength:"400"`
}

// Mentionable is somebody whom a note in this conversation could name. Of a team Seeing of its Members may see the
// conversation, and only they are told.
type Mentionable struct {
	Kind    string `json:"kind" enum:"agent,team"`
	ID      ids.ID `json:"id"`
	Name    string `json:"name"`
	Seeing  int    `json:"seeing" doc:"how many of them may see this conversation"`
	Members int    `json:"members"`
}

const (
	mentionTeamsSQL = `SELECT id, name FROM team ORDER BY lower(name), id`

	insertMentionsSQL = `INSERT INTO mention (agent_id, conversation_id, message_id, message_at, team_id)
SELECT u.agent, $1, $2, $3, nullif(u.team, 0) FROM unnest($4::bigint[], $5::bigint[]) u (agent, team) ON CONFLICT DO NOTHING`

	mentionedSQL = `SELECT agent_id FROM mention WHERE message_id = $1 ORDER BY agent_id`
)

// Mentionables lists the colleagues and teams whom a note could name, and whether they may see the conversation: who
// writes "@Tom" should learn while writing that Tom will not be able to read it.
func (d *Desk) Mentionables(ctx context.Context, a staff.Access, conversation ids.ID) ([]Mentionable, error) {
	var team, assignee int64
	err := d.pool.QueryRow(ctx, readableSQL, who(a, int64(conversation))...).Scan(&team, &assignee)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noConversation()
	}
	if err != nil {
		return nil, fmt.Errorf("look at conversation %s: %w", conversation, err)
	}
	people, err := staff.Colleagues(ctx, d.pool)
	if err != nil {
		return nil, err
	}
	teams, err := teamNames(ctx, d.pool)
	if err != nil {
		return nil, err
	}
	out := []Mentionable{}
	for _, p := range people {
		if p.AgentID == a.AgentID {
			continue
		}
		m := Mentionable{Kind: mentionAgent, ID: p.AgentID, Name: p.Name, Members: 1}
		if p.Sees(ids.ID(team), ids.ID(assignee)) {
			m.Seeing = 1
		}
		out = append(out, m)
	}
	for _, t := range teams {
		m := Mentionable{Kind: mentionTeam, ID: t.ID, Name: t.Name}
		for _, p := range people {
			if !p.InTeam(t.ID) {
				continue
			}
			m.Members++
			if p.Sees(ids.ID(team), ids.ID(assignee)) {
				m.Seeing++
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func teamNames(ctx context.Context, db postgres.DB) ([]Named, error) {
	rows, err := db.Query(ctx, mentionTeamsSQL)
	if err != nil {
		return nil, fmt.Errorf("list teams: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Named])
}

// mentioned are the people that a note reaches, each with the team through which it does (0 = by name).
type mentioned struct {
	list   []Mention // as the message keeps them, with the names of now
	agents []int64
	teams  []int64
}

// resolveMentions finds whom a note reaches. Somebody who may not see the conversation is refused by name: a note that
// silently reaches nobody would be worse than none.
func resolveMentions(ctx context.Context, db postgres.DB, a staff.Access, t talk, list []Mention) (mentioned, error) {
	var out mentioned
	if len(list) == 0 {
		return out, nil
	}
	people, err := staff.Colleagues(ctx, db)
	if err != nil {
		return out, err
	}
	teams, err := teamNames(ctx, db)
	if err != nil {
		return out, err
	}
	add := func(p staff.Access, team ids.ID) {
		if p.AgentID != a.AgentID && !slices.Contains(out.agents, int64(p.AgentID)) {
			out.agents, out.teams = append(out.agents, int64(p.AgentID)), append(out.teams, int64(team))
		}
	}
	for _, m := range list {
		switch m.Kind {
		case mentionAgent:
			i := slices.IndexFunc(people, func(p staff.Access) bool { return p.AgentID == m.ID })
			if i < 0 {
				return out, errs.Field("mentions", "there is no such colleague: %s", m.ID)
			}
			if !people[i].Sees(ids.ID(t.team), ids.ID(t.assignee)) {
				return out, errs.Field("mentions", "%s may not see this conversation", people[i].Name)
			}
			m.Name = people[i].Name
			add(people[i], 0)
		case mentionTeam:
			i := slices.IndexFunc(teams, func(n Named) bool { return n.ID == m.ID })
			if i < 0 {
				return out, errs.Field("mentions", "there is no such team: %s", m.ID)
			}
			seeing := 0
			for _, p := range people {
				if p.InTeam(m.ID) && p.Sees(ids.ID(t.team), ids.ID(t.assignee)) {
					seeing++
					add(p, m.ID)
				}
			}
			if seeing == 0 {
				return out, errs.Field("mentions", "nobody of %s may see this conversation", teams[i].Name)
			}
			m.Name = teams[i].Name
		default:
			return out, errs.Field("mentions", "must be of kind agent or team")
		}
		out.list = append(out.list, m)
	}
	return out, nil
}

// data is what the message keeps of its mentions, for the screens.
func (m mentioned) data() (string, error) {
	if len(m.list) == 0 {
		return "{}", nil
	}
	b, err := json.Marshal(map[string]any{"mentions": m.list})
	return string(b), err
}

func (m mentioned) store(ctx context.Context, tx pgx.Tx, conversation int64, key MessageKey) error {
	if len(m.agents) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, insertMentionsSQL, conversation, key.ID, key.At, m.agents, m.teams); err != nil {
		return fmt.Errorf("store mentions: %w", err)
	}
	return nil
}

// MentionedIn lists the agents whom a note named.
func MentionedIn(ctx context.Context, db postgres.DB, message uuid.UUID) ([]int64, error) {
	rows, err := db.Query(ctx, mentionedSQL, message)
	if err != nil {
		return nil, fmt.Errorf("read mentions: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
