// Package inbox is the heart of the hub: it takes what the channels deliver, makes conversations of it, routes them to
// people, shows them, and delivers the answers.
//
// Invariants. One inbound event changes everything it changes in one transaction (ingest.go). A delivery and a message
// are stored once: external_ref is claimed before anything else. Of one channel and contact at most one conversation
// without a thread key is open. Every change of a row that a screen shows appends an event in the same transaction that
// carries the whole new row; nothing is published that was not read from there. Counters are kept with the row they
// count (in_count, message_count), never computed on the way to a screen.
//
// Failure. An error of Ingest means that nothing was stored and the channel must deliver again; an event that can never
// be stored is set aside in quarantine with its raw bytes, and acknowledged. An outgoing message ends as sent, failed or
// uncertain, each with a reason, and never silently.
//
// Lock order of every writer: external_ref, identity, contact, lead, conversation, each in ascending order.
package inbox
