package telegram

import (
	"strings"

	"github.com/go-telegram/bot/models"
)

// fromEntities turns Telegram's formatting into spans. What only Telegram can show (mentions, hashtags, custom emoji)
// stays plain text.
func fromEntities(text string, entities []models.MessageEntity) rich {
	r := rich{text: text}
	for _, e := range entities {
		if len(r.spans) >= maxSpans {
			break
		}
		if e.Offset < 0 || e.Length <= 0 || e.Offset >= len(text) {
			continue
		}
		s := span{start: e.Offset, end: e.Offset + min(e.Length, len(text))}
		switch e.Type {
		case models.MessageEntityTypeBold:
			s.tag = "b"
		case models.MessageEntityTypeItalic:
			s.tag = "i"
		case models.MessageEntityTypeUnderline:
			s.tag = "u"
		case models.MessageEntityTypeStrikethrough:
			s.tag = "s"
		case models.MessageEntityTypeSpoiler:
			s.tag = "tg-spoiler"
		case models.MessageEntityTypeCode:
			s.tag = "code"
		case models.MessageEntityTypePre:
			s.tag = "pre"
		case models.MessageEntityTypeBlockquote, models.MessageEntityTypeExpandableBlockquote:
			s.tag = "blockquote"
		default:
			s.tag, s.href = "a", linkOf(e, slice(text, s.start, s.end))
			var ok bool
			if s.href, ok = safeLink(s.href); !ok {
				continue
			}
		}
		r.spans = append(r.spans, s)
	}
	return r
}

func linkOf(e models.MessageEntity, shown string) string {
	switch e.Type {
	case models.MessageEntityTypeTextLink:
		return clean(e.URL, 4096)
	case models.MessageEntityTypeURL:
		if !strings.Contains(shown, "://") {
			return "https://" + shown
		}
		return shown
	case models.MessageEntityTypeEmail:
		return "mailto:" + shown
	case models.MessageEntityTypePhoneNumber:
		return "tel:" + strings.Map(func(r rune) rune {
			if r == '+' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, shown)
	default:
		return ""
	}
}

// slice is text between two positions in UTF-16 units.
func slice(text string, start, end int) string {
	from, to, at := -1, len(text), 0
	for i, c := range text {
		if from < 0 && at >= start {
			from = i
		}
		if at >= end {
			to = i
			break
		}
		at += unitsOf(c)
	}
	if from < 0 || from > to {
		return ""
	}
	return text[from:to]
}
