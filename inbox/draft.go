package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// EventDraftUpdated goes to the draft's own agent only.
const EventDraftUpdated = "draft.updated"

const (
	// maxDrafts is how many unfinished texts a screen is given at once, the newest.
	maxDrafts = 200
	// draftTombs is how long the row of an emptied draft is kept: longer than any save can be on its way.
	draftTombs = 7 * 24 * time.Hour
)

// DraftText is what somebody began to write.
type DraftText struct {
	Text        string
	HTML        string
	Note        bool
	ChannelID   *ids.ID
	ReplyTo     *uuid.UUID
	Attachments []uuid.UUID
	Mentions    []Mention
	Letter      *DraftLetter
}

// DraftLetter is what a draft of an e-mail has besides: the envelope once somebody looked at it, and the message that it
// passes on.
type DraftLetter struct {
	Envelope  *DraftEnvelope `json:"envelope"`
	ForwardOf *Quote         `json:"forward_of"`
}

// DraftEnvelope is unfinished too: an address may be half typed.
type DraftEnvelope struct {
	To      []DraftAddress `json:"to" nullable:"false" maxItems:"50"`
	Cc      []DraftAddress `json:"cc" nullable:"false" maxItems:"50"`
	Bcc     []DraftAddress `json:"bcc" nullable:"false" maxItems:"50"`
	Subject string         `json:"subject" maxLength:"2000"`
}

// DraftAddress is a name with an address, as far as it is typed.
type DraftAddress struct {
	Name    string `json:"name" maxLength:"800"`
	Address string `json:"address" maxLength:"320"`
}

// maxLetter bounds what a draft keeps of them, in bytes of JSON.
const maxLetter = 64 << 10

// SavedDraft is an agent's unfinished text in one conversation. It has no words when it was emptied or sent; its version
// goes on.
type SavedDraft struct {
	AgentID        ids.ID       `json:"agent_id"`
	ConversationID ids.ID       `json:"conversation_id"`
	Version        int          `json:"version" doc:"0 = there never was one"`
	Text           string       `json:"text"`
	HTML           string       `json:"html"`
	Note           bool         `json:"note"`
	ChannelID      *ids.ID      `json:"channel_id"`
	ReplyTo        *Quote       `json:"reply_to"`
	Attachments    []Attachment `json:"attachments" nullable:"false"`
	Mentions       []Mention    `json:"mentions" nullable:"false"`
	Letter         *DraftLetter `json:"letter" doc:"of an e-mail"`
	Truncated      bool         `json:"truncated" doc:"in an event: too long for it, fetch the draft"`
	UpdatedAt      time.Time    `json:"updated_at"`
}

const (
	draftColumns = `d.agent_id, d.conversation_id, d.version, d.text, d.html, d.note, d.channel_id, d.reply_to, d.attachments, d.mentions, d.letter, d.updated_at`

	listDraftsSQL = `SELECT ` + draftColumns + ` FROM draft d JOIN conversation c ON c.id = d.conversation_id
WHERE d.agent_id = $2::bigint AND (d.text <> '' OR d.attachments <> '{}') AND ` + visibleSQL + `
ORDER BY d.updated_at DESC LIMIT $4`

	getDraftSQL = `SELECT ` + draftColumns + ` FROM draft d WHERE d.agent_id = $1 AND d.conversation_id = $2 FOR UPDATE`

	// who was quicker has the row; the loser is told by the version that comes back
	insertDraftSQL = `INSERT INTO draft AS d (agent_id, conversation_id, version, text, html, note, channel_id, reply_to, attachments, mentions, letter)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING ` + draftColumns

	updateDraftSQL = `UPDATE draft d SET version = d.version + 1, text = $4, html = $5, note = $6, channel_id = $7, reply_to = $8,
	attachments = $9, mentions = $10, letter = $11, updated_at = now()
WHERE d.agent_id = $1 AND d.conversation_id = $2 AND d.version = $3 RETURNING ` + draftColumns

	// what was sent is no draft any more, unless something newer was typed elsewhere meanwhile
	sentDraftSQL = `UPDATE draft d SET version = d.version + 1, text = '', html = '', note = false, channel_id = NULL, reply_to = NULL,
	attachments = '{}', mentions = '[]', letter = NULL, updated_at = now()
WHERE d.agent_id = $1 AND d.conversation_id = $2 AND d.version <= $3 AND (d.text <> '' OR d.attachments <> '{}') RETURNING ` + draftColumns

	sweepDraftsSQL = `DELETE FROM draft WHERE text = '' AND attachments = '{}' AND updated_at < now() - make_interval(secs => $1)`

	draftUploadsSQL = `SELECT id FROM attachment WHERE id = ANY ($1::uuid[]) AND uploader_id = $2 AND message_id IS NULL AND state = 'ok' FOR UPDATE`

	draftFilesSQL = `SELECT ` + attachmentColumns + ` FROM attachment WHERE id = ANY ($1::uuid[]) AND uploader_id = $2 AND message_id IS NULL`

	draftQuotesSQL = `SELECT m.at, m.id FROM message m WHERE m.conversation_id = $1 AND m.id = $2`
)

// draftRow is a draft as it is stored.
type draftRow struct {
	SavedDraft
	replyTo *uuid.UUID
	files   []uuid.UUID
	letter  []byte
}

func scanDraft(row pgx.CollectableRow) (draftRow, error) {
	var r draftRow
	var mentions []byte
	err := row.Scan(&r.AgentID, &r.ConversationID, &r.Version, &r.Text, &r.HTML, &r.Note, &r.ChannelID, &r.replyTo, &r.files, &mentions, &r.letter, &r.UpdatedAt)
	if err == nil {
		err = json.Unmarshal(mentions, &r.Mentions)
	}
	if err == nil && len(r.letter) > 0 {
		err = json.Unmarshal(r.letter, &r.Letter)
	}
	r.UpdatedAt, r.Attachments, r.Mentions = r.UpdatedAt.UTC(), []Attachment{}, orEmpty(r.Mentions)
	return r, err
}

func oneDraft(ctx context.Context, db postgres.DB, sql string, args ...any) (draftRow, bool, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return draftRow{}, false, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanDraft)
	if errors.Is(err, pgx.ErrNoRows) {
		return draftRow{}, false, nil
	}
	return r, err == nil, err
}

func (t *DraftText) check() error {
	t.Text, t.HTML = storable(t.Text, 4*maxSendText), storable(t.HTML, 4*maxSendText)
	switch {
	case utf8.RuneCountInString(t.Text) > maxSendText:
		return errs.Field("text", "has more than %d characters", maxSendText)
	case len(t.Attachments) > maxSendFiles:
		return errs.Field("attachments", "has more than %d files", maxSendFiles)
	case len(t.Mentions) > maxMentions:
		return errs.Field("mentions", "names more than %d", maxMentions)
	}
	if len(t.letter()) > maxLetter {
		return errs.Field("letter", "is too long")
	}
	if t.Text == "" && len(t.Attachments) == 0 {
		*t = DraftText{} // an empty one has nothing to refer with
	}
	t.Attachments, t.Mentions = orEmpty(t.Attachments), orEmpty(t.Mentions)
	return nil
}

// letter is what the row keeps; the types always marshal.
func (t DraftText) letter() []byte {
	if t.Letter == nil {
		return nil
	}
	b, err := events.Marshal(t.Letter)
	if err != nil {
		return nil
	}
	return b
}

func (r *draftRow) says(t DraftText) bool {
	return r.Text == t.Text && r.HTML == t.HTML && r.Note == t.Note && idOf(r.ChannelID) == idOf(t.ChannelID) &&
		(r.replyTo == nil) == (t.ReplyTo == nil) && (r.replyTo == nil || *r.replyTo == *t.ReplyTo) &&
		slices.Equal(r.files, t.Attachments) && slices.Equal(r.Mentions, t.Mentions) && bytes.Equal(r.letter, t.letter())
}

// Drafts lists the caller's unfinished texts in conversations that he sees, newest first.
func (d *Desk) Drafts(ctx context.Context, a staff.Access) ([]SavedDraft, error) {
	rows, err := d.pool.Query(ctx, listDraftsSQL, who(a, maxDrafts)...)
	if err != nil {
		return nil, fmt.Errorf("list drafts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanDraft)
	if err != nil {
		return nil, fmt.Errorf("list drafts: %w", err)
	}
	out := make([]SavedDraft, len(list))
	for i := range list {
		if out[i], err = list[i].whole(ctx, d.pool); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DraftOf returns the caller's draft in a conversation that he sees; one of version 0 when there never was any.
func (d *Desk) DraftOf(ctx context.Context, a staff.Access, conversation ids.ID) (SavedDraft, error) {
	var out SavedDraft
	err := postgres.InTx(ctx, d.pool, func(tx pgx.Tx) error {
		if err := readable(ctx, tx, a, int64(conversation)); err != nil {
			return err
		}
		r, found, err := oneDraft(ctx, tx, getDraftSQL, int64(a.AgentID), int64(conversation))
		if err != nil {
			return fmt.Errorf("read draft: %w", err)
		}
		if !found {
			r = draftRow{SavedDraft: SavedDraft{AgentID: a.AgentID, ConversationID: conversation, Attachments: []Attachment{}, Mentions: []Mention{}}}
		}
		out, err = r.whole(ctx, tx)
		return err
	})
	return out, err
}

// SaveDraft keeps what the caller has typed so far, over the version that he started from (0 = he knows of none).
// Somebody who knows an older version is refused with errs.Conflict and Extra "draft", so that neither of two devices
// overwrites what the other has typed. The same text again changes nothing.
func (d *Desk) SaveDraft(ctx context.Context, a staff.Access, conversation ids.ID, base int, t DraftText) (SavedDraft, error) {
	if err := may(a, staff.Reply, "write answers"); err != nil {
		return SavedDraft{}, err
	}
	if err := t.check(); err != nil {
		return SavedDraft{}, err
	}
	var out SavedDraft
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		id := int64(conversation)
		if err := readable(ctx, tx, a, id); err != nil {
			return nil, err
		}
		if err := ownUploads(ctx, tx, a, t.Attachments); err != nil {
			return nil, err
		}
		was, found, err := oneDraft(ctx, tx, getDraftSQL, int64(a.AgentID), id)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read draft: %w", err)
		case found && was.says(t), !found && t.Text == "" && len(t.Attachments) == 0:
			was.AgentID, was.ConversationID = a.AgentID, conversation
			out, err = was.whole(ctx, tx)
			return nil, err
		case found && was.Version != base:
			return nil, was.refuse(ctx, tx)
		}
		now, written, err := putDraft(ctx, tx, a, id, base, found, t)
		if err != nil {
			return nil, fmt.Errorf("save draft: %w", err)
		}
		if !written { // another device was quicker by a hair
			if was, _, err = oneDraft(ctx, tx, getDraftSQL, int64(a.AgentID), id); err != nil {
				return nil, fmt.Errorf("read draft: %w", err)
			}
			return nil, was.refuse(ctx, tx)
		}
		out, err = now.whole(ctx, tx)
		return []events.Event{draftEvent(a, out)}, err
	})
	return out, err
}

func putDraft(ctx context.Context, tx pgx.Tx, a staff.Access, conversation int64, base int, found bool, t DraftText) (draftRow, bool, error) {
	mentions, err := json.Marshal(t.Mentions)
	if err != nil {
		return draftRow{}, false, err
	}
	sql, version := updateDraftSQL, base
	if !found {
		sql, version = insertDraftSQL, base+1
	}
	return oneDraft(ctx, tx, sql, int64(a.AgentID), conversation, version, t.Text, t.HTML, t.Note, t.ChannelID, t.ReplyTo, t.Attachments, mentions, t.letter())
}

// refuse tells a device that knows an older version what stands there now.
func (r *draftRow) refuse(ctx context.Context, db postgres.DB) error {
	now, err := r.whole(ctx, db)
	if err != nil {
		return err
	}
	return &errs.E{
		Code: errs.Conflict, Msg: "This draft was changed on another device meanwhile.",
		Extra: map[string]any{"reason": "draft", "draft": now},
	}
}

// whole adds the files and the quoted message. A file that is gone, or a message, is left out.
func (r *draftRow) whole(ctx context.Context, db postgres.DB) (SavedDraft, error) {
	out := r.SavedDraft
	out.Attachments, out.Mentions = []Attachment{}, orEmpty(out.Mentions)
	if len(r.files) > 0 {
		rows, err := db.Query(ctx, draftFilesSQL, r.files, int64(r.AgentID))
		if err != nil {
			return out, fmt.Errorf("read files of draft: %w", err)
		}
		files, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Attachment, error) { return scanAttachment(row) })
		if err != nil {
			return out, fmt.Errorf("read files of draft: %w", err)
		}
		for _, id := range r.files {
			if i := slices.IndexFunc(files, func(f Attachment) bool { return f.ID == id }); i >= 0 {
				out.Attachments = append(out.Attachments, files[i])
			}
		}
	}
	if r.replyTo == nil {
		return out, nil
	}
	var key MessageKey
	err := db.QueryRow(ctx, draftQuotesSQL, int64(r.ConversationID), *r.replyTo).Scan(&key.At, &key.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read quoted message: %w", err)
	}
	items, err := loadItems(ctx, db, []MessageKey{key})
	if err != nil || len(items) == 0 {
		return out, err
	}
	out.ReplyTo = &Quote{ID: items[0].ID, Author: items[0].Author.Name, Text: clipRunes(items[0].Text, maxQuoteText)}
	return out, nil
}

// draftSent ends the draft that was just sent, in the transaction of the send. version is the newest that the sender
// knew; 0 = he sent without one.
func draftSent(ctx context.Context, tx pgx.Tx, a staff.Access, conversation int64, version int) ([]events.Event, error) {
	if version == 0 {
		return nil, nil
	}
	r, found, err := oneDraft(ctx, tx, sentDraftSQL, int64(a.AgentID), conversation, version)
	if err != nil {
		return nil, fmt.Errorf("end draft: %w", err)
	}
	if !found {
		return nil, nil
	}
	return []events.Event{draftEvent(a, r.SavedDraft)}, nil
}

func draftEvent(a staff.Access, s SavedDraft) events.Event {
	if b, err := json.Marshal(s); err != nil || len(b) > maxEventItem {
		s.Text, s.HTML, s.Attachments, s.Truncated = "", "", []Attachment{}, true
	}
	return events.Event{
		Kind: EventDraftUpdated, Actor: a.Actor(), SubjectKind: "draft", SubjectID: s.ConversationID.String(),
		ConversationID: int64(s.ConversationID), Payload: s,
	}
}

func readable(ctx context.Context, db postgres.DB, a staff.Access, conversation int64) error {
	var team, assignee int64
	err := db.QueryRow(ctx, readableSQL, who(a, conversation)...).Scan(&team, &assignee)
	if errors.Is(err, pgx.ErrNoRows) {
		return noConversation()
	}
	if err != nil {
		return fmt.Errorf("look at conversation %d: %w", conversation, err)
	}
	return nil
}

// ownUploads refuses files that are not the caller's, or belong to a message already.
func ownUploads(ctx context.Context, tx pgx.Tx, a staff.Access, files []uuid.UUID) error {
	if len(files) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, draftUploadsSQL, files, int64(a.AgentID))
	if err != nil {
		return fmt.Errorf("look at uploads: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("look at uploads: %w", err)
	}
	for i, f := range files {
		if !slices.Contains(found, f) || slices.Index(files, f) != i {
			return errs.Field("attachments", "%s is no upload of yours, or is used already", f)
		}
	}
	return nil
}

// SweepDrafts forgets the rows of drafts that ended long ago.
func (d *Desk) SweepDrafts(ctx context.Context) error {
	_, err := d.pool.Exec(ctx, sweepDraftsSQL, draftTombs.Seconds())
	return err
}
