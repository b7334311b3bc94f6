// Package telegram connects a Telegram bot, and the business accounts that it serves, to the hub.
//
// Invariants. An update is acknowledged (the offset of the next getUpdates moves past it, or the webhook answers 200)
// only after Sink.Ingest returned nil. Conversion is pure: the same bytes give the same events, and bytes that nobody
// understands become an event with Content "unknown" and the bytes kept, never a stuck queue. A message is never sent
// a second time unless Telegram surely did not take the first: a refusal, or a connection that was never made.
//
// Failure. Run reports trouble as a state and tries again by itself: an unreachable server, a second poller of the same
// token (409), a revoked token (401, needs_login, tried again slowly), a limit (429, obeyed). The bot's token is part
// of every address of the Bot API; no error, state or log line of this package carries an address.
//
// The Bot API client is our own (api.go). The library's poller and webhook acknowledge before the work is done, and its
// sending tells neither a request that was never written from one that was, nor an API error from garbage; its types
// of the incoming objects are used.
package telegram
