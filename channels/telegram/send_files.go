package telegram

import (
	"context"
	"strconv"
	"strings"

	"github.com/parley-hub/parley/channels"
)

// maxPhoto is the largest picture that Telegram takes as a picture; a larger one goes as a file.
const maxPhoto = 10 << 20

// form is the way in which Telegram takes a file: the method is "send" + form, the parameter its lower case.
type form string

const (
	photo     form = "Photo"
	video     form = "Video"
	animation form = "Animation"
	audio     form = "Audio"
	voice     form = "Voice"
	sticker   form = "Sticker"
	document  form = "Document"
)

func formOf(f channels.File) form {
	mime, _, _ := strings.Cut(strings.ToLower(f.Type), ";")
	mime = strings.TrimSpace(mime)
	switch f.Kind {
	case "voice":
		if mime == "audio/ogg" || mime == "audio/mpeg" || mime == "audio/mp4" {
			return voice
		}
	case "photo":
		if (mime == "image/jpeg" || mime == "image/png" || mime == "image/webp") && f.Size <= maxPhoto {
			return photo
		}
	case "video":
		if mime == "video/mp4" {
			return video
		}
	case "animation":
		if mime == "image/gif" || mime == "video/mp4" {
			return animation
		}
	case "audio":
		if mime == "audio/mpeg" || mime == "audio/mp4" || mime == "audio/x-m4a" {
			return audio
		}
	case "sticker":
		if mime == "image/webp" || mime == "video/webm" || mime == "application/x-tgsticker" {
			return sticker
		}
	}
	return document
}

// album is one call: a single file, or two to ten that are shown together.
type album struct {
	form  form
	files []channels.File
	forms []form
}

func (a album) captions() bool { return a.form != sticker }

// albums puts neighbouring files together as Telegram allows it: pictures with videos, audio with audio, documents with
// documents.
func albums(files []channels.File) []album {
	var out []album
	for _, f := range files {
		kind := formOf(f)
		family := kind
		if kind == video {
			family = photo
		}
		last := len(out) - 1
		groups := family == photo || family == audio || family == document
		if last >= 0 && groups && out[last].form == family && len(out[last].files) < 10 {
			out[last].files = append(out[last].files, f)
			out[last].forms = append(out[last].forms, kind)
			continue
		}
		out = append(out, album{form: family, files: []channels.File{f}, forms: []form{kind}})
	}
	return out
}

func (d *delivery) sendFiles(ctx context.Context, g album, caption rich) error {
	for _, f := range g.files {
		if f.Size > maxUpload {
			return &channels.SendError{Kind: channels.Permanent, Reason: fileName(f) + " is larger than the 50 MB that Telegram takes."}
		}
	}
	if len(g.files) > 1 {
		return d.sendAlbum(ctx, g, caption)
	}
	err := d.sendFile(ctx, g.forms[0], g.files[0], caption)
	if g.forms[0] != document && refused(err, "photo_invalid_dimensions", "image_process_failed", "photo_save_file_invalid", "wrong file type", "voice_messages_forbidden", "can't use file of type") {
		// It was refused, so nothing has arrived; as a plain file Telegram takes anything.
		d.note("Sent as a file: Telegram did not accept it as a " + strings.ToLower(string(g.forms[0])) + ".")
		err = d.sendFile(ctx, document, g.files[0], caption)
	}
	return err
}

func (d *delivery) sendFile(ctx context.Context, as form, f channels.File, caption rich) error {
	field := strings.ToLower(string(as))
	return d.formatted(caption, "caption", func(p params) error {
		var s sentMessage
		if err := d.attempt(ctx, func() error {
			for k, v := range d.first(d.target()) {
				p[k] = v
			}
			return d.a.api.callFiles(ctx, "send"+string(as), p, []upload{{field: field, file: f}}, &s)
		}); err != nil {
			return err
		}
		d.sent(s)
		return nil
	})
}

func (d *delivery) sendAlbum(ctx context.Context, g album, caption rich) error {
	uploads := make([]upload, len(g.files))
	for i, f := range g.files {
		uploads[i] = upload{field: "file" + strconv.Itoa(i), file: f}
	}
	return d.formatted(caption, "caption", func(p params) error {
		media := make([]params, len(g.files))
		for i := range g.files {
			media[i] = params{"type": strings.ToLower(string(g.forms[i])), "media": "attach://file" + strconv.Itoa(i)}
		}
		// Documents and audio show the caption of each; the last one's stands below the album.
		at := 0
		if g.form != photo {
			at = len(media) - 1
		}
		for k, v := range p {
			media[at][k] = v
		}
		var s []sentMessage
		if err := d.attempt(ctx, func() error {
			all := d.first(d.target())
			all["media"] = media
			return d.a.api.callFiles(ctx, "sendMediaGroup", all, uploads, &s)
		}); err != nil {
			return err
		}
		d.sent(s...)
		return nil
	})
}
