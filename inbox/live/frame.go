package live

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"github.com/parley-hub/parley/internal/events"
)

// The close codes of our own (DESIGN 7); the others are those of RFC 6455.
const (
	closeSlow      = 4001 // the queue was full: come back with the cursor
	closeSignedOut = 4002
	closeReload    = 4003 // read everything anew

	closeGoingAway  = 1001
	closeUnreadable = 1003
	closeBadUTF8    = 1007
	closePolicy     = 1008
	closeBroken     = 1011
	closeLater      = 1013
)

const (
	opText  = 0x1
	opClose = 0x8
	opPong  = 0xA
	fin     = 0x80
	// maxHeader is the longest header of a frame from a server, which is not masked.
	maxHeader = 10
)

// seal puts the header before a payload that was built behind maxHeader spare bytes, and returns the finished frame.
func seal(op byte, buf []byte) []byte {
	n := len(buf) - maxHeader
	var at int
	switch {
	case n < 126:
		at = maxHeader - 2
		buf[at+1] = byte(n)
	case n < 1<<16:
		at = maxHeader - 4
		buf[at+1] = 126
		binary.BigEndian.PutUint16(buf[at+2:], uint16(n)) //nolint:gosec // checked
	default:
		at = 0
		buf[at+1] = 127
		binary.BigEndian.PutUint64(buf[at+2:], uint64(n)) //nolint:gosec // a length
	}
	buf[at] = fin | op
	return buf[at:]
}

// text makes a text frame of JSON.
func text(payload []byte) []byte {
	return seal(opText, append(make([]byte, maxHeader, maxHeader+len(payload)), payload...))
}

func control(op byte, payload []byte) []byte {
	return seal(op, append(make([]byte, maxHeader, maxHeader+len(payload)), payload...))
}

func closeFrame(code int, reason string) []byte {
	b := make([]byte, maxHeader, maxHeader+2+len(reason))
	if code != 0 {
		b = binary.BigEndian.AppendUint16(b, uint16(code)) //nolint:gosec // four digits
		b = append(b, reason...)
	}
	return seal(opClose, b)
}

// eventFrame is {type:"event", cursor, kind, at, actor, conversation_id, data}.
func eventFrame(e *events.Event, kind string, data []byte) []byte {
	b := make([]byte, maxHeader, maxHeader+len(data)+256)
	b = append(b, `{"type":"event","cursor":"`...)
	b = e.Cursor.Append(b)
	b = append(b, `","kind":`...)
	b = appendString(b, kind)
	b = append(b, `,"at":"`...)
	b = e.At.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","actor":{"kind":`...)
	b = appendString(b, e.Actor.Kind)
	b = append(b, `,"id":`...)
	b = appendID(b, e.Actor.ID)
	b = append(b, `},"conversation_id":`...)
	b = appendID(b, e.ConversationID)
	b = append(b, `,"data":`...)
	b = append(b, data...)
	b = append(b, '}')
	return seal(opText, b)
}

// appendID adds a decimal string, or null for none.
func appendID(b []byte, id int64) []byte {
	if id == 0 {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = strconv.AppendInt(b, id, 10)
	return append(b, '"')
}

// appendString adds a JSON string; what we send so is almost always plain.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			q, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // strings always marshal
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// jsonFrame makes a frame of v, which is one of our own types and always marshals.
func jsonFrame(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(`{"type":"error","code":"internal","message":"the answer could not be written"}`)
	}
	return text(b)
}

// errorFrame is {type:"error", code, message, ref}; ref is the client's own, or the type of the frame that failed.
func errorFrame(code, message, ref string) []byte {
	return jsonFrame(struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Ref     string `json:"ref,omitempty"`
	}{"error", code, message, ref})
}

// presence is {"<agent>": "<status>"}.
func appendPresence(b []byte, statuses map[int64]string) []byte {
	b = append(b, '{')
	first := true
	for id, s := range statuses {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendID(b, id)
		b = append(b, ':')
		b = appendString(b, s)
	}
	return append(b, '}')
}
