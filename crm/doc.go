// Package crm knows the people who are served: contacts, the identities by which they are recognised, leads, and merges.
//
// Invariants. An identity (kind, value) belongs to exactly one contact; it is claimed (insert, on conflict do nothing,
// then read under a row lock), never searched and then inserted. identity.contact_id always names a live contact: a
// merge moves the identities first. A contact has at most one open lead per pipeline. A merge records every row it
// moves and can be undone; history keeps the identity through which it came.
//
// Failure. Claim runs inside the caller's transaction and leaves nothing behind when that rolls back. Concurrent claims
// and merges of the same people wait for each other in key order; a deadlock that slips through (40P01) is retried by
// the caller's transaction loop.
package crm
