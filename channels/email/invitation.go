package email

import (
	"bytes"
	"strings"
	"time"
)

// invitation is the readable form of a calendar part; "" when there is no event in it.
func invitation(ics []byte) string {
	v := map[string]string{}
	inEvent := false
	text := strings.ReplaceAll(string(bytes.ToValidUTF8(ics[:min(len(ics), 1<<20)], nil)), "\r\n", "\n")
	text = strings.NewReplacer("\n ", "", "\n\t", "").Replace(text)
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name, params, _ := strings.Cut(strings.ToUpper(name), ";")
		switch {
		case name == "BEGIN" && value == "VEVENT":
			inEvent = true
		case name == "END" && value == "VEVENT":
			inEvent = false
		case (inEvent || name == "METHOD") && v[name] == "":
			v[name] = unescapeICS(value)
			if name == "DTSTART" || name == "DTEND" {
				v[name] = icsTime(value, params)
			}
		}
	}
	if v["SUMMARY"] == "" && v["DTSTART"] == "" {
		return ""
	}
	what := "Invitation"
	switch v["METHOD"] {
	case "CANCEL":
		what = "Cancelled"
	case "REPLY":
		what = "Answer to an invitation"
	}
	lines := []string{what + ": " + v["SUMMARY"]}
	if when := v["DTSTART"]; when != "" {
		if v["DTEND"] != "" {
			when += " – " + v["DTEND"]
		}
		lines = append(lines, "When: "+when)
	}
	if v["LOCATION"] != "" {
		lines = append(lines, "Where: "+v["LOCATION"])
	}
	if who := strings.TrimPrefix(strings.ToLower(v["ORGANIZER"]), "mailto:"); who != "" {
		lines = append(lines, "Organiser: "+who)
	}
	return cut(strings.Join(lines, "\n"), 2000)
}

func unescapeICS(s string) string {
	return oneLine(strings.NewReplacer(`\n`, " ", `\N`, " ", `\,`, ",", `\;`, ";", `\\`, `\`).Replace(s))
}

func icsTime(value, params string) string {
	value = strings.TrimSpace(value)
	zone := ""
	for p := range strings.SplitSeq(params, ";") {
		if z, ok := strings.CutPrefix(p, "TZID="); ok {
			zone = " " + z
		}
	}
	if t, err := time.Parse("20060102T150405Z", value); err == nil {
		return t.Format("2006-01-02 15:04") + " UTC"
	}
	if t, err := time.Parse("20060102T150405", value); err == nil {
		return t.Format("2006-01-02 15:04") + zone
	}
	if t, err := time.Parse("20060102", value); err == nil {
		return t.Format("2006-01-02")
	}
	return value
}
