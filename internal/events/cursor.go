package events

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/parley-hub/parley/internal/errs"
)

// Cursor is a place in the spine: everything up to and including it was read. The zero Cursor is the beginning.
type Cursor struct {
	Epoch int32
	XID   uint64
	ID    int64
}

// Compare orders cursors as the spine orders events.
func (c Cursor) Compare(d Cursor) int {
	return cmp.Or(cmp.Compare(c.Epoch, d.Epoch), cmp.Compare(c.XID, d.XID), cmp.Compare(c.ID, d.ID))
}

// After reports whether c lies behind d.
func (c Cursor) After(d Cursor) bool { return c.Compare(d) > 0 }

// IsZero reports whether c is the beginning.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String is the opaque form that leaves the house: "epoch.xid.id".
func (c Cursor) String() string { return string(c.Append(nil)) }

// Append adds the opaque form to b.
func (c Cursor) Append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(c.Epoch), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, c.XID, 10)
	b = append(b, '.')
	return strconv.AppendInt(b, c.ID, 10)
}

// ParseCursor reads the opaque form.
func ParseCursor(s string) (Cursor, error) {
	bad := errs.Field("cursor", "this is not a cursor of the event stream")
	epoch, rest, ok := strings.Cut(s, ".")
	if !ok {
		return Cursor{}, bad
	}
	xid, id, ok := strings.Cut(rest, ".")
	if !ok {
		return Cursor{}, bad
	}
	e, err := strconv.ParseInt(epoch, 10, 32)
	if err != nil || e < 0 {
		return Cursor{}, bad
	}
	x, err := strconv.ParseUint(xid, 10, 64)
	if err != nil || x > maxXID {
		return Cursor{}, bad
	}
	i, err := strconv.ParseInt(id, 10, 64)
	if err != nil || i < 0 {
		return Cursor{}, bad
	}
	return Cursor{Epoch: int32(e), XID: x, ID: i}, nil
}

// maxXID keeps what strangers send within what Postgres reads as xid8.
const maxXID = 1<<63 - 1
