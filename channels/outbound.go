package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Op is what a send does.
type Op string

// The operations.
const (
	OpSend   Op = "send"
	OpEdit   Op = "edit"
	OpDelete Op = "delete"
	OpReact  Op = "react"
)

// Outbound is one thing to deliver. ClientID was stored before the network is touched and stays the same on retries.
type Outbound struct {
	ClientID string // UUID
	Op       Op
	Attempt  int // 1 for the first
	Chat     string
	ChatData json.RawMessage
	Text     string
	HTML     string // formatted form, "" = plain
	Subject  string
	ReplyTo  string // ProviderID
	TargetID string // OpEdit, OpDelete, OpReact: ProviderID
	Emoji    string // OpReact; "" removes ours
	Files    []File
	// Recipients to, cc, bcc where Capabilities.Recipients; none = the sender of what is answered (Chat).
	Recipients []Recipient
	// References are the ProviderIDs of the conversation's messages, oldest first.
	References []string
	// Automatic: no person wrote it; the channel marks it, so that no machine answers.
	Automatic bool
	// Conversation is the conversation's id, for a channel that can carry it in a token and bring it back.
	Conversation string
}

// File is an attachment on its way out. Open may be called again for a retry.
type File struct {
	Kind string
	Name string
	Type string
	Size int64
	// ContentID names the file in HTML (cid:) where it is shown in place; "" = an attachment.
	ContentID string
	Open      func(ctx context.Context) (io.ReadCloser, error)
}

// SendResult names what the provider made of it, first the id that others will point at.
type SendResult struct {
	ProviderIDs []string
	At          time.Time // zero = not told
	Note        string    // said under the message, e.g. "sent without formatting"
}

// MediaInfo is what was learnt while fetching.
type MediaInfo struct {
	Type string
	Name string
	Size int64
}

// Identifier is an adapter that knows the provider's id of a message before it is sent: the hub stores it with the
// claim of the send, so that an answer finds its message whatever happens in between.
type Identifier interface {
	// ProviderID of the message with this ClientID; "" = not known beforehand. It is pure.
	ProviderID(clientID string) string
}

// RawReader is an adapter whose files stand inside the bytes of the message that carries them (Inbound.Raw): the hub hands
// back what it has kept, and asks FetchMedia only when it has nothing.
type RawReader interface {
	MediaFromRaw(raw []byte, ref json.RawMessage, w io.Writer) (MediaInfo, error)
}

// ErrMediaGone means the provider no longer gives the file out: the attachment is shown as expired.
var ErrMediaGone = errors.New("the provider no longer has this file")

// SendErrorKind tells the outbox what to do.
type SendErrorKind string

// The kinds of failure of a send.
const (
	Temporary   SendErrorKind = "temporary"    // surely not delivered, try again after RetryAfter or the back-off
	Permanent   SendErrorKind = "permanent"    // refused for good: failed, shown
	Uncertain   SendErrorKind = "uncertain"    // may have been delivered: the agent decides
	Unreachable SendErrorKind = "unreachable"  // permanent, and the person cannot be written to any more (blocked us)
	AccountDown SendErrorKind = "account_down" // the channel is not usable now; stays queued
)

// SendError is the only error type of Send that the outbox understands.
type SendError struct {
	Kind       SendErrorKind
	RetryAfter time.Duration
	Reason     string // a sentence for the agent
	Err        error
}

func (e *SendError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Reason, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Reason)
}

func (e *SendError) Unwrap() error { return e.Err }
