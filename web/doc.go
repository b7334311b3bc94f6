// Package web is the HTTP edge: it decodes, asks a room, and answers. It holds no rule of the business and no SQL but
// that of the table idempotency.
//
// # Adding an operation
//
// Every way in stands in a table of routes: routes.go for staff and the machinery, and one function per room
// (inbox_routes.go, crm_routes.go, channel_routes.go). A line names method, path, who may call, and the handler:
//
//	patch("/api/leads/{id}", may(staff.EditContacts), op(s.leadUpdate)),
//
// Who may call is one of
//
//	public            nobody needs to be signed in (set-up, sign-in, webhooks)
//	signedIn          any agent; a token needs scope read for GET and write for the rest
//	sessionOnly       a person in a browser, never a token (passwords, sessions, tokens)
//	may(permission)   an agent whose role (and token) has it
//
// There is no default: a route without it does not compile, and a test crawls the table for 401 and 403. A route that
// changes something shared needs a permission, since an auditor is signed in too. Options follow the handler:
// status(202), body(uploadLimit), within(time.Minute), secretAnswer().
//
// A handler is decode, room, answer, in a file noun_verb.go (or noun.go when small):
//
//	type leadUpdateIn struct {
//		ID   ids.ID `path:"id"`
//		Body crm.LeadPatch
//	}
//
//	func (s *Server) leadUpdate(ctx context.Context, in *leadUpdateIn) (*one[crm.Lead], error) {
//		lead, err := s.deps.CRM.UpdateLead(ctx, CallerFrom(ctx), in.ID, in.Body)
//		return answer(lead, err)
//	}
//
// Lists take an embedded Page and answer with listed: ask the room for in.Limit+1 rows, and list makes the next cursor
// from the last row that is given out:
//
//	type leadListIn struct {
//		Page
//		Contact ids.ID `query:"contact"`
//	}
//
//	func (s *Server) leadList(ctx context.Context, in *leadListIn) (*listed[crm.Lead], error) {
//		var after struct{ At time.Time; ID ids.ID }           // whatever the keyset is; zero for the first page
//		if err := in.after(&after); err != nil {
//			return nil, err
//		}
//		rows, err := s.deps.CRM.Leads(ctx, CallerFrom(ctx), in.Contact, after.At, after.ID, in.Limit+1)
//		return list(rows, err, in.Page, func(l crm.Lead) any { return leadKey{l.UpdatedAt, l.ID} })
//	}
//
// A room that makes cursors itself returns them: listedWith(items, next, err).
// Errors go up as they are: respond.go alone maps errs codes to HTTP, keeps errs.E.Extra as members of the problem, and
// turns the rest into a 500 with an id. Unknown fields of a body are refused by huma. An optional field is a pointer
// with omitempty, a slice has nullable:"false", an id is ids.ID, "leave, or nobody" is ids.Patch. Two
// types of one name in different rooms get their room's name in the OpenAPI document. A file, a stream or a websocket is
// raw(func(w http.ResponseWriter, r *http.Request) error) instead of op; it gets the same guard.
// Add what a room's handlers need as a field of Deps; OpenAPI() builds the table with empty Deps, so nothing may be
// called while routes are made.
//
// # Idempotency-Key
//
// Every POST of a signed-in caller takes the header. The key is claimed in a transaction of its own before the handler
// runs, the answer is stored after it; the same key and request get the stored answer, another request 422, one still
// running 409. Only what succeeded is stored: after an error the key is free again. A crash in between leaves a claim
// that is free after 60 s, and the operation may have been done: a room therefore calls idem.Done(ctx, tx) in its
// transaction (staff does for all), which marks the claim in the same commit; a repeat is then told that it was done
// (409, code "done") and never done twice. Answers with a secret are not stored, nor are uploads.
//
// # Invariants
//
// Default deny. Headers (CSP and the rest) are on every answer, errors too. No state changes by GET. The body is
// limited before anything is read. The client's address comes from X-Forwarded-For only when the peer is a trusted
// proxy; links come from the configured address, never from Host. Bodies, queries, cookies and tokens are not logged.
package web
