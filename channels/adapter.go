package channels

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Adapter connects one channel (one account of one kind). An adapter is made for one Run and thrown away after it.
type Adapter interface {
	Capabilities() Capabilities
	// Run owns the connection until ctx ends or the account is gone for good. It returns within a second of ctx's end.
	Run(ctx context.Context, sink Sink) error
	// Send delivers one message, edit, deletion or reaction. Errors are *SendError; any other error counts as Uncertain.
	Send(ctx context.Context, m Outbound) (SendResult, error)
	// FetchMedia writes the bytes behind ref to w. ErrMediaGone when the provider no longer has them.
	FetchMedia(ctx context.Context, ref json.RawMessage, w io.Writer) (MediaInfo, error)
}

// Sink is the hub as an adapter sees it.
type Sink interface {
	// Ingest stores a batch in the order given. nil = committed: only now may the adapter acknowledge.
	Ingest(ctx context.Context, b Batch) error
	// State reports what the connection is doing; the last report stands.
	State(ctx context.Context, s State) error
}

// Webhooker is an adapter that is pushed to. The handler is built from settings on any node, also where Run does not
// run; it answers 2xx only after sink.Ingest returned nil.
type Webhooker interface {
	Webhook(sink Sink) http.Handler
}

// Typer shows the customer that somebody is writing. Best effort.
type Typer interface {
	Typing(ctx context.Context, chat string, chatData json.RawMessage) error
}

// MarkReader tells the provider that the conversation was read up to the message. Best effort.
type MarkReader interface {
	MarkRead(ctx context.Context, chat string, chatData json.RawMessage, providerID string) error
}

// Account is what a kind's constructor gets: one channel with its settings opened.
type Account struct {
	ID       int64
	Kind     string
	Name     string
	Settings json.RawMessage   // merged: plain and secret settings, one JSON object
	Cursors  map[string]string // as stored by the last committed batch
	BaseURL  string            // public address of the hub, for webhooks; no slash at the end
	Key      []byte            // secret of this channel alone, for signing what leaves and comes back; the same at every start
	Region   string            // default region of phone numbers (ISO 3166), may be ""
}

// Kind makes adapters of one kind and knows which of its settings are secret.
type Kind struct {
	Name string
	// Secrets names the settings that are sealed at rest and never given out again; "imap.password" stands inside the
	// object "imap".
	Secrets []string
	// ReceiveOnly channels have no way back: the hub refuses to answer through them.
	ReceiveOnly bool
	// Complete, when set, adds to the settings what the hub makes itself (a public key, a secret); before holds what was
	// stored, nil for a new channel. It runs before Check, inside the change.
	Complete func(settings, before map[string]any) error
	// Check validates settings before anything is stored; the error is an *errs-style field error made by FieldError.
	Check func(settings json.RawMessage) error
	// Probe connects once and says in words which step failed; used by "test this channel".
	Probe func(ctx context.Context, a Account) error
	New   func(a Account) (Adapter, error)
	// Suggest, when set, finds the settings for an address; the answer is what the settings form fills in.
	Suggest func(ctx context.Context, address string) (any, error)
}

// ProbeError says which step of a probe failed.
type ProbeError struct {
	Step string // a name for the screen, e.g. imap_login
	Msg  string // a sentence for the admin
}

func (e *ProbeError) Error() string { return e.Msg }

// FieldError refuses one setting.
type FieldError struct{ Field, Msg string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Msg }

// Capabilities is what a channel can do, as data that the screen uses to grey out what it cannot.
type Capabilities struct {
	MaxText       int      `json:"max_text"`       // characters of one message; 0 = no limit
	MaxFile       int64    `json:"max_file"`       // bytes
	Formatting    bool     `json:"formatting"`     // HTML subset: b i u s code pre a blockquote
	Files         bool     `json:"files"`          // attachments out
	Reply         bool     `json:"reply"`          // quote
	Edit          bool     `json:"edit"`           // edit a sent message
	Delete        bool     `json:"delete"`         // delete a sent message for the customer too
	React         bool     `json:"react"`          // reactions out
	Reactions     []string `json:"reactions"`      // the allowed ones; empty = any
	Typing        bool     `json:"typing"`         // typing out
	Receipts      bool     `json:"receipts"`       // delivered and read come back
	Deduplicates  bool     `json:"deduplicates"`   // a send repeated with the same ClientID reaches the customer once
	FirstContact  bool     `json:"first_contact"`  // can write first
	ReceiveOnly   bool     `json:"receive_only"`   // nothing can be answered here
	Subject       bool     `json:"subject"`        // messages have a subject
	Recipients    bool     `json:"recipients"`     // to, cc and bcc can be set
	ParallelSends int      `json:"parallel_sends"` // conversations served at once; 0 = 8
}

// StateKind is where a channel stands.
type StateKind string

// The states of a channel.
const (
	Connecting StateKind = "connecting"
	Up         StateKind = "up"
	NeedsLogin StateKind = "needs_login"
	Failed     StateKind = "failed"
)

// State is a report about the connection. Reason is a sentence for the admin.
type State struct {
	Kind   StateKind
	Reason string
	Until  time.Time // e.g. the end of a ban; zero = not known
	QR     string    // opaque pairing code to show
}
