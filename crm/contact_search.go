package crm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// MaxFound is how many people a search names one by one. A fragment that more people share is so common that walking a
// list from its newest end meets a page of hits soon; that is then the cheaper way.
const MaxFound = 5000

// SearchBudget ends a search that would drag everybody else down with it.
const SearchBudget = 3 * time.Second

const (
	// each part stops by itself: putting them together first would mean to find everybody before counting
	findContactsSQL = `SELECT DISTINCT id FROM (
	SELECT id FROM (SELECT p.id, p.merged_into FROM contact p WHERE p.name ILIKE ANY ($1::text[]) LIMIT $n) p WHERE merged_into IS NULL
	UNION ALL
	(SELECT i.contact_id FROM identity i WHERE i.value ILIKE ANY ($2::text[]) OR i.display ILIKE ANY ($1::text[]) LIMIT $n)
	UNION ALL
	(SELECT a.contact_id FROM assertion a WHERE a.value ILIKE ANY ($2::text[]) LIMIT $n)) x LIMIT $n`

	// For this one statement: the planner cannot know how often a fragment stands somewhere, and with a LIMIT it bets on
	// meeting enough hits by reading the table. A million people and a fragment of a number took 2.9 s that way.
	findByIndexSQL = `SELECT set_config('enable_seqscan', 'off', true)`

	// MatchesSQL is the condition of the walk on a contact p: $names and $values stand for the patterns.
	MatchesSQL = `(p.name ILIKE ANY ($names) OR EXISTS (SELECT 1 FROM identity i
	WHERE i.contact_id = p.id AND (i.value ILIKE ANY ($values) OR i.display ILIKE ANY ($names)))
	OR EXISTS (SELECT 1 FROM assertion a WHERE a.contact_id = p.id AND a.value ILIKE ANY ($values)))`
)

// Search is what somebody typed to find a person, as LIKE patterns for names and for the values of addresses.
type Search struct {
	Names, Values []string
	// Numbers are the digits among Values that a telephone number may contain.
	Numbers []string
	// indexed: every pattern has something that a trigram index knows
	indexed bool
}

// ParseSearch makes the patterns: a piece of a name or of an address, a phone number in any spelling.
func ParseSearch(text string) Search {
	s := Search{Names: fragment(text), Values: fragment(text), indexed: hasTrigram(text)}
	digits := PhoneQuery(text)
	if digits == "" {
		return s
	}
	if strings.Contains(text, digits) { // whatever holds the text holds its digits: one look at the index will do
		s.Values = nil
	}
	s.number(digits)
	// a trunk prefix (8 in Russia, 0 in most of Europe) is not part of the stored international form
	if trunk := strings.TrimLeft(digits, "0"); trunk != digits && len(trunk) >= 3 {
		s.number(trunk)
	}
	if digits[0] == '8' && len(digits) > 6 {
		s.number(digits[1:])
	}
	return s
}

func (s *Search) number(digits string) {
	s.Numbers, s.Values = append(s.Numbers, digits), append(s.Values, "%"+digits+"%")
}

// fragment: a trigram index cannot find a piece of one or two characters, so that short a text means the beginning of a
// word.
func fragment(text string) []string {
	text = strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
	safe := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
	if utf8.RuneCountInString(text) < 3 {
		return []string{safe + "%", "% " + safe + "%"}
	}
	return []string{"%" + safe + "%"}
}

// hasTrigram reports three letters or digits in a row, or the beginning of a word where that is what fragment looks for.
// "+-." has none: an index on trigrams would be read from end to end, which is slower than the table.
func hasTrigram(text string) bool {
	need := 3
	if utf8.RuneCountInString(text) < 3 {
		need = 1
	}
	row := 0
	for _, r := range text {
		if row++; !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			row = 0
		}
		if row == need {
			return true
		}
	}
	return false
}

// Find names the people; more than MaxFound of them means that the search must walk.
func (s Search) Find(ctx context.Context, db postgres.DB) ([]int64, error) {
	// a batch is one transaction: the setting ends with it
	b := &pgx.Batch{}
	if s.indexed {
		b.Queue(findByIndexSQL)
	}
	var found []int64
	b.Queue(strings.ReplaceAll(findContactsSQL, "$n", strconv.Itoa(MaxFound+1)), s.Names, s.Values).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	if err := db.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("search contacts: %w", err)
	}
	return found, nil
}

// SearchError says in words that the budget of ctx was used up.
func SearchError(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &errs.E{Code: errs.Unavailable, Msg: "The search took too long. Type more of the name or number.", Err: err}
	}
	return err
}
