package inbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// The kinds of things that a search finds.
const (
	FindPeople   = "people"
	FindMessages = "messages"
	FindFiles    = "files"
)

const (
	// searchConns is all that searches may use of the database at once, so that they never stand in anybody's way.
	searchConns = 4
	// searchBudget ends a search, waiting for a connection included; one statement gets less, so that what was found
	// before it can still be shown.
	searchBudget    = 3 * time.Second
	searchStatement = 1500 * time.Millisecond
	// searchPatience is when a search that still finds too little answers with what it has, and where to go on.
	searchPatience = 400 * time.Millisecond

	maxFound = 50
)

// SearchQuery asks for what contains Text, in the language of the search box (search_query.go).
type SearchQuery struct {
	Text   string
	Kinds  []string // none = all
	Limit  int      // of each kind, 0 = 20
	Cursor string   // of one kind: what comes after
	Zone   string   // whose days before: and after: mean; "" = UTC
}

// Piece is a stretch of text; hits are what was asked for.
type Piece struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit"`
}

// Found is the answer of a search, newest first; of a kind that was not asked for there is nothing.
type Found struct {
	People   FoundList[FoundPerson]  `json:"people"`
	Messages FoundList[FoundMessage] `json:"messages"`
	Files    FoundList[FoundFile]    `json:"files"`
}

// FoundList is a page of one kind.
type FoundList[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor"`
	Partial    bool    `json:"partial" doc:"the time was up before everything older was looked at; next_cursor goes on from there"`
}

// FoundPerson is a contact with the address that was found, and his latest conversation that the caller may see.
type FoundPerson struct {
	ID             ids.ID  `json:"id"`
	Kind           string  `json:"kind" enum:"person,group"`
	Name           []Piece `json:"name" nullable:"false"`
	AddressKind    string  `json:"address_kind"`
	Address        []Piece `json:"address" nullable:"false"`
	ConversationID *ids.ID `json:"conversation_id"`
	ChannelKind    string  `json:"channel_kind"`
}

// FoundMessage is a message or a note with the place in its text.
type FoundMessage struct {
	ID             uuid.UUID `json:"id"`
	At             time.Time `json:"at"`
	Kind           string    `json:"kind" enum:"message,note,call,event"`
	Content        string    `json:"content"`
	Direction      string    `json:"direction" enum:"in,out"`
	ConversationID ids.ID    `json:"conversation_id"`
	ChannelKind    string    `json:"channel_kind"`
	Contact        Named     `json:"contact"`
	Author         Author    `json:"author"`
	Text           []Piece   `json:"text" nullable:"false"`
}

// FoundFile is a file with the message that carries it.
type FoundFile struct {
	Attachment     Attachment `json:"attachment"`
	Name           []Piece    `json:"name" nullable:"false"`
	MessageID      uuid.UUID  `json:"message_id"`
	At             time.Time  `json:"at"`
	ConversationID ids.ID     `json:"conversation_id"`
	ChannelKind    string     `json:"channel_kind"`
	Contact        Named      `json:"contact"`
}

// Finder searches people, messages and files. It shows what the caller's Access covers and tells nothing of the rest, not
// even how much there is. Its connections are its own and few, and its statements short: whatever somebody searches for,
// the others notice nothing.
type Finder struct {
	pool     *pgxpool.Pool
	patience time.Duration

	mu     sync.Mutex
	months []month // of the index, newest first
	readAt time.Time
}

// NewFinder opens the finder's own connections to the database of pool.
func NewFinder(ctx context.Context, pool *pgxpool.Pool) (*Finder, error) {
	cfg := pool.Config().Copy()
	cfg.MinConns, cfg.MinIdleConns, cfg.MaxConns = 0, 0, searchConns
	params := cfg.ConnConfig.RuntimeParams
	params["statement_timeout"] = strconv.FormatInt(searchStatement.Milliseconds(), 10)
	params["jit"] = "off"
	// nothing that is searched is small, whatever the statistics say; and no plan fits two questions
	params["enable_seqscan"] = "off"
	params["plan_cache_mode"] = "force_custom_plan"
	own, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connections of the search: %w", err)
	}
	return &Finder{pool: own, patience: searchPatience}, nil
}

// Close closes the finder's connections.
func (f *Finder) Close() { f.pool.Close() }

// search is one question on its way.
type search struct {
	a     staff.Access
	q     query
	limit int
	after spot
	// filters, resolved; nil = any
	authors         []string
	channels, teams []int64
	nobody          bool // a filter fits nothing
	until           time.Time
	wantsP, wantsM  bool
	wantsF          bool
}

// Search finds. A question without anything to look for finds nothing.
func (f *Finder) Search(ctx context.Context, a staff.Access, in SearchQuery) (Found, error) {
	out := Found{}
	out.People.Items, out.Messages.Items, out.Files.Items = []FoundPerson{}, []FoundMessage{}, []FoundFile{}
	s, err := newSearch(a, in)
	s.until = time.Now().Add(f.patience)
	if err != nil {
		return out, err
	}
	if len(s.q.wanted()) == 0 && !s.q.filtered() {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, searchBudget)
	defer cancel()
	if err := f.resolve(ctx, &s); err != nil {
		return out, slow(ctx, err)
	}
	var wg sync.WaitGroup
	var errP, errM, errF error
	if s.wantsP && !s.q.filtered() {
		wg.Go(func() { out.People, errP = f.people(ctx, s) })
	}
	if s.wantsM && !s.nobody {
		wg.Go(func() { out.Messages, errM = f.messages(ctx, s) })
	}
	if s.wantsF && !s.nobody {
		wg.Go(func() { out.Files, errF = f.files(ctx, s) })
	}
	wg.Wait()
	return out, slow(ctx, errors.Join(errP, errM, errF))
}

func newSearch(a staff.Access, in SearchQuery) (search, error) {
	s := search{a: a, limit: in.Limit}
	if s.limit == 0 {
		s.limit = 20
	}
	if s.limit < 1 || s.limit > maxFound {
		return s, errs.Field("query.limit", "must be between 1 and %d", maxFound)
	}
	zone, err := time.LoadLocation(in.Zone)
	if err != nil || in.Zone == "Local" {
		return s, errs.Field("query.zone", "must be a time zone's name, as Europe/Berlin")
	}
	if s.q, err = parseQuery(in.Text, zone, time.Now()); err != nil {
		return s, err
	}
	for _, k := range in.Kinds {
		switch k {
		case FindPeople:
			s.wantsP = true
		case FindMessages:
			s.wantsM = true
		case FindFiles:
			s.wantsF = true
		default:
			return s, errs.Field("query.kinds", "must be people, messages, files")
		}
	}
	if len(in.Kinds) == 0 {
		s.wantsP, s.wantsM, s.wantsF = true, true, true
	}
	s.after = spot{end().at, uuid.Max}
	if in.Cursor != "" {
		if len(in.Kinds) != 1 {
			return s, errs.Field("query.cursor", "belongs to one kind; name it in kinds")
		}
		if s.after, err = parseSpot(in.Cursor); err != nil {
			return s, errs.Field("query.cursor", "is not a cursor of a search")
		}
	}
	return s, nil
}

// spot is a point between messages, or between people (then the id is a contact's, as a number).
type spot struct {
	at time.Time
	id uuid.UUID
}

func (p spot) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", p.at.UnixMicro(), p.id))
}

func parseSpot(s string) (spot, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return spot{}, err
	}
	at, id, _ := strings.Cut(string(raw), ".")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil || micros < minMicros || micros > maxMicros {
		return spot{}, fmt.Errorf("a time of %q", at)
	}
	u, err := uuid.Parse(id)
	return spot{time.UnixMicro(micros).UTC(), u}, err
}

// The years 1 to 9999, which Go, Postgres and JSON can all say.
const (
	minMicros = -62_135_596_800_000_000
	maxMicros = 253_402_300_799_999_999
)

// slow says in words that a search ran out of time.
func slow(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &pg) && pg.Code == "57014" {
		return &errs.E{
			Code: errs.Unavailable, Msg: "The search took too long. Type more of the word, or narrow it by person, channel or time.",
			Extra: map[string]any{"code": "search_slow"}, Err: err,
		}
	}
	return err
}

func distinct(list []int64) []int64 {
	slices.Sort(list)
	return slices.Compact(list)
}
