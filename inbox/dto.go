package inbox

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/ids"
)

// Status of a conversation. Waiting = we wait for the customer.
type Status string

// The statuses of a conversation.
const (
	Open    Status = "open"
	Waiting Status = "waiting"
	Snoozed Status = "snoozed"
	Closed  Status = "closed"
)

// Named is an id with the name to show.
type Named = crm.Named

// Conversation is one open matter of one contact on one channel, as the API and the events carry it. In an event
// Unread and ReadInNo are 0: they belong to one agent, and a client knows its own.
type Conversation struct {
	ID            ids.ID     `json:"id"`
	Number        ids.ID     `json:"number"`
	Version       int        `json:"version"`
	Status        Status     `json:"status" enum:"open,waiting,snoozed,closed"`
	Priority      int        `json:"priority" doc:"0 normal to 3 urgent"`
	Contact       Named      `json:"contact"`
	ChannelID     ids.ID     `json:"channel_id"`
	ChannelKind   string     `json:"channel_kind"`
	AssigneeID    *ids.ID    `json:"assignee_id"`
	TeamID        *ids.ID    `json:"team_id"`
	Tags          []string   `json:"tags" nullable:"false"`
	Unread        int        `json:"unread" doc:"customer messages after my read marker"`
	InCount       int        `json:"in_count"`
	ReadInNo      int        `json:"read_in_no"`
	WaitingSince  *time.Time `json:"waiting_since" doc:"since when the customer waits for an answer"`
	SnoozedUntil  *time.Time `json:"snoozed_until"`
	Subject       string     `json:"subject"`
	LastAt        time.Time  `json:"last_at"`
	LastText      string     `json:"last_text"`
	LastKind      string     `json:"last_kind"`
	LastDirection string     `json:"last_direction" enum:"in,out"`
	MessageCount  int        `json:"message_count"`
	CreatedAt     time.Time  `json:"created_at"`
	ClosedAt      *time.Time `json:"closed_at"`
}

// Author is who wrote an item; ID is an agent's or a contact's, nil for the system.
type Author struct {
	Kind string  `json:"kind" enum:"contact,agent,system"`
	ID   *ids.ID `json:"id"`
	Name string  `json:"name"`
}

// Attachment is a file that a message carries, or an upload that waits for its message.
type Attachment struct {
	ID         uuid.UUID `json:"id"`
	Kind       string    `json:"kind" enum:"photo,voice,audio,video,document,sticker,animation"`
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	Size       int64     `json:"size"`
	Width      int       `json:"width"`
	Height     int       `json:"height"`
	DurationMS int       `json:"duration_ms"`
	State      string    `json:"state" enum:"pending,ok,failed,expired"`
	Error      string    `json:"error"`
	ContentID  string    `json:"content_id" doc:"set where the message's HTML shows the file in place (cid:)"`
	URL        string    `json:"url"`
	PreviewURL *string   `json:"preview_url"`
}

// Quote is the message that an item answers.
type Quote struct {
	ID     uuid.UUID `json:"id"`
	Author string    `json:"author"`
	Text   string    `json:"text"`
}

// Reaction is an emoji put under a message.
type Reaction struct {
	Emoji  string `json:"emoji"`
	Author Author `json:"author"`
}

// Item is one line of a timeline: a message, a note, a call, or a system event.
type Item struct {
	ID             uuid.UUID       `json:"id"`
	Version        int             `json:"version"`
	Seq            ids.ID          `json:"seq" doc:"order among items of the same time"`
	Kind           string          `json:"kind" enum:"message,note,call,event"`
	Content        string          `json:"content" doc:"text, photo, voice, audio, video, document, sticker, animation, location, contact, poll, unknown ..."`
	Direction      string          `json:"direction" enum:"in,out"`
	ConversationID ids.ID          `json:"conversation_id"`
	ChannelID      ids.ID          `json:"channel_id"`
	ChannelKind    string          `json:"channel_kind"`
	Author         Author          `json:"author"`
	Text           string          `json:"text"`
	Truncated      bool            `json:"truncated" doc:"text is cut; the whole is at the message's own address"`
	HTML           string          `json:"html"`
	Subject        string          `json:"subject"`
	Data           json.RawMessage `json:"data"`
	Attachments    []Attachment    `json:"attachments" nullable:"false"`
	Status         string          `json:"status" enum:"received,queued,sending,sent,delivered,read,failed,uncertain"`
	Error          string          `json:"error"`
	ReplyTo        *Quote          `json:"reply_to"`
	Reactions      []Reaction      `json:"reactions" nullable:"false"`
	Album          string          `json:"album"`
	InNo           int             `json:"in_no"`
	History        bool            `json:"history"`
	SendAt         *time.Time      `json:"send_at"`
	EditedAt       *time.Time      `json:"edited_at"`
	DeletedAt      *time.Time      `json:"deleted_at"`
	At             time.Time       `json:"at"`
	RawURL         *string         `json:"raw_url"`
	Revisions      int             `json:"revisions"`
}

// Counts are the numbers of the sidebar for one agent.
type Counts struct {
	Mine       int            `json:"mine"`
	MineUnread int            `json:"mine_unread"`
	Unassigned int            `json:"unassigned"`
	All        int            `json:"all"`
	Snoozed    int            `json:"snoozed"`
	Teams      map[string]int `json:"teams"`
	Trouble    int            `json:"trouble"`
	Views      map[string]int `json:"views" doc:"of the saved views, by id; those of closed conversations have none"`
}

// Channel is one account of one kind, without its secrets.
type Channel struct {
	ID           ids.ID                `json:"id"`
	Version      int                   `json:"version"`
	Kind         string                `json:"kind"`
	Name         string                `json:"name"`
	TeamID       *ids.ID               `json:"team_id"`
	PipelineID   *ids.ID               `json:"pipeline_id"`
	Region       string                `json:"region"`
	ReopenDays   int                   `json:"reopen_days"`
	Enabled      bool                  `json:"enabled"`
	Sample       bool                  `json:"sample"`
	Settings     map[string]any        `json:"settings"`
	Address      string                `json:"address" doc:"what customers write to, where messages name their recipients"`
	Signature    string                `json:"signature" doc:"what stands below every answer, or its beginning"`
	SettingsSet  []string              `json:"settings_set" nullable:"false" doc:"names of the secret settings that have a value"`
	State        string                `json:"state" enum:"connecting,up,needs_login,failed"`
	Reason       string                `json:"reason"`
	StateAt      time.Time             `json:"state_at"`
	Until        *time.Time            `json:"until"`
	LastEventAt  *time.Time            `json:"last_event_at"`
	LagMS        int64                 `json:"lag_ms"`
	Queued       int                   `json:"queued"`
	Failed       int                   `json:"failed"`
	Uncertain    int                   `json:"uncertain"`
	Quarantined  int                   `json:"quarantined"`
	Capabilities channels.Capabilities `json:"capabilities"`
}

// MessageKey leads to a message row: the partition and the id.
type MessageKey struct {
	At time.Time
	ID uuid.UUID
}
