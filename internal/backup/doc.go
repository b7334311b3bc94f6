// Package backup writes an installation into one stream, and makes an installation of such a stream.
//
// The stream is a gzipped tar: header.json (versions, tables, columns, partitions), tables/NAME/NUMBER (pieces of what
// COPY gives, text format), files/SHA-256 (contents of the file store), manifest.json (rows and hashes). What has no
// manifest was cut off, and is refused. The secret key is never inside.
//
// Invariants. All rows are of one snapshot, in which nothing is locked against writers; a file that a row of the
// snapshot names is inside, or listed as missing. Restoring is one transaction: a stream that turns out broken leaves
// the database as empty as it was. The restored spine has a new epoch, and what was in the middle of being done is put
// into the words that the caller gives (Options.Settle).
//
// Failure. A stream made by a newer program is refused, and so is a database in which somebody lives.
package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

// format is raised when older programs can no longer read the stream.
const format = 1

const (
	headerName   = "header.json"
	manifestName = "manifest.json"
	tableDir     = "tables/"
	fileDir      = "files/"
	// piece is how much of a table is held in memory, in bytes: tar wants to know the length beforehand.
	piece = 1 << 20
	// headerLimit bounds what is read into memory of a stream that may be anything, in bytes.
	headerLimit = 64 << 20
)

// header opens the stream.
type header struct {
	Format  int       `json:"format"`
	Program string    `json:"program"`
	TakenAt time.Time `json:"taken_at"`
	Schema  int64     `json:"schema"`
	Jobs    int64     `json:"jobs"`
	Tables  []table   `json:"tables"`
	Parts   []part    `json:"partitions"`
	NoFiles bool      `json:"no_files"`
}

type table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// part is a partition; Bound is as Postgres prints it.
type part struct {
	Parent string `json:"parent"`
	Name   string `json:"name"`
	Bound  string `json:"bound"`
}

// boundPattern is what a bound may look like: it becomes part of a statement.
var boundPattern = regexp.MustCompile(`^FOR VALUES FROM \((MINVALUE|'[^'\\]*')\) TO \((MAXVALUE|'[^'\\]*')\)$`)

// manifest closes the stream.
type manifest struct {
	Header    string                `json:"header_sha256"`
	Tables    map[string]tableProof `json:"tables"`
	Sequences map[string]int64      `json:"sequences"`
	Files     int                   `json:"files"`
	FileBytes int64                 `json:"file_bytes"`
	Missing   []string              `json:"missing_files"`
}

type tableProof struct {
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Summary is what was written or read.
type Summary struct {
	TakenAt   time.Time
	Rows      int64
	Bytes     int64 // of the tables, before compression
	Files     int
	FileBytes int64
	Missing   int   // files that a row names and the store does not have
	Epoch     int32 // of the restored spine
}

func (m manifest) summary(h header) Summary {
	s := Summary{TakenAt: h.TakenAt, Files: m.Files, FileBytes: m.FileBytes, Missing: len(m.Missing)}
	for _, t := range m.Tables {
		s.Rows += t.Rows
		s.Bytes += t.Bytes
	}
	return s
}

var errCutOff = errors.New("the backup ends before its manifest: it was cut off while it was written or copied")

func broken(format string, args ...any) error {
	return errs.New(errs.Invalid, "the backup is damaged: "+format, args...)
}

func readJSON(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return &errs.E{Code: errs.Invalid, Msg: "this is no backup of Parley", Err: err}
	}
	return nil
}

func (h header) check() error {
	if h.Format > format {
		return errs.New(errs.Conflict, "this backup was made by a newer Parley (%s): restore it with that version or a later one", h.Program)
	}
	if h.Format < 1 || len(h.Tables) == 0 {
		return errs.New(errs.Invalid, "this is no backup of Parley")
	}
	for _, p := range h.Parts {
		if !boundPattern.MatchString(p.Bound) {
			return broken("partition %s has the bound %q", p.Name, p.Bound)
		}
	}
	return nil
}

func (h header) columns(name string) ([]string, error) {
	for _, t := range h.Tables {
		if t.Name == name {
			return t.Columns, nil
		}
	}
	return nil, fmt.Errorf("table %s: %w", name, broken("it is not in the header"))
}
