package email

import (
	"bytes"
	"encoding/binary"
	"mime"
	"path/filepath"
	"strings"

	"github.com/jhillyerd/enmime/v2"
)

// TNEF is the form in which Outlook packs formatting and attachments (winmail.dat): a signature, a key, and a list of
// attributes of {level, id, length, data, checksum}.
const (
	tnefSignature   = 0x223E9F78
	tnefBody        = 0x0002800C
	tnefAttachBegin = 0x00069002
	tnefAttachTitle = 0x00018010
	tnefAttachData  = 0x0006800F
	maxTNEFFiles    = 100
)

type tnefFile struct {
	name string
	data []byte
}

type tnefMessage struct {
	body  string
	files []tnefFile
}

// readTNEF takes what it can; ok is false when it is no TNEF at all.
func readTNEF(b []byte) (m tnefMessage, ok bool) {
	if len(b) < 6 || binary.LittleEndian.Uint32(b) != tnefSignature {
		return m, false
	}
	b = b[6:]
	for len(b) >= 9 {
		id, n := binary.LittleEndian.Uint32(b[1:]), int64(binary.LittleEndian.Uint32(b[5:]))
		if n > int64(len(b))-9 {
			break
		}
		data := b[9 : 9+n]
		b = b[min(int64(len(b)), 9+n+2):]
		switch id {
		case tnefBody:
			m.body = toUTF8(string(bytes.TrimRight(data, "\x00")))
		case tnefAttachBegin:
			if len(m.files) < maxTNEFFiles {
				m.files = append(m.files, tnefFile{})
			}
		case tnefAttachTitle:
			if len(m.files) > 0 {
				m.files[len(m.files)-1].name = toUTF8(string(bytes.TrimRight(data, "\x00")))
			}
		case tnefAttachData:
			if len(m.files) > 0 {
				m.files[len(m.files)-1].data = data
			}
		}
	}
	return m, true
}

// tnef unpacks a winmail.dat; false when it cannot, so that the file itself is shown.
func (c *conversion) tnef(p *enmime.Part) bool {
	t, ok := readTNEF(p.Content)
	if !ok {
		return false
	}
	if c.text == "" {
		c.text = strings.TrimSpace(tidy(t.body))
	}
	for i, f := range t.files {
		typ, _, _ := strings.Cut(mime.TypeByExtension(strings.ToLower(filepath.Ext(f.name))), ";")
		if typ == "" {
			typ = "application/octet-stream"
		}
		c.file(p, i+1, f.name, typ, int64(len(f.data)))
	}
	return len(t.files) > 0 || t.body != ""
}
