package rig

import (
	"encoding/json"
	"time"
)

// The shapes of the API as a client from outside knows them: written down here once more, so that a change of a name in
// the program is noticed.

// Ref is an id with a name.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Agent is somebody who works.
type Agent struct {
	ID       string `json:"id"`
	Version  int    `json:"version"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	Scope    string `json:"scope"`
	Status   string `json:"status"`
	Disabled bool   `json:"disabled"`
}

// Me is the answer to signing in.
type Me struct {
	Agent       Agent    `json:"agent"`
	Permissions []string `json:"permissions"`
}

// Channel is one account.
type Channel struct {
	ID          string         `json:"id"`
	Version     int            `json:"version"`
	Kind        string         `json:"kind"`
	Name        string         `json:"name"`
	State       string         `json:"state"`
	Reason      string         `json:"reason"`
	Settings    map[string]any `json:"settings"`
	SettingsSet []string       `json:"settings_set"`
	Queued      int            `json:"queued"`
	Failed      int            `json:"failed"`
	Uncertain   int            `json:"uncertain"`
	Quarantined int            `json:"quarantined"`

	Capabilities struct {
		ParallelSends int `json:"parallel_sends"`
	} `json:"capabilities"`
}

// Conversation is a row of the inbox.
type Conversation struct {
	ID            string    `json:"id"`
	Number        string    `json:"number"`
	Version       int       `json:"version"`
	Status        string    `json:"status"`
	Contact       Ref       `json:"contact"`
	ChannelID     string    `json:"channel_id"`
	AssigneeID    *string   `json:"assignee_id"`
	TeamID        *string   `json:"team_id"`
	Unread        int       `json:"unread"`
	InCount       int       `json:"in_count"`
	MessageCount  int       `json:"message_count"`
	LastText      string    `json:"last_text"`
	LastDirection string    `json:"last_direction"`
	LastAt        time.Time `json:"last_at"`
}

// Attachment is a file.
type Attachment struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"`
	Name       string  `json:"name"`
	Type       string  `json:"type"`
	Size       int64   `json:"size"`
	State      string  `json:"state"`
	Error      string  `json:"error"`
	URL        string  `json:"url"`
	PreviewURL *string `json:"preview_url"`
}

// Item is a line of a timeline.
type Item struct {
	ID             string          `json:"id"`
	Version        int             `json:"version"`
	Kind           string          `json:"kind"`
	Content        string          `json:"content"`
	Direction      string          `json:"direction"`
	ConversationID string          `json:"conversation_id"`
	Text           string          `json:"text"`
	Truncated      bool            `json:"truncated"`
	HTML           string          `json:"html"`
	Data           json.RawMessage `json:"data"`
	Attachments    []Attachment    `json:"attachments"`
	Status         string          `json:"status"`
	Error          string          `json:"error"`
	At             time.Time       `json:"at"`
}

// Contact is somebody who is served.
type Contact struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Identities []struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"identities"`
	Leads []struct {
		ID      string  `json:"id"`
		Title   string  `json:"title"`
		Source  string  `json:"source"`
		Outcome *string `json:"outcome"`
	} `json:"leads"`
	Conversations []struct {
		ID string `json:"id"`
	} `json:"conversations"`
}

// Trouble is a message of the outbox.
type Trouble struct {
	Item         Item         `json:"item"`
	Conversation Conversation `json:"conversation"`
}
