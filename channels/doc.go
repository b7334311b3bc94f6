// Package channels is the contract between the hub and the ways on which customers reach it, and the supervisor that
// keeps one adapter per channel running.
//
// Invariants. An adapter acknowledges an event to its provider only after Sink.Ingest returned nil, for then the event
// stands in a committed row. The core never learns a channel's kind beyond the string: what only some channels can do
// is told by Capabilities (data) or by an optional interface (behaviour).
//
// Failure. Ingest returning an error means "not stored, come again". Run never returns a connection error for trouble
// that may pass: it reports a State and tries again by itself, or returns an error and is restarted with back-off.
package channels
