package inbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

const (
	scanDial    = 5 * time.Second
	scanTimeout = 2 * time.Minute // clamd looks into archives; its own limit for one file is two minutes
	scanChunk   = 64 << 10
	scanReply   = 1 << 10
)

// infected is what the scanner says about a file that nobody gets.
type infected struct{ what string }

func (e infected) Error() string { return "the virus scanner found " + e.what }

// errScanTooLarge: the scanner takes no file of this size (StreamMaxLength of clamd).
var errScanTooLarge = errors.New("the file is too large for the virus scanner")

// scan shows a stored file to the scanner of the settings before anybody gets it; nil when there is none, or nothing is
// wrong. Any error but infected and errScanTooLarge may pass by itself: the file waits.
func (f *Files) scan(ctx context.Context, key string) error {
	set, err := staff.ReadSettings(ctx, f.pool)
	if err != nil || set.ClamdAddress == "" {
		return err
	}
	network, address, err := staff.ParseClamd(set.ClamdAddress)
	if err != nil {
		return err
	}
	r, _, err := f.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := instream(ctx, network, address, r); err != nil {
		return fmt.Errorf("scan file: %w", err)
	}
	return nil
}

// instream speaks clamd's INSTREAM: pieces with their lengths, an empty one at the end, one line back.
func instream(ctx context.Context, network, address string, r io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	c, err := (&net.Dialer{Timeout: scanDial}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	// clamd answers in the middle when the file is too large, and then hangs up: its answer counts, not our broken pipe.
	sent := send(c, r)
	answer, err := bufio.NewReader(io.LimitReader(c, scanReply)).ReadString(0)
	if err != nil {
		return errors.Join(sent, fmt.Errorf("read answer: %w", err))
	}
	return verdict(strings.TrimRight(answer, "\x00\n"), sent)
}

func send(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+scanChunk)
	for {
		n, err := io.ReadFull(r, buf[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := w.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			_, err = w.Write(make([]byte, 4))
			return err
		}
		if err != nil {
			return err
		}
	}
}

// verdict reads "stream: OK", "stream: Name FOUND" and "... ERROR".
func verdict(answer string, sent error) error {
	answer = strings.TrimPrefix(answer, "stream: ")
	switch what, found := strings.CutSuffix(answer, " FOUND"); {
	case found:
		return infected{storable(what, 100)}
	case strings.HasPrefix(answer, "INSTREAM size limit exceeded"):
		return errScanTooLarge
	case sent != nil: // what was judged was not the whole file
		return sent
	case answer == "OK":
		return nil
	}
	return fmt.Errorf("the virus scanner answered %q", storable(answer, 200))
}

// scanUpload is scan for somebody who waits for the answer.
func (f *Files) scanUpload(ctx context.Context, key string) error {
	err := f.scan(ctx, key)
	var bad infected
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad):
		return errs.Field("file", "is refused: %s in it", bad)
	case errors.Is(err, errScanTooLarge):
		return errs.Field("file", "is refused: %s", errScanTooLarge)
	}
	e := errs.New(errs.Unavailable, "The virus scanner does not answer. Try again in a moment.")
	e.Err = err
	return e
}
