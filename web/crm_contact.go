package web

import (
	"context"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/ids"
)

// cardTalks is how many conversations a contact's card names.
const cardTalks = 50

type contactListIn struct {
	Page
	Search string `query:"q" maxLength:"800" doc:"a piece of the name or of an address; phone numbers in any spelling"`
}

func (s *Server) contactList(ctx context.Context, in *contactListIn) (*listed[crm.Contact], error) {
	var after crm.ContactKey
	if err := in.after(&after); err != nil {
		return nil, err
	}
	rows, err := s.deps.CRM.Contacts(ctx, in.Search, after, in.Limit+1)
	return list(rows, err, in.Page, func(c crm.Contact) any { return crm.ContactKey{At: c.UpdatedAt, ID: c.ID} })
}

func (s *Server) contactShow(ctx context.Context, in *idIn) (*one[crm.Contact], error) {
	c, err := s.deps.CRM.Contact(ctx, int64(in.ID))
	if err != nil {
		return nil, err
	}
	return s.card(ctx, c)
}

// card adds the conversations that the caller may see: contacts are everybody's, what was said is not.
func (s *Server) card(ctx context.Context, c crm.Contact) (*one[crm.Contact], error) {
	talks, err := s.deps.Desk.ContactConversations(ctx, CallerFrom(ctx), c.ID, cardTalks)
	if err != nil {
		return nil, err
	}
	for i := range talks {
		t := &talks[i]
		c.Conversations = append(c.Conversations, crm.PastTalk{
			ID: t.ID, Number: t.Number, ChannelKind: t.ChannelKind, Status: string(t.Status), LastAt: t.LastAt, LastText: t.LastText,
		})
	}
	return answer(c, nil)
}

// typedIdentity is an address as somebody wrote it.
type typedIdentity struct {
	Kind  string `json:"kind" maxLength:"64"`
	Value string `json:"value" maxLength:"1200"`
}

func typed(in []typedIdentity) []crm.Typed {
	out := make([]crm.Typed, len(in))
	for i, t := range in {
		out[i] = crm.Typed(t)
	}
	return out
}

type contactCreateIn struct {
	Body struct {
		Name       string          `json:"name" maxLength:"800"`
		Identities []typedIdentity `json:"identities,omitempty" nullable:"false" maxItems:"20"`
		OwnerID    *ids.ID         `json:"owner_id,omitempty" nullable:"true"`
		Tags       []string        `json:"tags,omitempty" nullable:"false" maxItems:"100"`
		Fields     map[string]any  `json:"fields,omitempty"`
	}
}

func (s *Server) contactCreate(ctx context.Context, in *contactCreateIn) (*one[crm.Contact], error) {
	settings, err := s.deps.Staff.Settings(ctx)
	if err != nil {
		return nil, err
	}
	b := in.Body
	return answer(s.deps.CRM.CreateContact(ctx, CallerFrom(ctx).Actor(), crm.NewContact{
		Name: b.Name, Identities: typed(b.Identities), Owner: ids.Of(b.OwnerID), Tags: b.Tags, Fields: b.Fields,
	}, settings.PhoneRegion))
}

type contactUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version          int             `json:"version" minimum:"1"`
		Name             *string         `json:"name,omitempty" maxLength:"800"`
		OwnerID          ids.Patch       `json:"owner_id,omitempty"`
		Tags             *[]string       `json:"tags,omitempty" maxItems:"100"`
		Fields           map[string]any  `json:"fields,omitempty" doc:"merged by name; null takes a field away"`
		IdentitiesAdd    []typedIdentity `json:"identities_add,omitempty" nullable:"false" maxItems:"20"`
		IdentitiesRemove []ids.ID        `json:"identities_remove,omitempty" nullable:"false" maxItems:"100"`
	}
}

func (s *Server) contactUpdate(ctx context.Context, in *contactUpdateIn) (*one[crm.Contact], error) {
	settings, err := s.deps.Staff.Settings(ctx)
	if err != nil {
		return nil, err
	}
	b := in.Body
	c, err := s.deps.CRM.UpdateContact(ctx, CallerFrom(ctx).Actor(), int64(in.ID), crm.ContactPatch{
		Version: b.Version, Name: b.Name, Owner: b.OwnerID, Tags: b.Tags, Fields: b.Fields,
		IdentitiesAdd: typed(b.IdentitiesAdd), IdentitiesRemove: b.IdentitiesRemove,
	}, settings.PhoneRegion)
	if err != nil {
		return nil, err
	}
	return s.card(ctx, c)
}

func (s *Server) contactErase(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.CRM.EraseContact(ctx, CallerFrom(ctx).Actor(), int64(in.ID)))
}

type contactMergeIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		From []ids.ID `json:"from" nullable:"false" minItems:"1" maxItems:"50"`
	}
}

// mergeResult is what a merge by hand gives: either id, or one of merges, can be undone.
type mergeResult struct {
	ID      ids.ID      `json:"id" doc:"all of them; undo takes it"`
	Merges  []ids.ID    `json:"merges" nullable:"false" doc:"one by one; undo takes each"`
	Contact crm.Contact `json:"contact"`
}

func (s *Server) contactMerge(ctx context.Context, in *contactMergeIn) (*one[mergeResult], error) {
	from := make([]int64, len(in.Body.From))
	for i, id := range in.Body.From {
		from[i] = int64(id)
	}
	a := CallerFrom(ctx)
	m, err := s.deps.CRM.Merge(ctx, a.Actor(), int64(in.ID), from)
	if err != nil {
		return nil, err
	}
	c, err := s.merged(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(mergeResult{ID: ids.ID(m.Batch), Merges: ids.From(m.Merges), Contact: *c}, nil)
}

func (s *Server) mergeUndo(ctx context.Context, in *idIn) (*one[crm.Contact], error) {
	alone, err := s.deps.CRM.UndoEither(ctx, CallerFrom(ctx).Actor(), int64(in.ID))
	if err != nil {
		return nil, err
	}
	return answerPtr(s.merged(ctx, ids.ID(alone)))
}

func (s *Server) merged(ctx context.Context, id ids.ID) (*crm.Contact, error) {
	c, err := s.deps.CRM.Contact(ctx, int64(id))
	if err != nil {
		return nil, err
	}
	card, err := s.card(ctx, c)
	if err != nil {
		return nil, err
	}
	return &card.Body, nil
}

func answerPtr[T any](v *T, err error) (*one[T], error) {
	if err != nil {
		return nil, err
	}
	return &one[T]{Body: *v}, nil
}
