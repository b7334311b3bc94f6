package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
)

const (
	// searchBudget ends a search that would drag everybody else down with it.
	searchBudget = 3 * time.Second
	// fewContacts: up to here the conversations of the contacts found are looked up; a fragment that more people share is
	// so common that walking the list from its newest end meets a page of hits soon.
	fewContacts = 5000
)

const (
	searchContactsSQL = `SELECT id FROM (
	SELECT p.id FROM contact p WHERE p.name ILIKE ANY ($1::text[]) AND p.merged_into IS NULL
	UNION
	SELECT i.contact_id FROM identity i WHERE i.value ILIKE ANY ($2::text[]) OR i.display ILIKE ANY ($1::text[])) x LIMIT $3`

	// the condition of the walk: $names and $values are the same patterns
	searchWalkSQL = `EXISTS (SELECT 1 FROM contact p WHERE p.id = c.contact_id AND (p.name ILIKE ANY ($names)
	OR EXISTS (SELECT 1 FROM identity i WHERE i.contact_id = p.id AND (i.value ILIKE ANY ($values) OR i.display ILIKE ANY ($names)))))`
)

// search narrows the list to people whose name or address contains the text.
func (l *list) search(ctx context.Context, pool *pgxpool.Pool, text string) error {
	names, values := searchPatterns(text)
	rows, err := pool.Query(ctx, searchContactsSQL, names, values, fewContacts+1)
	if err != nil {
		return fmt.Errorf("search contacts: %w", err)
	}
	contacts, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("search contacts: %w", err)
	}
	if len(contacts) <= fewContacts {
		l.filter("c.contact_id = ANY (" + l.arg(contacts, "bigint[]") + ")")
		return nil
	}
	walk := strings.ReplaceAll(searchWalkSQL, "$names", l.arg(names, "text[]"))
	l.filter(strings.ReplaceAll(walk, "$values", l.arg(values, "text[]")))
	return nil
}

// searchPatterns turns the text into LIKE patterns for names and for address values. A trigram index cannot find a
// fragment of one or two characters, so that short a text means the beginning of a word.
func searchPatterns(text string) (names, values []string) {
	names = fragment(text)
	values = fragment(text)
	digits := crm.PhoneQuery(text)
	if digits == "" {
		return names, values
	}
	values = append(values, "%"+digits+"%")
	// a trunk prefix (8 in Russia, 0 in most of Europe) is not part of the stored international form
	if trunk := strings.TrimLeft(digits, "0"); trunk != digits && len(trunk) >= 3 {
		values = append(values, "%"+trunk+"%")
	}
	if digits[0] == '8' && len(digits) > 6 {
		values = append(values, "%"+digits[1:]+"%")
	}
	return names, values
}

func fragment(text string) []string {
	text = strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
	safe := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
	if utf8.RuneCountInString(text) < 3 {
		return []string{safe + "%", "% " + safe + "%"}
	}
	return []string{"%" + safe + "%"}
}

func searchError(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &errs.E{Code: errs.Unavailable, Msg: "The search took too long. Type more of the name or number.", Err: err}
	}
	return err
}
