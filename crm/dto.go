package crm

import (
	"encoding/json"
	"time"

	"github.com/parley-hub/parley/internal/ids"
)

// Kinds of identity (DESIGN section 4). External systems use "external:<system>".
const (
	KindPhone    = "phone"     // E.164, one canonical form per number
	KindPhoneRaw = "phone_raw" // digits that no numbering plan knows, scoped to the channel
	KindEmail    = "email"
	KindTelegram = "telegram"
)

// Named is an id with the name to show.
type Named struct {
	ID   ids.ID `json:"id"`
	Name string `json:"name"`
}

// Contact is a person or a group who is served.
type Contact struct {
	ID            ids.ID            `json:"id"`
	Version       int               `json:"version"`
	Kind          string            `json:"kind" enum:"person,group"`
	Name          string            `json:"name"`
	OwnerID       *ids.ID           `json:"owner_id"`
	CompanyID     *ids.ID           `json:"company_id"`
	Language      string            `json:"language"`
	Tags          []string          `json:"tags" nullable:"false"`
	Fields        map[string]any    `json:"fields"`
	Attribution   map[string]string `json:"attribution"`
	Identities    []Identity        `json:"identities" nullable:"false"`
	Asserted      []Asserted        `json:"asserted" nullable:"false" doc:"what this person says of himself and nobody has proven; only on the card"`
	AssertedBy    []Named           `json:"asserted_by" nullable:"false" doc:"contacts that say they have an address of this one; only on the card"`
	Leads         []Lead            `json:"leads" nullable:"false"`
	Conversations []PastTalk        `json:"conversations" nullable:"false"`
	Merges        []MergeLine       `json:"merges" nullable:"false"`
	MergedInto    *ids.ID           `json:"merged_into"`
	Sample        bool              `json:"sample"`
	LegalHold     bool              `json:"legal_hold" doc:"nothing of this person is removed, neither by age nor by hand"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
}

// Identity is one address of a contact.
type Identity struct {
	ID          ids.ID    `json:"id"`
	Kind        string    `json:"kind"`
	Value       string    `json:"value"`
	Display     string    `json:"display"`
	Unreachable string    `json:"unreachable"`
	Shared      bool      `json:"shared"`
	Trust       string    `json:"trust"`
	LastSeen    time.Time `json:"last_seen"`
}

// Asserted is an address that a contact claims to have. Known is whose address it is in truth, as far as we know; it
// never made the two one (R10).
type Asserted struct {
	Kind     string    `json:"kind"`
	Value    string    `json:"value"`
	Source   string    `json:"source"`
	LastSeen time.Time `json:"last_seen"`
	Known    *Named    `json:"known"`
}

// PastTalk is a conversation in the short form of the contact card; the edge fills it from the inbox.
type PastTalk struct {
	ID          ids.ID    `json:"id"`
	Number      ids.ID    `json:"number"`
	ChannelKind string    `json:"channel_kind"`
	Status      string    `json:"status"`
	LastAt      time.Time `json:"last_at"`
	LastText    string    `json:"last_text"`
}

// MergeLine is one merge into the contact.
type MergeLine struct {
	ID       ids.ID    `json:"id"`
	From     Named     `json:"from"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind" enum:"provider,agent"`
	Undoable bool      `json:"undoable"`
}

// Lead is a card in a pipeline.
type Lead struct {
	ID           ids.ID            `json:"id"`
	Version      int               `json:"version"`
	Contact      Named             `json:"contact"`
	PipelineID   ids.ID            `json:"pipeline_id"`
	StageID      ids.ID            `json:"stage_id"`
	Title        string            `json:"title"`
	OwnerID      *ids.ID           `json:"owner_id"`
	Source       string            `json:"source"`
	Attribution  map[string]string `json:"attribution"`
	Amount       int64             `json:"amount" doc:"in hundredths of the pipeline's currency; 0 = not known"`
	Outcome      *string           `json:"outcome"`
	PreviousLead *ids.ID           `json:"previous_lead"`
	StageAt      time.Time         `json:"stage_at" doc:"since when it is in its stage"`
	ClosedAt     *time.Time        `json:"closed_at"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

// Pipeline is an ordered list of stages.
type Pipeline struct {
	ID        ids.ID  `json:"id"`
	Version   int     `json:"version"`
	Name      string  `json:"name"`
	Currency  string  `json:"currency" doc:"ISO 4217"`
	IsDefault bool    `json:"is_default"`
	Stages    []Stage `json:"stages" nullable:"false"`
}

// Stage is a column of a pipeline.
type Stage struct {
	ID       ids.ID `json:"id"`
	Position int    `json:"position"`
	Name     string `json:"name"`
	Kind     string `json:"kind" enum:"incoming,open,won,lost"`
	RotDays  int    `json:"rot_days" doc:"after how many days in the stage somebody should look at a lead; 0 = never"`
}

// StageTotal is what stands at the head of a column of the board.
type StageTotal struct {
	StageID ids.ID `json:"stage_id"`
	Count   int    `json:"count"`
	Amount  int64  `json:"amount" doc:"in hundredths of the pipeline's currency"`
}

// The kinds of events that this room writes to the spine.
const (
	EventContactCreated  = "contact.created"
	EventContactUpdated  = "contact.updated"
	EventContactMerged   = "contact.merged"
	EventContactUnmerged = "contact.unmerged"
	EventContactErased   = "contact.erased"
	EventContactHold     = "contact.hold"
	EventLeadCreated     = "lead.created"
	EventLeadUpdated     = "lead.updated"
	EventPipelineUpdated = "pipeline.updated"
)

// ContactBrief is what an event says of a contact: enough for lists, the card is fetched.
type ContactBrief struct {
	ID         ids.ID   `json:"id"`
	Version    int      `json:"version"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	OwnerID    *ids.ID  `json:"owner_id"`
	Tags       []string `json:"tags"`
	MergedInto *ids.ID  `json:"merged_into"`
}

func attributionJSON(m map[string]string) []byte {
	if len(m) == 0 {
		return []byte(`{}`)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return []byte(`{}`)
	}
	return b
}
