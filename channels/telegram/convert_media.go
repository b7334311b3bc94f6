package telegram

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// maxDownload is what Telegram gives out to a bot.
const maxDownload = 20 << 20

// tooBig is shown instead of a file that Telegram does not give out.
const tooBig = "This file is larger than the 20 MB that Telegram lets a bot download. Ask for it by e-mail, or open it in Telegram."

// mediaRef is what FetchMedia gets back.
type mediaRef struct {
	FileID string `json:"file_id"`
	Unique string `json:"unique,omitempty"`
	Name   string `json:"name,omitempty"`
	Type   string `json:"type,omitempty"`
	Size   int64  `json:"size,omitempty"`
}

func newMedia(kind, id, unique, name, mime string, size int64) channels.Media {
	m := channels.Media{Kind: kind, Name: clean(name, 255), Type: clean(mime, 127), Size: max(size, 0)}
	m.Ref, _ = json.Marshal(mediaRef{FileID: clean(id, 512), Unique: clean(unique, 128), Name: m.Name, Type: m.Type, Size: m.Size}) // strings and numbers
	if size > maxDownload {
		m.TooBig = tooBig
	}
	return m
}

func withShape(m channels.Media, width, height, seconds int) channels.Media {
	m.Width, m.Height = max(width, 0), max(height, 0)
	m.Duration = time.Duration(min(max(seconds, 0), 7*86400)) * time.Second
	return m
}

func mediaContent(m *models.Message) (body, bool) {
	one := func(content string, media channels.Media) (body, bool) {
		b := body{content: content, text: fromEntities(m.Caption, m.CaptionEntities), media: []channels.Media{media}}
		if m.HasMediaSpoiler {
			b.data = params{"spoiler": true}
		}
		return b, true
	}
	switch {
	case m.Animation != nil: // before document: an animation carries both
		a := m.Animation
		return one("animation", withShape(newMedia("animation", a.FileID, a.FileUniqueID, a.FileName, cmp.Or(a.MimeType, "video/mp4"), a.FileSize), a.Width, a.Height, a.Duration))
	case len(m.Photo) > 0:
		p := largest(m.Photo)
		return one("photo", withShape(newMedia("photo", p.FileID, p.FileUniqueID, "", "image/jpeg", int64(p.FileSize)), p.Width, p.Height, 0))
	case m.Voice != nil:
		v := m.Voice
		return one("voice", withShape(newMedia("voice", v.FileID, v.FileUniqueID, "", cmp.Or(v.MimeType, "audio/ogg"), v.FileSize), 0, 0, v.Duration))
	case m.Audio != nil:
		a := m.Audio
		b, ok := one("audio", withShape(newMedia("audio", a.FileID, a.FileUniqueID, a.FileName, a.MimeType, a.FileSize), 0, 0, a.Duration))
		if a.Title != "" || a.Performer != "" {
			b.data = params{"title": clean(a.Title, maxName), "performer": clean(a.Performer, maxName)}
		}
		return b, ok
	case m.Video != nil:
		v := m.Video
		return one("video", withShape(newMedia("video", v.FileID, v.FileUniqueID, v.FileName, cmp.Or(v.MimeType, "video/mp4"), v.FileSize), v.Width, v.Height, v.Duration))
	case m.VideoNote != nil:
		v := m.VideoNote
		b, ok := one("video", withShape(newMedia("video", v.FileID, v.FileUniqueID, "", "video/mp4", int64(v.FileSize)), v.Length, v.Length, v.Duration))
		b.data = params{"round": true}
		return b, ok
	case m.Sticker != nil:
		return stickerContent(m.Sticker), true
	case m.Document != nil:
		d := m.Document
		return one("document", newMedia("document", d.FileID, d.FileUniqueID, d.FileName, d.MimeType, d.FileSize))
	case m.PaidMedia != nil:
		b, ok := words("unknown", "Sent paid media", params{"type": "paid_media", "stars": m.PaidMedia.StarCount})
		if m.Caption != "" {
			b.text, b.fixed = fromEntities(m.Caption, m.CaptionEntities), false
		}
		for _, p := range m.PaidMedia.PaidMedia {
			switch {
			case p.Photo != nil && len(p.Photo.Photo) > 0:
				s := largest(p.Photo.Photo)
				b.media = append(b.media, withShape(newMedia("photo", s.FileID, s.FileUniqueID, "", "image/jpeg", int64(s.FileSize)), s.Width, s.Height, 0))
			case p.Video != nil:
				v := p.Video.Video
				b.media = append(b.media, withShape(newMedia("video", v.FileID, v.FileUniqueID, v.FileName, cmp.Or(v.MimeType, "video/mp4"), v.FileSize), v.Width, v.Height, v.Duration))
			}
		}
		return b, ok
	}
	return body{}, false
}

func largest(sizes []models.PhotoSize) models.PhotoSize {
	best := sizes[0]
	for _, s := range sizes[1:] {
		if s.Width*s.Height > best.Width*best.Height || s.Width*s.Height == best.Width*best.Height && s.FileSize > best.FileSize {
			best = s
		}
	}
	return best
}

// stickerContent is a sticker: its emoji as text, its file as media. Animated ones come as .tgs (gzipped Lottie) or
// webm, the others as webp.
func stickerContent(s *models.Sticker) body {
	mime, name := "image/webp", "sticker.webp"
	switch {
	case s.IsAnimated:
		mime, name = "application/x-tgsticker", "sticker.tgs"
	case s.IsVideo:
		mime, name = "video/webm", "sticker.webm"
	}
	d := params{"emoji": clean(s.Emoji, 64)}
	if s.SetName != "" {
		d["set"] = clean(s.SetName, 128)
	}
	if s.IsAnimated || s.IsVideo {
		d["animated"] = true
	}
	return body{
		content: "sticker", text: rich{text: s.Emoji}, fixed: true, data: d,
		media: []channels.Media{withShape(newMedia("sticker", s.FileID, s.FileUniqueID, name, mime, int64(s.FileSize)), s.Width, s.Height, 0)},
	}
}
