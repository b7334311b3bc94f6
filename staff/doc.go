// Package staff is the room of the people who work: agents and their teams, working hours and absences, who is on duty,
// how they sign in (sessions, API tokens, invitations, the first admin's link), what they may do, and the settings of
// the installation.
//
// Invariants. There is always at least one enabled admin once there was one. A secret (password, session, token, link)
// is stored only as a hash and given out once. Whoever is disabled has no session, no token and no open invitation of
// his, by the same transaction that disables him. Every change appends its event to the spine in its own transaction.
// What an agent may do is decided by one table (access.go) and read from the database with every request, so that a
// change holds from the next request on; open sockets follow the events agent.updated and session.ended.
//
// Failure. Methods return *errs.E for what the caller can act on; everything else is ours and temporary at best. Nothing
// is half done: one method, one transaction.
package staff
