package staff

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a scratch image has no time zones of its own

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

// Hours is a week of opening times in a time zone, with the days on which nobody works.
type Hours struct {
	ID       ids.ID `json:"id"`
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Timezone string `json:"timezone"` // IANA name
	// Week lists the spans that are open; an empty one means always open. A span that ends at or before its start goes
	// over midnight and belongs to the day on which it starts; "24:00" is the day's end.
	Week     []Span   `json:"week" nullable:"false"`
	Holidays []string `json:"holidays" nullable:"false"` // 2026-12-25, in the time zone of the hours
}

// Span is one opening time: day 1 is Monday (ISO).
type Span struct {
	Day  int    `json:"day" minimum:"1" maximum:"7"`
	From string `json:"from" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" patternDescription:"HH:MM"`
	To   string `json:"to" pattern:"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" patternDescription:"HH:MM"`
}

// OpenAt reports whether the hours are open at t. Spans are wall-clock times: on the day the clocks change, 09:00 is
// 09:00 as everybody's watch shows it. Hours with a time zone that is not known count as open, so that a mistake never
// silences a team.
func (h Hours) OpenAt(t time.Time) bool {
	loc, err := time.LoadLocation(h.Timezone)
	if err != nil {
		return true
	}
	t = t.In(loc)
	today := midnight(t)
	yesterday := today.AddDate(0, 0, -1)
	minute := t.Hour()*60 + t.Minute()
	if len(h.Week) == 0 {
		return !h.holiday(today)
	}
	for _, s := range h.Week {
		from, ok1 := clockMinutes(s.From)
		to, ok2 := clockMinutes(s.To)
		if !ok1 || !ok2 {
			continue
		}
		over := to <= from
		if s.Day == isoDay(today) && !h.holiday(today) && minute >= from && (over || minute < to) {
			return true
		}
		if over && s.Day == isoDay(yesterday) && !h.holiday(yesterday) && minute < to {
			return true
		}
	}
	return false
}

func (h Hours) holiday(day time.Time) bool {
	return slices.Contains(h.Holidays, day.Format(time.DateOnly))
}

// midnight is the calendar day of t as a date without a zone, so that stepping back a day cannot meet a clock change.
func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func isoDay(day time.Time) int { return (int(day.Weekday())+6)%7 + 1 }

func clockMinutes(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// HoursPatch makes or changes hours; nil leaves as it is.
type HoursPatch struct {
	Version  int       `json:"version,omitempty" minimum:"0"`
	Name     *string   `json:"name,omitempty" maxLength:"400"`
	Timezone *string   `json:"timezone,omitempty" maxLength:"100"`
	Week     *[]Span   `json:"week,omitempty" maxItems:"100" nullable:"false"`
	Holidays *[]string `json:"holidays,omitempty" maxItems:"400" nullable:"false"`
}

func (p *HoursPatch) check() error {
	if p.Name != nil {
		name, err := cleanName("name", *p.Name, 100)
		if err != nil {
			return err
		}
		p.Name = &name
	}
	if p.Timezone != nil {
		// Local and "" load without an error and would mean another place on another node.
		if _, err := time.LoadLocation(*p.Timezone); err != nil || *p.Timezone == "" || *p.Timezone == "Local" {
			return errs.Field("timezone", "must be the name of a time zone, for example Europe/Berlin")
		}
	}
	if p.Week != nil {
		if len(*p.Week) > 100 {
			return errs.Field("week", "must have at most 100 spans")
		}
		for i, s := range *p.Week {
			_, ok1 := clockMinutes(s.From)
			_, ok2 := clockMinutes(s.To)
			if s.Day < 1 || s.Day > 7 || !ok1 || !ok2 || s.From == "24:00" {
				return errs.Field(fmt.Sprintf("week[%d]", i), "must be {day: 1 (Monday) to 7, from: HH:MM, to: HH:MM}")
			}
		}
	}
	if p.Holidays != nil {
		if len(*p.Holidays) > 400 {
			return errs.Field("holidays", "must have at most 400 days")
		}
		days := make([]string, 0, len(*p.Holidays))
		for i, d := range *p.Holidays {
			d = strings.TrimSpace(d)
			if _, err := time.Parse(time.DateOnly, d); err != nil {
				return errs.Field(fmt.Sprintf("holidays[%d]", i), "must be a day like 2026-12-25")
			}
			days = append(days, d)
		}
		slices.Sort(days)
		days = slices.Compact(days)
		p.Holidays = &days
	}
	return nil
}
