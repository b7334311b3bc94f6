package staff

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

func TestOnDuty(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	a, _ := h.hire("anna", Member, ScopeTeam)
	team, err := h.CreateTeam(h.ctx, boss, TeamPatch{Name: ptr("Sales"), MemberIDs: &[]ids.ID{a.AgentID}})
	if err != nil {
		t.Fatal(err)
	}
	shut, err := h.CreateHours(h.ctx, boss, HoursPatch{Name: ptr("Never"), Timezone: ptr("UTC"), Holidays: &[]string{
		time.Now().UTC().Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly),
	}})
	if err != nil {
		t.Fatal(err)
	}
	why := func() string {
		t.Helper()
		d, err := Duty(h.ctx, h.pool, team.ID)
		if err != nil || len(d) != 1 || d[0].ID != a.AgentID {
			t.Fatalf("%+v %v", d, err)
		}
		on, err := OnDuty(h.ctx, h.pool, team.ID)
		if err != nil || (len(on) == 1) != (d[0].Why == "") {
			t.Fatalf("%+v %v", on, err)
		}
		return d[0].Why
	}
	want := func(w string) {
		t.Helper()
		if got := why(); got != w {
			t.Errorf("got %q, want %q", got, w)
		}
	}
	want("status")
	if err := h.SetStatus(h.ctx, a.AgentID, Online); err != nil {
		t.Fatal(err)
	}
	want("")
	for _, st := range []Status{Busy, Away, Off} {
		if err := h.SetStatus(h.ctx, a.AgentID, st); err != nil {
			t.Fatal(err)
		}
		want("status")
	}
	wantCode(t, h.SetStatus(h.ctx, a.AgentID, "asleep"), errs.Invalid)
	if err := h.SetStatus(h.ctx, a.AgentID, Online); err != nil {
		t.Fatal(err)
	}

	h.exec(`UPDATE agent_status SET heartbeat_at = now() - interval '61 seconds' WHERE agent_id = $1`, a.AgentID)
	want("heartbeat")
	if p, err := Presence(h.ctx, h.pool); err != nil || p[a.AgentID] != Off {
		t.Errorf("%v %v", p, err)
	}
	if got, err := h.Agent(h.ctx, a.AgentID); err != nil || got.Status != Online {
		t.Errorf("his row does not keep its status: %+v %v", got, err)
	}
	n := h.eventCount()
	for range 3 {
		if err := h.Heartbeat(h.ctx, a.AgentID); err != nil {
			t.Fatal(err)
		}
	}
	if kinds, _ := h.events(n); !slices.Equal(kinds, []string{"agent.updated"}) {
		t.Errorf("coming back makes %v, want one event", kinds)
	}
	want("")

	now := time.Now()
	abs, err := h.CreateAbsence(h.ctx, a, Absence{AgentID: a.AgentID, From: now.Add(-time.Hour), To: now.Add(time.Hour), Reason: "dentist"})
	if err != nil {
		t.Fatal(err)
	}
	want("absent")
	if err := h.DeleteAbsence(h.ctx, a, abs.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.CreateAbsence(h.ctx, a, Absence{AgentID: a.AgentID, From: now.Add(time.Hour), To: now.Add(2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	want("")

	if _, err := h.update(boss, a.AgentID, AgentPatch{HoursID: patchID(shut.ID)}); err != nil {
		t.Fatal(err)
	}
	want("hours")
	if _, err := h.update(boss, a.AgentID, AgentPatch{HoursID: patchID(0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.UpdateTeam(h.ctx, boss, team.ID, TeamPatch{HoursID: patchID(shut.ID)}); err != nil {
		t.Fatal(err)
	}
	want("team_hours")
	if on, err := AgentsOnDuty(h.ctx, h.pool, []ids.ID{a.AgentID}); err != nil || len(on) != 1 {
		t.Errorf("a sticky owner is not bound to a team's hours: %v %v", on, err)
	}
	if _, err := h.UpdateTeam(h.ctx, boss, team.ID, TeamPatch{HoursID: patchID(0)}); err != nil {
		t.Fatal(err)
	}
	want("")
	if _, err := h.update(boss, a.AgentID, AgentPatch{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	want("disabled")
	wantCode(t, h.Heartbeat(h.ctx, a.AgentID), errs.NotFound)
	wantCode(t, h.SetStatus(h.ctx, a.AgentID, Online), errs.NotFound)
	if on, err := OnDuty(h.ctx, h.pool, 999); err != nil || len(on) != 0 {
		t.Errorf("a team that is not there: %v %v", on, err)
	}
}

func TestAbsencesAreOnesOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sue, _ := h.hire("sue", Supervisor, ScopeTeam)
	a, _ := h.hire("anna", Member, ScopeTeam)
	b, _ := h.hire("berta", Member, ScopeTeam)
	abs := Absence{AgentID: a.AgentID, From: time.Now(), To: time.Now().Add(time.Hour), Reason: "private"}
	_, err := h.CreateAbsence(h.ctx, b, abs)
	wantCode(t, err, errs.Forbidden)
	made, err := h.CreateAbsence(h.ctx, sue, abs)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.DeleteAbsence(h.ctx, b, made.ID), errs.NotFound)
	for _, c := range []struct {
		by   Access
		want string
	}{{a, "private"}, {sue, "private"}, {b, ""}} {
		list, err := h.Absences(h.ctx, c.by, 0, 0, 10)
		if err != nil || len(list) != 1 || list[0].Reason != c.want {
			t.Errorf("%+v %v, want reason %q", list, err, c.want)
		}
	}
	_, err = h.CreateAbsence(h.ctx, sue, Absence{AgentID: 999, From: time.Now(), To: time.Now().Add(time.Hour)})
	wantCode(t, err, errs.Invalid)
	_, err = h.CreateAbsence(h.ctx, sue, Absence{AgentID: a.AgentID, From: abs.From, To: abs.From})
	wantCode(t, err, errs.Invalid)
	if err := h.DeleteAbsence(h.ctx, a, made.ID); err != nil {
		t.Fatal(err)
	}
}
