package telegram

import (
	"html"
	"slices"
	"strings"
)

// fromHTML reads the formatted form of an outgoing message. Whatever it is given, only text and the formatting that
// Telegram knows come out; tags it does not know are dropped and their text is kept.
func fromHTML(s string) rich {
	p := htmlReader{}
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			p.write(html.UnescapeString(s))
			break
		}
		p.write(html.UnescapeString(s[:i]))
		s = p.tag(s[i:])
	}
	for len(p.open) > 0 {
		p.close(p.open[len(p.open)-1].tag)
	}
	return rich{text: p.b.String(), spans: p.spans}
}

type htmlReader struct {
	b     strings.Builder
	at    int // units written
	open  []span
	spans []span
}

func (p *htmlReader) write(s string) {
	s = clean(s, len(s)*3+3)
	p.b.WriteString(s)
	p.at += units(s)
}

// tag takes the tag at the start of s and returns what follows it.
func (p *htmlReader) tag(s string) string {
	if strings.HasPrefix(s, "<!--") {
		if i := strings.Index(s[4:], "-->"); i >= 0 {
			return s[4+i+3:]
		}
		return ""
	}
	body := strings.TrimPrefix(s[1:], "/")
	if body == "" || !isLetter(body[0]) {
		if strings.HasPrefix(s, "<!") || strings.HasPrefix(s, "<?") {
			_, rest, _ := strings.Cut(s, ">")
			return rest
		}
		p.write("<")
		return s[1:]
	}
	closing := len(body) < len(s)-1
	end := tagEnd(body)
	inside, rest := body[:end], body[min(end+1, len(body)):]
	name := inside
	if i := strings.IndexAny(inside, " \t\r\n/"); i >= 0 {
		name = inside[:i]
	}
	name = strings.ToLower(name)
	switch name {
	case "script", "style", "title", "textarea":
		if !closing {
			return afterClose(rest, name)
		}
	case "br":
		p.write("\n")
	case "p", "div", "ul", "ol", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6":
		p.line()
		if name == "li" && !closing {
			p.write("• ")
		}
	default:
		p.inline(name, inside, closing)
	}
	return rest
}

// line starts a new line unless the text is at the start of one.
func (p *htmlReader) line() {
	if t := p.b.String(); t != "" && !strings.HasSuffix(t, "\n") {
		p.write("\n")
	}
}

func (p *htmlReader) inline(name, inside string, closing bool) {
	tag := ""
	switch name {
	case "b", "strong":
		tag = "b"
	case "i", "em":
		tag = "i"
	case "u", "ins":
		tag = "u"
	case "s", "strike", "del":
		tag = "s"
	case "code", "pre", "blockquote", "a", "tg-spoiler":
		tag = name
	case "span":
		if !closing && attribute(inside, "class") != "tg-spoiler" {
			tag = "-" // opened, so that its end is not taken for another's
			break
		}
		tag = "tg-spoiler"
		if closing && len(p.open) > 0 && p.open[len(p.open)-1].tag == "-" {
			tag = "-"
		}
	default:
		return
	}
	if closing {
		p.close(tag)
		return
	}
	s := span{start: p.at, tag: tag}
	if tag == "a" {
		href, ok := safeLink(strings.TrimSpace(attribute(inside, "href")))
		if !ok {
			s.tag = "a-" // dead link: the text stays
		}
		s.href = href
	}
	if len(p.open) < 256 {
		p.open = append(p.open, s)
	}
}

func (p *htmlReader) close(tag string) {
	for i, s := range slices.Backward(p.open) {
		if strings.TrimSuffix(s.tag, "-") == strings.TrimSuffix(tag, "-") {
			p.open = slices.Delete(p.open, i, i+1)
			s.end = p.at
			if s.end > s.start && !strings.HasSuffix(s.tag, "-") && len(p.spans) < maxSpans {
				p.spans = append(p.spans, s)
			}
			return
		}
	}
}

// tagEnd is where the > of a tag stands, minding quoted values; the length when it is missing.
func tagEnd(s string) int {
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return len(s)
}

func afterClose(s, name string) string {
	end := "</" + name
	for i := 0; i+len(end) <= len(s); i++ {
		if s[i] == '<' && strings.EqualFold(s[i:i+len(end)], end) {
			_, rest, _ := strings.Cut(s[i:], ">")
			return rest
		}
	}
	return ""
}

// attribute finds name="value" inside a tag.
func attribute(inside, name string) string {
	s := inside
	for s != "" {
		i := strings.IndexAny(s, " \t\r\n/")
		if i < 0 {
			return ""
		}
		s = strings.TrimLeft(s[i:], " \t\r\n/")
		key := s
		if j := strings.IndexAny(s, "= \t\r\n/"); j >= 0 {
			key = s[:j]
		}
		after := strings.TrimLeft(s[len(key):], " \t\r\n")
		if !strings.HasPrefix(after, "=") {
			s = s[len(key):]
			continue
		}
		after = strings.TrimLeft(after[1:], " \t\r\n")
		value := ""
		if after != "" && (after[0] == '"' || after[0] == '\'') {
			j := strings.IndexByte(after[1:], after[0])
			if j < 0 {
				return ""
			}
			value, s = after[1:1+j], after[j+2:]
			if s != "" && !strings.ContainsAny(s[:1], " \t\r\n/") {
				s = " " + s
			}
		} else {
			j := strings.IndexAny(after, " \t\r\n")
			if j < 0 {
				j = len(after)
			}
			value, s = after[:j], after[j:]
		}
		if strings.EqualFold(key, name) {
			return html.UnescapeString(value)
		}
	}
	return ""
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
