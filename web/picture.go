package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats that a picture of a letter may have
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	_ "golang.org/x/image/webp"

	"github.com/parley-hub/parley/internal/errs"
)

const (
	// pictureFor is how long the address of a picture in a letter works: as long as somebody may look at the letter.
	pictureFor = time.Hour
	// maxPicture bounds a picture from elsewhere, in bytes; maxPixels what a browser would have to unfold.
	maxPicture = 8 << 20
	maxPixels  = 50_000_000
	// maxPictureAddress bounds the address of a picture, in bytes: longer ones carry data, not a name.
	maxPictureAddress = 2000
	// picturesAtOnce bounds what letters can make the hub fetch at the same time.
	picturesAtOnce = 16
	pictureTimeout = 15 * time.Second
	// pictureSeal names what the tokens are sealed for.
	pictureSeal = "picture of a letter"
)

// picture is what a token stands for: a file of ours, or an address elsewhere. Only somebody who saw the letter got it.
type picture struct {
	File   uuid.UUID `json:"f,omitzero"`
	Remote string    `json:"r,omitempty"`
	Until  time.Time `json:"u"`
}

// pictureAddress makes the address under which a frame without a cookie gets a picture; "" = it cannot be shown. The
// token is sealed, so it can neither be made up nor read.
func (s *Server) pictureAddress(p picture) string {
	if len(p.Remote) > maxPictureAddress || s.deps.Box == nil {
		return ""
	}
	plain, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	sealed, err := s.deps.Box.Seal(pictureSeal, plain)
	if err != nil {
		return ""
	}
	return "/api/images?token=" + base64.RawURLEncoding.EncodeToString(sealed)
}

func (s *Server) openPictureToken(token string) (picture, error) {
	var p picture
	gone := errs.New(errs.NotFound, "This picture's address has run out: open the message again.")
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || s.deps.Box == nil {
		return p, gone
	}
	plain, err := s.deps.Box.Open(pictureSeal, sealed)
	if err != nil || json.Unmarshal(plain, &p) != nil || time.Now().After(p.Until) {
		return p, gone
	}
	return p, nil
}

// pictureShow gives out a picture of a letter. It is public: who asks is a frame without our origin, and the token is
// the right to see it. A picture from elsewhere is fetched by us, so that its owner learns nothing of who reads.
func (s *Server) pictureShow(w http.ResponseWriter, r *http.Request) error {
	p, err := s.openPictureToken(r.URL.Query().Get("token"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // the frame has no origin that would be ours
	if p.File != uuid.Nil {
		f, err := s.deps.Files.OpenPicture(r.Context(), p.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if !raster(f.Type) {
			return errs.New(errs.NotFound, "This file is no picture.")
		}
		h.Set("Cache-Control", "private, max-age=3600")
		h.Set("Content-Type", f.Type)
		http.ServeContent(w, r, "", f.At, f)
		return nil
	}
	body, typ, err := s.fetchPicture(r.Context(), p.Remote)
	if err != nil {
		return err
	}
	h.Set("Cache-Control", "private, max-age=3600")
	h.Set("Content-Type", typ)
	_, err = w.Write(body)
	return err
}

// fetchPicture gets a picture from an address that a stranger chose. The type is what the bytes say.
func (s *Server) fetchPicture(ctx context.Context, address string) ([]byte, string, error) {
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	body, err := s.download(ctx, address)
	if err != nil {
		s.log.DebugContext(ctx, "picture of a letter", "err", err)
		return nil, "", errs.New(errs.NotFound, "The picture cannot be had from where it is kept.")
	}
	typ := http.DetectContentType(body)
	c, _, err := image.DecodeConfig(bytes.NewReader(body))
	if !raster(typ) || err != nil || c.Width*c.Height > maxPixels {
		return nil, "", errs.New(errs.NotFound, "What stands at the picture's address is none.")
	}
	return body, typ, nil
}

func (s *Server) download(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return nil, fmt.Errorf("scheme %q", req.URL.Scheme)
	}
	req.URL.User = nil // no password of a stranger's choice for a server of a stranger's choice
	req.Header.Set("Accept", "image/png, image/jpeg, image/gif, image/webp")
	req.Header.Set("User-Agent", "Mozilla/5.0 (compatible; image proxy)")
	resp, err := s.deps.Egress.Client(pictureTimeout).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answer %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPicture+1))
	if err == nil && len(body) > maxPicture {
		err = errors.New("larger than a picture may be")
	}
	return body, err
}

// raster are the pictures that are nothing but pixels.
func raster(typ string) bool {
	switch typ {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}
