package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
)

// uploadOverhead is what the multipart frame adds to a file of the greatest size.
const uploadOverhead = 64 << 10

// upload streams the part "file" of a multipart body into the store; nothing is held in memory.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	mr, err := r.MultipartReader()
	if err != nil {
		return errs.Field("body", "must be multipart/form-data with the part \"file\"")
	}
	for {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return errs.Field("file", "is missing")
		}
		if err != nil {
			return badBody(err)
		}
		if part.FormName() != "file" {
			continue
		}
		a, err := s.deps.Files.Upload(r.Context(), CallerFrom(r.Context()), partName(part), part)
		if err != nil {
			return badBody(err)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusCreated)
		return json.NewEncoder(w).Encode(a)
	}
}

func badBody(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errs.Field("file", "is larger than %d MB", inbox.MaxUpload>>20)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, multipart.ErrMessageTooLarge):
		return errs.Field("body", "ended too early")
	}
	return err
}

func partName(p *multipart.Part) string {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return p.FileName()
	}
	return params["filename"]
}

// attachment gives a file out, with Range; it is shown in the page only where its bytes are a picture, sound or film.
func (s *Server) attachment(w http.ResponseWriter, r *http.Request) error {
	return s.giveFile(w, r, strings.HasSuffix(path.Clean(r.URL.Path), "/preview"))
}

func (s *Server) giveFile(w http.ResponseWriter, r *http.Request, preview bool) error {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return errs.New(errs.NotFound, "There is no such file.")
	}
	f, err := s.deps.Files.Open(r.Context(), CallerFrom(r.Context()), id, preview)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+f.Hash+`"`)
	disposition := "attachment"
	if inline(f.Type) && r.URL.Query().Get("download") == "" {
		disposition = "inline"
	}
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": f.Name}))
	http.ServeContent(w, r, "", f.At, f)
	return nil
}

func inline(typ string) bool {
	return raster(typ) || strings.HasPrefix(typ, "audio/") || strings.HasPrefix(typ, "video/")
}
