package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/inbox/live"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// The live feed knows neither staff nor the inbox: here they meet, without logic.

// directory tells the live feed about people and conversations.
type directory struct {
	pool *pgxpool.Pool
	desk *inbox.Desk
}

// Access implements live.Directory.
func (d directory) Access(ctx context.Context, agent int64) (live.Access, error) {
	a, err := staff.AccessOf(ctx, d.pool, ids.ID(agent))
	if err != nil {
		return live.Access{}, err
	}
	teams := map[int64]bool{}
	for _, t := range a.Teams {
		teams[int64(t)] = true
	}
	return live.Access{AgentID: agent, Scope: string(a.Scope), Teams: teams, Role: string(a.Role), Name: a.Name}, nil
}

// Where implements live.Directory.
func (d directory) Where(ctx context.Context, conversation int64) (team, assignee int64, err error) {
	return d.desk.Where(ctx, conversation)
}

// Statuses implements live.Directory.
func (d directory) Statuses(ctx context.Context) (map[int64]string, error) {
	present, err := staff.Presence(ctx, d.pool)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]string, len(present))
	for agent, s := range present {
		out[int64(agent)] = string(s)
	}
	return out, nil
}

// counter gives the live feed the numbers of the sidebar.
type counter struct{ *inbox.Sidebar }

// Counts implements live.Counter.
func (c counter) Counts(a live.Access) any {
	who := staff.Access{AgentID: ids.ID(a.AgentID), Name: a.Name, Role: staff.Role(a.Role), Scope: staff.Scope(a.Scope)}
	for team, in := range a.Teams {
		if in {
			who.Teams = append(who.Teams, ids.ID(team))
		}
	}
	slices.Sort(who.Teams)
	return c.Sidebar.Counts(who)
}

// socket is the live feed as the web server needs it.
type socket struct{ hub *live.Hub }

// Serve implements web.Live.
func (s socket) Serve(w http.ResponseWriter, r *http.Request, agent, session int64) {
	s.hub.Serve(w, r, live.Viewer{AgentID: agent, SessionID: session})
}

// answerFrames registers what agents say over the socket and the feed does not know itself.
func answerFrames(hub *live.Hub, pool *pgxpool.Pool, people *staff.Service, desk *inbox.Desk) {
	hub.Handle("status", func(ctx context.Context, v live.Viewer, msg json.RawMessage) error {
		var f struct {
			Status staff.Status `json:"status"`
		}
		if err := json.Unmarshal(msg, &f); err != nil {
			return errs.Field("status", "is missing")
		}
		return people.SetStatus(ctx, ids.ID(v.AgentID), f.Status)
	})
	hub.Handle("read", func(ctx context.Context, v live.Viewer, msg json.RawMessage) error {
		var f struct {
			Conversation ids.ID    `json:"conversation_id"`
			Message      uuid.UUID `json:"message_id"`
		}
		if err := json.Unmarshal(msg, &f); err != nil {
			return errs.Field("message_id", "is no message of the conversation")
		}
		a, err := staff.AccessOf(ctx, pool, ids.ID(v.AgentID))
		if err != nil {
			return err
		}
		return desk.MarkRead(ctx, a, f.Conversation, f.Message)
	})
}

// beatEvery is a third of what makes an agent count as gone.
const beatEvery = 20 * time.Second

// heartbeat says for every agent with a socket on this node that he is there.
func heartbeat(hub *live.Hub, people *staff.Service, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for pause(ctx, beatEvery) {
			for _, agent := range hub.Connected() {
				err := people.Heartbeat(ctx, ids.ID(agent))
				if err != nil && ctx.Err() == nil && !errs.Is(err, errs.NotFound) {
					log.WarnContext(ctx, "heartbeat", "agent_id", agent, "err", err)
				}
			}
		}
		return nil
	}
}
