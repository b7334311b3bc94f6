package channels

import (
	"encoding/json"
	"time"
)

// Batch is what an adapter hands over at once; it commits whole with its cursor, except that poison is set aside.
type Batch struct {
	Events []Inbound
	Cursor *Cursor // stored in the same transaction; nil = none
}

// Cursor is how far an adapter has read its provider.
type Cursor struct{ Name, Value string }

// InboundKind is what happened on the channel.
type InboundKind string

// The kinds. Everything that a customer would call "a message" is Message; Content says what is in it.
const (
	Message       InboundKind = "message"
	Edit          InboundKind = "edit"          // TargetID's new Text/HTML
	Revoke        InboundKind = "revoke"        // TargetID deleted by its author
	Reaction      InboundKind = "reaction"      // Emojis on TargetID replace the sender's earlier ones; empty removes
	Status        InboundKind = "status"        // TargetID is now Status
	TypingNow     InboundKind = "typing"        // ephemeral, never stored
	ContactUpdate InboundKind = "contact"       // Sender's names, phone or reachability changed
	Membership    InboundKind = "membership"    // shown as a line in the timeline, Text says what
	Undecryptable InboundKind = "undecryptable" // placeholder, replaced by the Message with the same ProviderID
)

// Inbound is one event of a channel, already converted: conversion is pure and golden-tested.
type Inbound struct {
	Kind InboundKind
	// EventKey names the delivery, unique in the channel: update_id; folder+uidvalidity+uid; chat+sender+message id.
	EventKey string
	// ProviderID names the message, unique in the channel: replies, edits, reactions and statuses point at it. "" = none.
	ProviderID string
	TargetID   string // ProviderID of the message that this event is about

	// Chat is where an answer goes: opaque to the core, handed back in Outbound. ChatData holds what else a send needs.
	Chat     string
	ChatData json.RawMessage
	// Thread separates matters of one contact (e-mail); "" = one open conversation per contact and channel.
	Thread string
	// Group is set when the chat has several people: the group is the contact, Sender a participant.
	Group *Person

	// Sender is the customer's side also when Direction is Out: it says whose conversation this is. Without identities
	// the person is known by the chat alone.
	Sender    Person
	Direction Direction // In, or Out for what our side typed elsewhere (phone, business account)
	At        time.Time // the provider's time

	Content string // text, photo, voice, audio, video, document, sticker, animation, location, contact, poll, unknown ...
	Subject string
	Text    string // plain text; HTML is the formatted form or ""
	HTML    string
	Data    json.RawMessage // location {lat,lon,title}, contact {name,phone}, poll {question,options} ...
	Media   []Media
	Album   string // messages with the same Album of one chat are shown together

	ReplyTo string // ProviderID of the quoted message
	// References are the ProviderIDs of earlier messages that this one belongs to, nearest first. The hub puts it into
	// their conversation when its sender takes part there.
	References []string
	// Conversation is what Outbound.Conversation carried, given only after the adapter has verified that it was us who
	// gave it out; "" = none. The hub follows it only when the sender takes part in that conversation.
	Conversation string
	// Fingerprint is equal for the copies of one message that reached several of our channels: hex SHA-256; "" = none.
	Fingerprint string
	// Recipients of a message that names them, From included.
	Recipients []Recipient

	Emojis []string // Reaction
	Status DeliveryStatus

	// Attribution of a first touch: {"start": payload, "utm_source": ...}. Names that begin with last_ tell how the person
	// came this time: they replace the earlier ones, the others stand.
	Attribution map[string]string
	// Automatic mail and imported history make no lead; history also no notification and no routing.
	Automatic bool
	History   bool
	Raw       []byte // the provider's bytes, kept
}

// Direction of a message: towards us or from us.
type Direction string

// The directions.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// DeliveryStatus of a message of ours; it only ever moves forward.
type DeliveryStatus string

// The statuses that a channel reports back.
const (
	Delivered DeliveryStatus = "delivered"
	Read      DeliveryStatus = "read"
	Bounced   DeliveryStatus = "failed"
)

// Person is who the provider says it is. Identities[0] is the primary one; the others are asserted by the provider to
// be the same person (a shared own phone, a LID with its number) and so link automatically.
type Person struct {
	Identities  []Identity
	Name        string // pushed name, "" = unknown
	Username    string
	Language    string
	Unreachable *string // ContactUpdate: the reason why we can no longer write; "" = can again; nil = no change
	// Unproven is set when Identities are only what the person says of himself (a form): they are shown as such and
	// never lead to whoever really has them. The same words again are the same unproven person.
	Unproven bool
}

// Identity is one address of a person. Value is canonical for its kind except for phone, which the core normalises.
type Identity struct {
	Kind  string // phone, phone_raw, email, telegram, whatsapp, ..., see DESIGN section 4
	Value string
	Raw   string // as given, when it differs
}

// Recipient is one address that a message names.
type Recipient struct {
	Role    string `json:"role"` // from, to, cc, bcc, reply_to
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Media is a file that a message carries and that is fetched after the commit.
type Media struct {
	Kind     string          // photo, voice, audio, video, document, sticker, animation
	Ref      json.RawMessage // handed to FetchMedia; opaque, but a member "unique" names the file in every delivery of it
	Name     string
	Type     string // MIME type as claimed
	Size     int64  // as claimed, 0 = unknown
	Width    int
	Height   int
	Duration time.Duration
	// ContentID names a part that the message's HTML shows in place (cid:), without brackets; "" = an attachment.
	ContentID string
	TooBig    string // set when the provider will not give it out: shown instead of being fetched
}
