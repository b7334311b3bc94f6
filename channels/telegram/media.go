package telegram

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// stall is how long a download may stand still.
const stall = 30 * time.Second

// FetchMedia streams a file to w. The address of the file contains the token and stays in here.
func (a *Adapter) FetchMedia(ctx context.Context, ref json.RawMessage, w io.Writer) (channels.MediaInfo, error) {
	var r mediaRef
	if err := json.Unmarshal(ref, &r); err != nil || r.FileID == "" {
		return channels.MediaInfo{}, fmt.Errorf("telegram media reference: %w", cmp.Or(err, channels.ErrMediaGone))
	}
	var f models.File
	if err := a.api.call(ctx, "getFile", params{"file_id": r.FileID}, &f); err != nil {
		if refused(err, "file_id", "file is temporarily unavailable", "file reference", "file_reference", "not found") {
			return channels.MediaInfo{}, fmt.Errorf("%w: %w", channels.ErrMediaGone, err)
		}
		if refused(err, "file is too big") {
			return channels.MediaInfo{}, fmt.Errorf("%w: %s", channels.ErrMediaGone, tooBig)
		}
		return channels.MediaInfo{}, err
	}
	if f.FilePath == "" {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	n, contentType, err := a.api.download(ctx, f.FilePath, w)
	if err != nil {
		return channels.MediaInfo{}, err
	}
	if f.FileSize > 0 && n != f.FileSize {
		return channels.MediaInfo{}, fmt.Errorf("telegram download: %d bytes came instead of %d", n, f.FileSize)
	}
	info := channels.MediaInfo{Type: cmp.Or(r.Type, contentType), Name: r.Name, Size: n}
	if info.Name == "" {
		info.Name = clean(path.Base(f.FilePath), 255)
	}
	return info, nil
}

func (c *client) download(ctx context.Context, filePath string, w io.Writer) (int64, string, error) {
	fail := func(err error) error { return &callError{Method: "download", Err: c.scrub(err)} }
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A body has no deadline of its own: a server that stops in the middle must not hold the fetcher for ever.
	watchdog := time.AfterFunc(stall, cancel)
	defer watchdog.Stop()

	segments := strings.Split(filePath, "/")
	for i, s := range segments {
		if s == "." || s == ".." {
			return 0, "", fail(errors.New("the path of the file is not usable"))
		}
		segments[i] = url.PathEscape(s)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/file/bot"+c.token+"/"+strings.Join(segments, "/"), nil)
	if err != nil {
		return 0, "", fail(errors.New("the address of the file is not usable"))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, "", fail(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return 0, "", channels.ErrMediaGone
	case resp.StatusCode != http.StatusOK:
		return 0, "", fail(fmt.Errorf("HTTP %d", resp.StatusCode))
	}
	src := &fed{r: resp.Body, alive: func() { watchdog.Reset(stall) }}
	n, err := io.Copy(struct{ io.Writer }{w}, src)
	if err != nil {
		if src.err == nil || errors.Is(src.err, io.EOF) {
			return n, "", fmt.Errorf("store the file: %w", err) // ours, not Telegram's
		}
		return n, "", fail(err)
	}
	return n, resp.Header.Get("Content-Type"), nil
}

// fed tells alive about every piece that comes.
type fed struct {
	r     io.Reader
	alive func()
	err   error
}

func (f *fed) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 {
		f.alive()
	}
	f.err = err
	return n, err
}
