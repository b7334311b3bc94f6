package crm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

func stageInputs(p Pipeline) (out []StageInput) {
	for _, s := range p.Stages {
		out = append(out, StageInput{ID: s.ID, Name: s.Name, Kind: s.Kind, RotDays: s.RotDays})
	}
	return out
}

func TestPipelinesAreEdited(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	name, eur := "Service", "EUR"
	in := PipelineInput{Name: &name, Currency: &eur, Stages: []StageInput{
		{Name: "New", Kind: "incoming", RotDays: 1}, {Name: "Working", Kind: "open", RotDays: 7}, {Name: "Done", Kind: "won"}, {Name: "Not", Kind: "lost"},
	}}
	p, err := d.CreatePipeline(d.ctx, d.by, in)
	if err != nil || p.Currency != "EUR" || len(p.Stages) != 4 || p.Stages[1].RotDays != 7 || p.IsDefault {
		t.Fatalf("made %+v, %v", p, err)
	}
	_, err = d.CreatePipeline(d.ctx, d.by, in)
	refused(t, err, errs.Invalid, "name")

	// Turned around, one renamed, one new, one gone.
	stages := stageInputs(p)
	stages = []StageInput{stages[0], {Name: "Waiting", Kind: "open"}, stages[1], stages[3], stages[2]}
	stages[2].Name = "In work"
	p, err = d.UpdatePipeline(d.ctx, d.by, int64(p.ID), PipelineInput{Version: 1, Default: true, Stages: stages})
	if err != nil || !p.IsDefault || p.Version != 2 {
		t.Fatalf("changed %+v, %v", p, err)
	}
	var names []string
	for i, s := range p.Stages {
		names = append(names, s.Name)
		if s.Position != i {
			t.Errorf("%s is at %d", s.Name, s.Position)
		}
	}
	if diff := cmp.Diff([]string{"New", "Waiting", "In work", "Not", "Done"}, names); diff != "" {
		t.Error(diff)
	}
	if n := count(t, d.pool, `SELECT count(*) FROM pipeline WHERE is_default`); n != 1 {
		t.Errorf("%d default pipelines", n)
	}
	if n := count(t, d.pool, `SELECT count(*) FROM event WHERE kind = 'pipeline.updated'`); n != 3 { // made, changed, and the one that was the default
		t.Errorf("%d events, want 3", n)
	}
	_, err = d.UpdatePipeline(d.ctx, d.by, int64(p.ID), PipelineInput{Version: 1})
	refused(t, err, errs.Conflict, "")
	_, err = d.UpdatePipeline(d.ctx, d.by, 1<<40, PipelineInput{Version: 1})
	refused(t, err, errs.NotFound, "")

	// A lead in a stage holds it.
	c := d.create(NewContact{Name: "Sara"})
	if _, err := d.CreateLead(d.ctx, d.by, NewLead{Contact: c.ID, Pipeline: p.ID, Amount: 1250}); err != nil {
		t.Fatal(err)
	}
	stages = stageInputs(p)
	_, err = d.UpdatePipeline(d.ctx, d.by, int64(p.ID), PipelineInput{Version: 2, Stages: stages[1:]})
	refused(t, err, errs.Invalid, "stages")
	lost := append([]StageInput{}, stages...)
	lost[0].Kind, lost[3].Kind = "open", "open"
	lost = append(lost[1:], StageInput{ID: lost[0].ID, Name: "New", Kind: "lost"})
	_, err = d.UpdatePipeline(d.ctx, d.by, int64(p.ID), PipelineInput{Version: 2, Stages: lost})
	refused(t, err, errs.Invalid, "stages[4].kind")
	if again, err := d.Pipelines(d.ctx); err != nil || again[0].Version != 2 || len(again[0].Stages) != 5 {
		t.Errorf("a refused change left %+v, %v", again, err)
	}
}

func TestPipelineInputs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	list, err := d.Pipelines(d.ctx)
	if err != nil {
		t.Fatal(err)
	}
	base := stageInputs(list[0])
	with := func(fn func(s []StageInput) []StageInput) []StageInput { return fn(append([]StageInput{}, base...)) }
	for field, stages := range map[string][]StageInput{
		"stages[1].name":     with(func(s []StageInput) []StageInput { s[1].Name = " "; return s }),
		"stages[2].name":     with(func(s []StageInput) []StageInput { s[2].Name = s[1].Name; return s }),
		"stages[1].kind":     with(func(s []StageInput) []StageInput { s[1].Kind = "incoming"; return s }),
		"stages[0].kind":     with(func(s []StageInput) []StageInput { s[0].Kind = "other"; return s }),
		"stages[3].rot_days": with(func(s []StageInput) []StageInput { s[3].RotDays = -1; return s }),
		"stages[6].id": with(func(s []StageInput) []StageInput {
			return append(s, StageInput{ID: s[0].ID, Name: "Twice", Kind: "open"})
		}),
		"stages": base[:5],
	} {
		_, err := d.UpdatePipeline(d.ctx, d.by, int64(list[0].ID), PipelineInput{Version: 1, Stages: stages})
		refused(t, err, errs.Invalid, field)
	}
	usd := "usd"
	_, err = d.UpdatePipeline(d.ctx, d.by, int64(list[0].ID), PipelineInput{Version: 1, Currency: &usd})
	refused(t, err, errs.Invalid, "currency")
}

func TestBoardOfLeads(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	list, err := d.Pipelines(d.ctx)
	if err != nil {
		t.Fatal(err)
	}
	stages := list[0].Stages
	var leads []Lead
	for i, n := range []NewLead{{Title: "Chairs", Amount: 100, Owner: d.agent}, {Title: "100% cotton", Amount: 20}, {}} {
		n.Contact = d.create(NewContact{Name: []string{"Sara", "Tom", "Ира"}[i]}).ID
		l, err := d.CreateLead(d.ctx, d.by, n)
		if err != nil {
			t.Fatal(err)
		}
		leads = append(leads, l)
	}
	amount := int64(7)
	moved, err := d.UpdateLead(d.ctx, d.by, int64(leads[1].ID), LeadPatch{Version: 1, Stage: &stages[2].ID, Amount: &amount})
	if err != nil || moved.Amount != 7 || !moved.StageAt.After(leads[1].StageAt) {
		t.Fatalf("moved %+v, %v", moved, err)
	}
	title := "Cotton 100%"
	renamed, err := d.UpdateLead(d.ctx, d.by, int64(leads[1].ID), LeadPatch{Version: 2, Title: &title})
	if err != nil || !renamed.StageAt.Equal(moved.StageAt) || renamed.Amount != 7 {
		t.Errorf("a new title made it %+v, %v", renamed, err)
	}
	pipeline := int64(list[0].ID)
	totals, err := d.StageTotals(d.ctx, LeadFilter{Pipeline: pipeline})
	want := []StageTotal{{StageID: stages[0].ID, Count: 2, Amount: 100}, {StageID: stages[2].ID, Count: 1, Amount: 7}}
	if diff := cmp.Diff(want, totals); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for name, c := range map[string]struct {
		f    LeadFilter
		want []ids.ID
	}{
		"all":          {LeadFilter{Pipeline: pipeline}, []ids.ID{leads[1].ID, leads[2].ID, leads[0].ID}},
		"mine":         {LeadFilter{Pipeline: pipeline, Owner: int64(d.agent)}, []ids.ID{leads[0].ID}},
		"nobody's":     {LeadFilter{Unowned: true}, []ids.ID{leads[1].ID, leads[2].ID}},
		"by name":      {LeadFilter{Words: "ира"}, []ids.ID{leads[2].ID}},
		"by title":     {LeadFilter{Words: "100%"}, []ids.ID{leads[1].ID}},
		"source":       {LeadFilter{Source: "telegram"}, nil},
		"stage, owner": {LeadFilter{Stage: int64(stages[2].ID), Owner: int64(d.agent)}, nil},
	} {
		got, err := d.Leads(d.ctx, c.f, LeadKey{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		var have []ids.ID
		for _, l := range got {
			have = append(have, l.ID)
		}
		if diff := cmp.Diff(c.want, have); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// Of two open leads one is closed by a merge; it stands in no column.
	if _, err := d.Merge(d.ctx, d.by, int64(leads[0].Contact.ID), []int64{int64(leads[2].Contact.ID)}); err != nil {
		t.Fatal(err)
	}
	totals, err = d.StageTotals(d.ctx, LeadFilter{Pipeline: pipeline})
	if err != nil || totals[0].Count != 1 {
		t.Errorf("after a merge: %+v, %v", totals, err)
	}
}
