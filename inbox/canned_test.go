package inbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func (o *office) canned(a staff.Access, in CannedInput) Canned {
	o.t.Helper()
	c, err := o.CreateCanned(o.ctx, a, in)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) cannedTitles(a staff.Access) []string {
	o.t.Helper()
	list, err := o.CannedAnswers(o.ctx, a)
	if err != nil {
		o.t.Fatal(err)
	}
	out := []string{}
	for _, c := range list {
		out = append(out, c.Title)
	}
	return out
}

func TestCannedAreForWhomTheyAre(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sales, care := o.team(), o.team()
	boss := o.agent(staff.Supervisor, staff.ScopeAll)
	anna, ben := o.agent(staff.Member, staff.ScopeTeam, sales), o.agent(staff.Member, staff.ScopeTeam, care)
	own := o.canned(anna, CannedInput{Scope: cannedOwn, Shortcut: "/Mine", Title: "  A  private one ", Text: " hello "})
	if own.Title != "A private one" || own.Shortcut != "mine" || own.Text != "hello" || !own.Mine {
		t.Errorf("stored as %+v", own)
	}
	team := o.canned(anna, CannedInput{Scope: cannedTeam, TeamID: &sales, Title: "B of sales", Text: "x"})
	all := o.canned(boss, CannedInput{Scope: cannedAll, TeamID: &sales, Title: "C for all", Text: "x"})
	for who, want := range map[*staff.Access][]string{
		&anna: {"A private one", "B of sales", "C for all"},
		&ben:  {"C for all"},
		&boss: {"B of sales", "C for all"}, // who manages teams sees what he manages
	} {
		if d := cmp.Diff(want, o.cannedTitles(*who)); d != "" {
			t.Errorf("agent %s (-want +got):\n%s", who.AgentID, d)
		}
	}
	in := CannedInput{Scope: cannedAll, Title: "mine now", Text: "x"}
	for _, c := range []struct {
		what string
		by   staff.Access
		id   ids.ID
		want errs.Code
	}{
		{"somebody else's own", ben, own.ID, errs.NotFound},
		{"another team's", ben, team.ID, errs.NotFound},
		{"everybody's", anna, all.ID, errs.Forbidden},
	} {
		_, err := o.UpdateCanned(o.ctx, c.by, c.id, 1, in)
		if c.want == errs.NotFound {
			in := in
			in.Scope = cannedOwn // may write such a one
			_, err = o.UpdateCanned(o.ctx, c.by, c.id, 1, in)
		}
		wantCode(t, err, c.want, c.what)
		wantCode(t, o.DeleteCanned(o.ctx, c.by, c.id), c.want, "delete "+c.what)
	}
	_, err := o.CreateCanned(o.ctx, ben, CannedInput{Scope: cannedTeam, TeamID: &sales, Title: "x", Text: "x"})
	wantCode(t, err, errs.Forbidden, "for a team that one is not in")
	_, err = o.UpdateCanned(o.ctx, anna, team.ID, 9, CannedInput{Scope: cannedTeam, TeamID: &sales, Title: "x", Text: "x"})
	wantCode(t, err, errs.Conflict, "over another version")
	moved, err := o.UpdateCanned(o.ctx, anna, team.ID, 1, CannedInput{Scope: cannedOwn, Title: "B of sales", Text: "y"})
	if err != nil || moved.Version != 2 || moved.TeamID != nil {
		t.Errorf("%+v, %v", moved, err)
	}
	if err := o.DeleteCanned(o.ctx, boss, all.ID); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{}, o.cannedTitles(boss)); d != "" {
		t.Error(d)
	}
}

func TestCannedRefusesByField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Admin, staff.ScopeAll)
	for field, change := range map[string]func(*CannedInput){
		"scope":       func(in *CannedInput) { in.Scope = "mine" },
		"team_id":     func(in *CannedInput) { in.Scope = cannedTeam },
		"title":       func(in *CannedInput) { in.Title = " " },
		"shortcut":    func(in *CannedInput) { in.Shortcut = "two words" },
		"text":        func(in *CannedInput) { in.Text = "" },
		"attachments": func(in *CannedInput) { in.Attachments = []uuid.UUID{uuid.New()} },
	} {
		in := CannedInput{Scope: cannedOwn, Title: "x", Text: "x"}
		change(&in)
		_, err := o.CreateCanned(o.ctx, a, in)
		wantField(t, err, field)
	}
	_, err := o.CreateCanned(o.ctx, a, CannedInput{Scope: cannedOwn, Title: "x", Text: strings.Repeat("x", maxCannedText+1)})
	wantField(t, err, "text")
}

func TestCannedBringsItsFiles(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	price, plan := p.upload(f, p.me, "price.txt", "5"), p.upload(f, p.me, "map.txt", "here")
	c := p.canned(p.me, CannedInput{Scope: cannedOwn, Title: "Price", Attachments: []uuid.UUID{price.ID, plan.ID}})
	names := func(c Canned) (out []string) {
		for _, f := range c.Attachments {
			out = append(out, f.Name)
		}
		return out
	}
	if d := cmp.Diff([]string{"price.txt", "map.txt"}, names(c)); d != "" {
		t.Error(d)
	}
	c, err := p.UpdateCanned(p.ctx, p.me, c.ID, c.Version, CannedInput{Scope: cannedOwn, Title: "Price", Attachments: []uuid.UUID{plan.ID}})
	if err != nil || !cmp.Equal(names(c), []string{"map.txt"}) {
		t.Fatalf("%+v, %v", c, err)
	}
	// twice used: two uploads, each for one message, with the same content
	for range 2 {
		files, err := p.UseCanned(p.ctx, p.me, c.ID)
		if err != nil || len(files) != 1 {
			t.Fatalf("%+v, %v", files, err)
		}
		if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Attachments: []uuid.UUID{files[0].ID}}); err != nil {
			t.Fatal(err)
		}
		s, err := f.Open(p.ctx, p.me, files[0].ID, false)
		if err != nil {
			t.Fatal(err)
		}
		if s.Size != 4 {
			t.Errorf("%d bytes", s.Size)
		}
		_ = s.Close()
	}
	list, err := p.CannedAnswers(p.ctx, p.me)
	if err != nil || list[0].Used != 2 || list[0].UsedAt == nil {
		t.Errorf("%+v, %v", list, err)
	}
	// its content outlives every sweep while it is there
	p.exec(`DELETE FROM attachment`)
	var used bool
	if err := p.pool.QueryRow(p.ctx, blobUsedSQL, p.blobOf(plan.ID)).Scan(&used); err != nil || !used {
		t.Errorf("the content is not counted as used, %v", err)
	}
	wantCode(t, p.useErr(p.agent(staff.Member, staff.ScopeAll), c.ID), errs.NotFound, "somebody else's")
}

func (o *office) useErr(a staff.Access, id ids.ID) error {
	_, err := o.UseCanned(o.ctx, a, id)
	return err
}

func (o *office) blobOf(file uuid.UUID) string {
	o.t.Helper()
	var key string
	if err := o.pool.QueryRow(o.ctx, `SELECT blob FROM canned_file WHERE id = $1`, file).Scan(&key); err != nil {
		o.t.Fatal(err)
	}
	return key
}
