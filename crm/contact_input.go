package crm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

// Bounds of what is typed about a contact.
const (
	maxTyped      = 20
	maxTags       = 50
	maxTag        = 50
	maxFields     = 100
	maxFieldName  = 64
	maxFieldBytes = 16 << 10
)

// Typed is an address as somebody wrote it.
type Typed struct{ Kind, Value string }

const (
	claimTypedSQL = `INSERT INTO identity (kind, value, raw, contact_id, source, trust, shared) VALUES ($1, $2, $3, $4, 'manual', 'agent', $5)
ON CONFLICT (kind, value) DO NOTHING`

	typedOwnerSQL = `UPDATE identity SET valid_to = NULL WHERE kind = $1 AND value = $2 RETURNING contact_id`
)

// parseTyped makes claim keys of addresses, sorted, and refuses what can identify nobody.
func parseTyped(field string, typed []Typed, region string) ([]Address, error) {
	if len(typed) > maxTyped {
		return nil, errs.Field(field, "at most %d addresses", maxTyped)
	}
	var out []Address
	for i, t := range typed {
		name := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case t.Kind != KindPhone && t.Kind != KindEmail && t.Kind != KindTelegram && t.Kind != "whatsapp" && t.Kind != "sip" && !strings.HasPrefix(t.Kind, "external:"):
			return nil, errs.Field(name+".kind", "must be phone, email, telegram, whatsapp, sip or external: with a system's name")
		case len(t.Kind) > 64:
			return nil, errs.Field(name+".kind", "must have at most 64 characters")
		case strings.TrimSpace(t.Value) == "" || utf8.RuneCountInString(t.Value) > 300 || strings.ContainsFunc(t.Value, unicode.IsControl):
			return nil, errs.Field(name+".value", "must have between 1 and 300 characters, no control characters")
		}
		a, ok := Normalise(t.Kind, t.Value, "", region, "")
		switch {
		case t.Kind == KindPhone && (!ok || a.Kind != KindPhone):
			return nil, errs.Field(name+".value", "is no telephone number: write it with + and the country's code")
		case t.Kind == KindTelegram && strings.ContainsFunc(a.Value, func(r rune) bool { return r < '0' || r > '9' }):
			return nil, errs.Field(name+".value", "must be the numeric Telegram id")
		case !ok:
			return nil, errs.Field(name+".value", "is no address of kind %s", t.Kind)
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Address) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value)) })
	return slices.CompactFunc(out, func(a, b Address) bool { return a.Kind == b.Kind && a.Value == b.Value }), nil
}

// claimTyped gives the addresses to the contact. One that is somebody else's is a conflict that names him.
func claimTyped(ctx context.Context, tx pgx.Tx, contact int64, addresses []Address) error {
	for _, a := range addresses {
		tag, err := tx.Exec(ctx, claimTypedSQL, a.Kind, a.Value, a.Raw, contact, a.Shared)
		if err != nil {
			return fmt.Errorf("claim identity: %w", err)
		}
		if tag.RowsAffected() == 1 {
			continue
		}
		var of int64
		if err := tx.QueryRow(ctx, typedOwnerSQL, a.Kind, a.Value).Scan(&of); err != nil {
			return fmt.Errorf("read the owner of an identity: %w", err)
		}
		if of != contact {
			return &errs.E{
				Code: errs.Conflict, Msg: "Another contact has this address: " + a.Raw + ".",
				Extra: map[string]any{"contact_id": ids.ID(of), "identity": map[string]string{"kind": a.Kind, "value": a.Value}},
			}
		}
	}
	return nil
}

// mergeFields lays new fields over old ones; null takes one away.
func mergeFields(old []byte, change map[string]any) ([]byte, error) {
	fields := map[string]any{}
	if len(old) > 0 {
		if err := json.Unmarshal(old, &fields); err != nil {
			return nil, fmt.Errorf("decode fields: %w", err)
		}
	}
	for k, v := range change {
		if n := utf8.RuneCountInString(k); n == 0 || n > maxFieldName || strings.ContainsFunc(k, unicode.IsControl) {
			return nil, errs.Field("fields", "a field's name has between 1 and %d characters", maxFieldName)
		}
		if v == nil {
			delete(fields, k)
		} else {
			fields[k] = v
		}
	}
	if len(fields) > maxFields {
		return nil, errs.Field("fields", "a contact has at most %d fields", maxFields)
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode fields: %w", err)
	}
	if len(b) > maxFieldBytes {
		return nil, errs.Field("fields", "all fields together have at most %d kB", maxFieldBytes>>10)
	}
	if bytes.Contains(b, []byte(`\u0000`)) {
		return nil, errs.Field("fields", "must not contain null characters")
	}
	return b, nil
}

func cleanLine(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", errs.Field(field, "must not be empty")
	case utf8.RuneCountInString(s) > limit:
		return "", errs.Field(field, "must have at most %d characters", limit)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", errs.Field(field, "must not contain control characters")
	}
	return s, nil
}

func cleanTags(tags []string) ([]string, error) {
	out := []string{}
	seen := map[string]bool{}
	for _, t := range tags {
		t, err := cleanLine("tags", strings.Join(strings.Fields(t), " "), maxTag)
		if err != nil {
			return nil, err
		}
		if low := strings.ToLower(t); !seen[low] {
			seen[low] = true
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, errs.Field("tags", "a contact has at most %d tags", maxTags)
	}
	return out, nil
}
