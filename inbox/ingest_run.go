package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/events"
)

// ingestRun is one transaction of the way in. Its steps, each a fixed number of statements whatever the batch's size:
//
//  1. claim: leases checked, channels read, delivery and message keys claimed, targets of replies and edits found
//  2. people: identities claimed, contacts found, made or merged (crm.Claim), leads opened
//  3. conversations: found, reopened or prepared, and locked
//  4. messages, conversations, cursors and events written, pipelined
//  5. edits, reactions and statuses of messages that exist now, in their order
type ingestRun struct {
	g        *Ingester
	jobs     []*job
	all      []*inEvent
	channels map[int64]channelRow
	convs    map[convKey]*convState
	order    []*convState
	targets  map[refKey]MessageKey
	quotes   map[MessageKey]Quote
	w        ingestWriter
	stored   int
	doubled  int
	media    map[int64]bool // channels with something to fetch
}

// inEvent is one event on its way through the run.
type inEvent struct {
	channels.Inbound
	job    *job
	ch     channelRow
	fresh  bool // this delivery is new
	first  bool // and so is the message it carries
	id     uuid.UUID
	at     time.Time
	person crm.Claimed // whose conversation it is: the sender, or the group
	sender crm.Claimed // who wrote; the same as person outside groups
	claim  int         // index of person's claim; -1 = none
	member int         // index of the sender's claim in a group; -1 = none
	others []int       // indexes of the claims of further recipients
	with   []int64     // their identities
	conv   *convState
	// stranger is a conversation that the message refers to although its sender takes no part there; 0 = none
	stranger int64
}

type refKey struct {
	channel int64
	key     string
}

type channelRow struct {
	ID         int64
	Kind       string
	TeamID     *int64
	PipelineID *int64
	Region     string
	ReopenDays int
	Sample     bool
	Sticky     bool
}

func newIngestRun(g *Ingester, jobs []*job) *ingestRun {
	r := &ingestRun{
		g: g, jobs: jobs, channels: map[int64]channelRow{}, convs: map[convKey]*convState{}, targets: map[refKey]MessageKey{},
		quotes: map[MessageKey]Quote{}, media: map[int64]bool{},
	}
	for _, j := range jobs {
		for _, in := range j.batch.Events {
			if in.Kind == channels.TypingNow { // ephemeral: it never reaches the database
				continue
			}
			r.all = append(r.all, &inEvent{Inbound: storableInbound(in), job: j, claim: -1, member: -1})
		}
	}
	return r
}

func (r *ingestRun) run(ctx context.Context, tx pgx.Tx) error {
	if err := r.claim(ctx, tx); err != nil {
		return fmt.Errorf("claim deliveries: %w", err)
	}
	fresh := r.all[:0:0]
	for _, e := range r.all {
		if e.fresh {
			fresh = append(fresh, e)
		} else {
			r.doubled++
		}
	}
	r.all = fresh
	if err := r.findPeople(ctx, tx); err != nil {
		return err
	}
	if err := r.findThreads(ctx, tx); err != nil {
		return fmt.Errorf("find threads: %w", err)
	}
	if err := r.findConversations(ctx, tx); err != nil {
		return fmt.Errorf("find conversations: %w", err)
	}
	if err := r.readQuotes(ctx, tx); err != nil {
		return fmt.Errorf("read quoted messages: %w", err)
	}
	for _, e := range r.all {
		if e.conv != nil {
			if err := r.add(e); err != nil {
				return err
			}
		}
	}
	if err := r.write(ctx, tx); err != nil {
		return fmt.Errorf("write messages: %w", err)
	}
	for _, e := range r.all {
		if err := r.applyChange(ctx, tx, e); err != nil {
			return fmt.Errorf("apply %s: %w", e.Kind, err)
		}
	}
	return nil
}

// carriesMessage reports whether the event becomes a row of the timeline.
func (e *inEvent) carriesMessage() bool {
	switch e.Kind {
	case channels.Message, channels.Undecryptable, channels.Membership:
		return true
	case channels.Edit: // of a message that we never saw: it is the message now
		return e.first
	}
	return false
}

// findPeople claims the senders (and groups) of the events that have one, and opens leads for those who wrote.
func (r *ingestRun) findPeople(ctx context.Context, tx pgx.Tx) error {
	known, err := r.knownSenders(ctx, tx)
	if err != nil {
		return fmt.Errorf("look for known senders: %w", err)
	}
	var claims []crm.Claim
	for _, e := range r.all {
		if !e.carriesMessage() && !known[e] {
			continue
		}
		if e.Sender.Unproven && !e.first { // the message is there already: what else is said with it makes nobody
			continue
		}
		e.claim = len(claims)
		if e.Group != nil {
			claims = append(claims, r.claimOf(e, *e.Group, true))
			if len(e.Sender.Identities) > 0 {
				e.member = len(claims)
				claims = append(claims, r.claimOf(e, e.Sender, false))
			}
		} else {
			claims = append(claims, r.claimOf(e, e.Sender, false))
		}
	}
	if claims, err = r.takingPart(ctx, tx, claims); err != nil {
		return fmt.Errorf("read our addresses: %w", err)
	}
	found, err := r.g.people.Claim(ctx, tx, claims)
	if err != nil {
		return fmt.Errorf("claim people: %w", err)
	}
	var wants []crm.LeadWant
	for _, e := range r.all {
		if e.claim < 0 {
			continue
		}
		e.person = found[e.claim]
		e.sender = e.person
		if e.member >= 0 {
			e.sender = found[e.member]
		}
		for _, i := range e.others {
			e.with = append(e.with, found[i].IdentityID)
		}
		if e.Kind == channels.Message && e.first && e.Direction != channels.Out && !e.History && !e.Automatic && e.Group == nil {
			wants = append(wants, crm.LeadWant{
				ContactID: e.person.ContactID, ContactName: e.person.Name, PipelineID: valueOf(e.ch.PipelineID), ChannelID: e.ch.ID,
				Source: e.ch.Kind, OwnerID: e.person.OwnerID, Attribution: e.Attribution, New: e.person.Created,
			})
		}
	}
	leads, err := crm.OpenLeads(ctx, tx, wants)
	if err != nil {
		return fmt.Errorf("open leads: %w", err)
	}
	r.w.leads = leads
	return nil
}

// knownSenders tells which events of people who did not write (a reaction, a change of name or of reachability) come
// from somebody known: they make no contact by themselves.
func (r *ingestRun) knownSenders(ctx context.Context, tx pgx.Tx) (map[*inEvent]bool, error) {
	var events []*inEvent
	var addresses []crm.Address
	for _, e := range r.all {
		if e.Kind != channels.ContactUpdate && e.Kind != channels.Reaction {
			continue
		}
		events, addresses = append(events, e), append(addresses, r.claimOf(e, e.Sender, false).Addresses[0])
	}
	found, err := crm.Known(ctx, tx, addresses)
	if err != nil {
		return nil, err
	}
	out := map[*inEvent]bool{}
	for i, e := range events {
		out[e] = found[i]
	}
	return out, nil
}

// claimOf says who a person is. A person without any usable address (a hidden sender) is known by the chat alone.
func (r *ingestRun) claimOf(e *inEvent, p channels.Person, group bool) crm.Claim {
	scope := fmt.Sprintf("%s:%d", e.ch.Kind, e.ch.ID)
	c := crm.Claim{
		Name: p.Name, Display: p.Username, Language: p.Language, Source: e.ch.Kind, Group: group, Sample: e.ch.Sample,
		Attribution: e.Attribution, Unreachable: p.Unreachable,
	}
	for _, id := range p.Identities {
		if a, ok := crm.Normalise(id.Kind, id.Value, id.Raw, e.ch.Region, scope); ok {
			c.Addresses = append(c.Addresses, a)
		}
	}
	if p.Unproven {
		c.Unproven, c.Asserted, c.Addresses = true, c.Addresses, []crm.Address{anonymous(scope, e.Chat, c.Addresses)}
	}
	if len(c.Addresses) == 0 {
		c.Addresses = []crm.Address{{Kind: "external:" + e.ch.Kind, Value: scope + ":" + e.Chat}}
	}
	return c
}

// anonymous is the key by which an unproven sender is found again: all that he says of himself, so that nobody who knows
// one of somebody's addresses comes to stand beside the others. Who says nothing is new each time.
func anonymous(scope, chat string, said []crm.Address) crm.Address {
	if len(said) == 0 {
		return crm.Address{Kind: crm.KindAnonymous, Value: scope + ":" + chat}
	}
	words := make([]string, len(said))
	for i, a := range said {
		words[i] = a.Kind + "=" + a.Value
	}
	slices.Sort(words)
	sum := sha256.Sum256([]byte(strings.Join(words, "\n")))
	return crm.Address{Kind: crm.KindAnonymous, Value: scope + ":" + hex.EncodeToString(sum[:])}
}

// add puts a message into its conversation, in memory; write stores both.
func (r *ingestRun) add(e *inEvent) error {
	c := e.conv
	if !e.carriesMessage() {
		return nil
	}
	if e.person.Created && !c.introduced && e.Group == nil && !e.History {
		c.introduced = true
		defer r.w.introduce(r, e)
	}
	m := newMessage{
		at: e.at, id: e.id, conversation: c, identity: e.sender.IdentityID, kind: "message", content: e.Content, direction: string(channels.In),
		authorKind: "contact", authorID: e.sender.ContactID, authorName: e.sender.Name, text: e.Text, html: e.HTML, subject: e.Subject,
		data: e.Data, status: "received", provider: e.ProviderID, album: e.Album, history: e.History, raw: e.Raw,
	}
	if e.Direction == channels.Out {
		m.direction, m.authorKind, m.authorID, m.authorName, m.status = string(channels.Out), "agent", 0, "", "sent"
	}
	switch e.Kind {
	case channels.Membership:
		m.kind, m.content, m.authorKind, m.authorID, m.authorName = "event", "event", "system", 0, ""
		m.data = withEvent(e.Data, "member")
	case channels.Undecryptable:
		m.content = "undecryptable"
	case channels.Edit:
		m.edited = true
	}
	if key, ok := r.targets[refKey{e.ch.ID, e.ReplyTo}]; ok && e.ReplyTo != "" {
		m.replyTo = &key
		if q, ok := r.quotes[key]; ok {
			m.quote = &q
		} else {
			m.quote = r.w.quoteOf(key)
		}
	}
	c.take(&m, e, r.g.now())
	r.w.message(m)
	for i, f := range e.Media {
		r.w.attach(e, m, i, f)
		if f.TooBig == "" {
			r.media[e.ch.ID] = true
		}
	}
	if e.member >= 0 || len(e.Recipients) > 0 {
		r.w.participant(c, e.sender.IdentityID)
	}
	for _, id := range e.with {
		r.w.participant(c, id)
	}
	r.stored++
	return nil
}

// withEvent names the system event in the item's data, from which the screen words it.
func withEvent(data json.RawMessage, name string) json.RawMessage {
	m := map[string]any{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &m); err != nil {
			m = map[string]any{}
		}
	}
	m["event"] = name
	b, err := json.Marshal(m)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return b
}

func valueOf(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

var systemActor = events.Actor{Kind: "system"}
