package email

import (
	"regexp"
	"strings"
)

// What begins a quoted mail, in the words of the usual programs. They only fold it away: nothing is ever removed.
var (
	wrotePattern = regexp.MustCompile(`(?i)^(>*\s*)?((on|am|le|el|il|op|den|em|w dniu)\b.{4,200}(wrote|schrieb|a écrit|escribió|ha scritto|schreef|skrev|escreveu|napisał(\(a\))?)\s*:?|.{4,200}(пишет|написал(\(а\)|а)?|ጽፏል|ጻፈ)\s*:)\s*$`)
	markPattern  = regexp.MustCompile(`(?i)^\s*(-{2,}\s*(original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht|message d'origine|mensaje original|исходное сообщение|пересылаемое сообщение|пересланное сообщение)\s*-{2,}|begin forwarded message:|_{20,})\s*$`)
	fromPattern  = regexp.MustCompile(`(?i)^\s*\*?(from|von|de|от|van|da)\s*:\*?\s+\S`)
	sentPattern  = regexp.MustCompile(`(?i)^\s*\*?(sent|date|gesendet|datum|envoyé|enviado|дата|отправлено|to|an|à|para|кому|subject|betreff|objet|asunto|тема)\s*:\*?\s+\S`)
	phonePattern = regexp.MustCompile(`(?i)^\s*(sent from my |von meinem .{2,40} gesendet|envoyé de mon |enviado desde mi |отправлено с |get outlook for )`)
)

// findQuote tells where the quoted part and the signature of a text begin, in characters; -1 = there is none.
func findQuote(text string) (quote, signature int) {
	quote, signature = -1, -1
	lines := strings.Split(text, "\n")
	starts := make([]int, len(lines))
	at := 0
	for i, l := range lines {
		starts[i] = at
		at += runes(l) + 1
	}
	end := len(lines)
	if i := quoteLine(lines); i >= 0 {
		quote, end = starts[i], i
	}
	for i := end - 1; i >= 0 && i >= end-15; i-- {
		l := strings.TrimRight(lines[i], "\r")
		if l == "-- " || l == "--" || strings.TrimSpace(l) == "—" || phonePattern.MatchString(l) {
			signature = starts[i]
			break
		}
	}
	return quote, signature
}

// quoteLine is the line at which everything to the end is quoted.
func quoteLine(lines []string) int {
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		switch {
		case markPattern.MatchString(l):
			return i
		case wrotePattern.MatchString(l) && quotedAfter(lines[i+1:]):
			return i
		case i+1 < len(lines) && len(l) < 120 && wrotePattern.MatchString(l+" "+strings.TrimSpace(lines[i+1])) && !strings.HasPrefix(strings.TrimSpace(lines[i+1]), ">") && quotedAfter(lines[i+2:]):
			return i
		case fromPattern.MatchString(l) && headerBlock(lines[i+1:]):
			return i
		}
	}
	// a block of > up to the end
	i := len(lines)
	for i > 0 && (strings.HasPrefix(lines[i-1], ">") || strings.TrimSpace(lines[i-1]) == "") {
		i--
	}
	for i < len(lines) && strings.TrimSpace(lines[i]) == "" {
		i++
	}
	if i < len(lines) {
		return i
	}
	return -1
}

// quotedAfter: what follows "X wrote:" is quoted to the end, with > or without (some programs leave it out).
func quotedAfter(lines []string) bool {
	quoted, own := 0, 0
	for _, l := range lines {
		switch {
		case strings.TrimSpace(l) == "":
		case strings.HasPrefix(strings.TrimSpace(l), ">"):
			quoted++
		default:
			own++
		}
	}
	return quoted > 0 && own == 0 || quoted == 0 && own > 0
}

// headerBlock: From: is followed by at least two more lines of a header, as Outlook quotes.
func headerBlock(lines []string) bool {
	n := 0
	for i := 0; i < len(lines) && i < 6; i++ {
		if sentPattern.MatchString(lines[i]) {
			n++
		}
	}
	return n >= 2
}
