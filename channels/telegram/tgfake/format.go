package tgfake

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// parseHTML reads parse_mode=HTML as Telegram does: a closed set of tags, properly nested, and four named entities.
func parseHTML(s string) (string, []object, *apiError) {
	var out strings.Builder
	var entities []object
	type openTag struct {
		name  string
		at    int // units
		extra object
		index int // in entities, so that they stay in order of their start
	}
	var open []openTag
	at := 0
	write := func(text string) {
		out.WriteString(text)
		at += units(text)
	}
	fail := func(format string, args ...any) (string, []object, *apiError) {
		return "", nil, bad("can't parse entities: " + fmt.Sprintf(format, args...))
	}
	for i := 0; i < len(s); {
		switch {
		case s[i] == '&':
			text, n := htmlEntity(s[i:])
			write(text)
			i += n
		case s[i] != '<':
			_, n := utf8.DecodeRuneInString(s[i:])
			write(s[i : i+n])
			i += n
		case strings.HasPrefix(s[i:], "</"):
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return fail("Unclosed end tag at byte offset %d", i)
			}
			name := strings.ToLower(strings.TrimSpace(s[i+2 : i+end]))
			if len(open) == 0 {
				return fail("Unexpected end tag at byte offset %d", i)
			}
			last := open[len(open)-1]
			if name != "" && name != last.name {
				return fail("Unmatched end tag at byte offset %d, expected \"</%s>\", found \"</%s>\"", i, last.name, name)
			}
			open = open[:len(open)-1]
			e := object{"type": entityType(last.name), "offset": last.at, "length": at - last.at}
			for k, v := range last.extra {
				e[k] = v
			}
			entities[last.index] = e
			i += end + 1
		default:
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return fail("Unclosed start tag at byte offset %d", i)
			}
			inside := s[i+1 : i+end]
			name, attrs, _ := strings.Cut(inside, " ")
			name = strings.ToLower(name)
			if entityType(name) == "" || name == "span" && !strings.Contains(attrs, `class="tg-spoiler"`) {
				return fail("Unsupported start tag \"%s\" at byte offset %d", name, i)
			}
			t := openTag{name: name, at: at, index: len(entities)}
			if name == "a" {
				_, href, _ := strings.Cut(attrs, `href="`)
				href, _, _ = strings.Cut(href, `"`)
				plain, _, _ := parseHTML(strings.ReplaceAll(href, "<", "&lt;"))
				t.extra = object{"url": plain}
			}
			entities = append(entities, nil)
			open = append(open, t)
			i += end + 1
		}
	}
	if len(open) > 0 {
		return fail("Can't find end tag corresponding to start tag \"%s\"", open[len(open)-1].name)
	}
	kept := entities[:0]
	for _, e := range entities {
		if e["length"] != 0 && (e["type"] != "text_link" || e["url"] != "") {
			kept = append(kept, e)
		}
	}
	return out.String(), kept, nil
}

func htmlEntity(s string) (string, int) {
	for name, text := range map[string]string{"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": `"`} {
		if strings.HasPrefix(s, name) {
			return text, len(name)
		}
	}
	var n rune
	if strings.HasPrefix(s, "&#") {
		if end := strings.IndexByte(s, ';'); end > 2 && end < 10 {
			verb := "%d"
			digits := s[2:end]
			if digits[0] == 'x' {
				verb, digits = "%x", digits[1:]
			}
			if _, err := fmt.Sscanf(digits, verb, &n); err == nil && n > 0 && utf8.ValidRune(n) {
				return string(n), end + 1
			}
		}
	}
	return "&", 1
}

func entityType(tag string) string {
	switch tag {
	case "b", "strong":
		return "bold"
	case "i", "em":
		return "italic"
	case "u", "ins":
		return "underline"
	case "s", "strike", "del":
		return "strikethrough"
	case "code":
		return "code"
	case "pre":
		return "pre"
	case "a":
		return "text_link"
	case "blockquote":
		return "blockquote"
	case "span", "tg-spoiler":
		return "spoiler"
	}
	return ""
}

// units counts UTF-16 code units.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}

// formatted reads a text parameter with its parse_mode or entities. Space around the text is dropped, as Telegram does.
func (p *params) formatted(name, entitiesName string) (string, []object, *apiError) {
	text := p.str(name)
	if !utf8.ValidString(text) {
		return "", nil, bad("strings must be encoded in UTF-8")
	}
	var entities []object
	switch mode := strings.ToLower(p.str("parse_mode")); mode {
	case "":
		p.json(entitiesName, &entities)
	case "html":
		var err *apiError
		if text, entities, err = parseHTML(text); err != nil {
			return "", nil, err
		}
	default:
		return "", nil, bad("unsupported parse_mode")
	}
	trimmed := strings.TrimSpace(text)
	if lead := units(text[:len(text)-len(strings.TrimLeft(text, " \t\r\n"))]); lead > 0 {
		for _, e := range entities {
			if o, ok := e["offset"].(int); ok {
				e["offset"] = max(o-lead, 0)
			}
		}
	}
	return trimmed, entities, nil
}
