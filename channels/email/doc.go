// Package email connects a mailbox to the hub: IMAP brings mail in, SMTP takes it out.
//
// Invariants. A message counts as taken only when Sink.Ingest returned nil; the place in the folder (UIDVALIDITY and the
// next UID) is stored in the same transaction. Nothing is changed in the mailbox: folders are opened for reading, bodies
// are fetched without setting \Seen, and \Seen is never looked at. Conversion is pure: the same bytes give the same event,
// and bytes that nobody understands become a message that shows them. An address in a From header proves nothing:
// whatever ties a message to a conversation is checked by the hub against who takes part there, and tokens of ours carry
// a MAC.
//
// Failure. Trouble with a server is reported as a state and tried again with growing pauses. A send has its Message-ID
// before the network is touched and keeps it when it is repeated.
package email
