package staff

import (
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

func TestHoursOpenAt(t *testing.T) {
	t.Parallel()
	week := func(from, to string, days ...int) (out []Span) {
		for _, d := range days {
			out = append(out, Span{d, from, to})
		}
		return out
	}
	office := Hours{Timezone: "Europe/Berlin", Week: week("09:00", "18:00", 1, 2, 3, 4, 5), Holidays: []string{"2026-12-25"}}
	night := Hours{Timezone: "America/New_York", Week: week("22:00", "06:00", 5), Holidays: []string{"2026-07-03"}}
	for _, c := range []struct {
		name string
		h    Hours
		at   string
		open bool
	}{
		{"winter morning", office, "2026-01-05T08:00:00Z", true}, // Monday 09:00 in Berlin
		{"a second before", office, "2026-01-05T07:59:59Z", false},
		{"the end is not open", office, "2026-01-05T17:00:00Z", false},
		{"summer time", office, "2026-07-06T07:00:00Z", true},
		{"summer time evening", office, "2026-07-06T16:00:00Z", false},
		{"Sunday", office, "2026-01-04T10:00:00Z", false},
		{"holiday", office, "2026-12-25T10:00:00Z", false},
		{"holiday begins at local midnight", office, "2026-12-24T16:59:00Z", true},
		{"day of the clock change, Sunday", office, "2026-03-29T10:00:00Z", false},
		{"Monday after the clock change", office, "2026-03-30T07:00:00Z", true},
		{"night shift begins", night, "2026-06-06T02:00:00Z", true},         // Friday 22:00
		{"night shift goes on", night, "2026-06-06T09:59:00Z", true},        // Saturday 05:59
		{"night shift is over", night, "2026-06-06T10:00:00Z", false},       // Saturday 06:00
		{"no shift the night before", night, "2026-06-05T09:00:00Z", false}, // Friday 05:00
		{"a holiday's night has no shift", night, "2026-07-04T05:00:00Z", false},
		{"always", Hours{Timezone: "UTC"}, "2026-01-04T03:00:00Z", true},
		{"always but holidays", Hours{Timezone: "UTC", Holidays: []string{"2026-01-04"}}, "2026-01-04T03:00:00Z", false},
		{"round the clock day", Hours{Timezone: "UTC", Week: week("00:00", "24:00", 7)}, "2026-01-04T23:59:59Z", true},
		{"not after it", Hours{Timezone: "UTC", Week: week("00:00", "24:00", 7)}, "2026-01-05T00:00:00Z", false},
		{"half-hour zone", Hours{Timezone: "Asia/Kolkata", Week: week("09:00", "10:00", 1)}, "2026-01-05T03:30:00Z", true},
		{"unknown zone never silences", Hours{Timezone: "Mars/Olympus", Week: week("09:00", "10:00", 1)}, "2026-01-04T00:00:00Z", true},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.h.OpenAt(at); got != c.open {
			t.Errorf("%s: got %v, want %v", c.name, got, c.open)
		}
	}
}

func TestHoursLife(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	name, zone := "Office", "Africa/Addis_Ababa"
	made, err := h.CreateHours(h.ctx, boss, HoursPatch{
		Name: &name, Timezone: &zone, Week: &[]Span{{1, "09:00", "17:30"}}, Holidays: &[]string{"2026-09-11", "2026-01-07", "2026-09-11"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Holidays) != 2 || made.Holidays[0] != "2026-01-07" || made.Week[0].To != "17:30" || made.Version != 1 {
		t.Errorf("got %+v", made)
	}
	for field, p := range map[string]HoursPatch{
		"timezone":    {Timezone: ptr("Local")},
		"week[0]":     {Week: &[]Span{{8, "09:00", "17:00"}}},
		"holidays[0]": {Holidays: &[]string{"2026-02-30"}},
		"name":        {Name: ptr(" \n ")},
	} {
		_, err := h.UpdateHours(h.ctx, boss, made.ID, p)
		wantCode(t, err, errs.Invalid)
		if e := err.(*errs.E); e.Field != field { //nolint:errorlint // made right there
			t.Errorf("got field %s, want %s", e.Field, field)
		}
	}
	up, err := h.UpdateHours(h.ctx, boss, made.ID, HoursPatch{Version: 1, Week: &[]Span{}})
	if err != nil || up.Version != 2 || len(up.Week) != 0 || len(up.Holidays) != 2 {
		t.Fatalf("got %+v %v", up, err)
	}
	_, err = h.UpdateHours(h.ctx, boss, made.ID, HoursPatch{Version: 1})
	wantCode(t, err, errs.Conflict)
	team, err := h.CreateTeam(h.ctx, boss, TeamPatch{Name: ptr("Sales"), HoursID: patchID(made.ID)})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.DeleteHours(h.ctx, boss, made.ID), errs.Conflict)
	if err := h.DeleteTeam(h.ctx, boss, team.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteHours(h.ctx, boss, made.ID); err != nil {
		t.Fatal(err)
	}
}
