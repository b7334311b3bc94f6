package limit

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pageSQL reads the newest open conversations by their index and what a row shows, from tables that have it ready.
const pageSQL = `SELECT c.id, c.number, c.version, c.status, c.priority, c.contact_id, p.name, c.channel_id, c.assignee_id, c.team_id, c.tags, c.in_count,
	c.message_count, c.subject, c.last_at, c.last_text, c.last_kind, c.last_direction, c.created_at
FROM (SELECT * FROM conversation c WHERE status IN ('open', 'waiting') ORDER BY last_at DESC, id DESC LIMIT 50) c
JOIN contact p ON p.id = c.contact_id ORDER BY c.last_at DESC, c.id DESC`

// PageRow is a conversation in a list.
type PageRow struct {
	ID            int64     `json:"id"`
	Number        int64     `json:"number"`
	Version       int       `json:"version"`
	Status        string    `json:"status"`
	Priority      int       `json:"priority"`
	ContactID     int64     `json:"contact_id"`
	Name          string    `json:"name"`
	ChannelID     int64     `json:"channel_id"`
	AssigneeID    *int64    `json:"assignee_id"`
	TeamID        *int64    `json:"team_id"`
	Tags          []string  `json:"tags"`
	InCount       int       `json:"in_count"`
	MessageCount  int       `json:"message_count"`
	Subject       string    `json:"subject"`
	LastAt        time.Time `json:"last_at"`
	LastText      string    `json:"last_text"`
	LastKind      string    `json:"last_kind"`
	LastDirection string    `json:"last_direction"`
	CreatedAt     time.Time `json:"created_at"`
}

// Page is one page of the inbox of a hub's database.
type Page struct{ Pool *pgxpool.Pool }

// Read reads it.
func (p Page) Read(ctx context.Context) ([]PageRow, error) {
	rows, err := p.Pool.Query(ctx, pageSQL)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[PageRow])
}

// ServeHTTP answers with it.
func (p Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rows, err := p.Read(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"items": rows}) // whoever asked may be gone
}
