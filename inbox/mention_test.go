package inbox

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func TestMentionsReachWhoMaySee(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sales, care := o.team(), o.team()
	me := o.agent(staff.Member, staff.ScopeAll, sales)
	seller, stranger := o.agent(staff.Member, staff.ScopeTeam, sales), o.agent(staff.Member, staff.ScopeOwn, care)
	boss := o.agent(staff.Supervisor, staff.ScopeAll, care)
	gone := o.agent(staff.Member, staff.ScopeAll)
	o.exec(`UPDATE agent SET disabled_at = now() WHERE id = $1`, int64(gone.AgentID))
	conv := o.open(Open, sales, me.AgentID)

	list, err := o.Mentionables(o.ctx, me, conv)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][2]int{}
	for _, m := range list {
		got[m.Kind+m.ID.String()] = [2]int{m.Seeing, m.Members}
	}
	want := map[string][2]int{
		"agent" + seller.AgentID.String(): {1, 1}, "agent" + stranger.AgentID.String(): {0, 1}, "agent" + boss.AgentID.String(): {1, 1},
		"team" + sales.String(): {2, 2}, "team" + care.String(): {1, 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("whom one can name (-want +got):\n%s", d)
	}
	_, err = o.Mentionables(o.ctx, stranger, conv)
	wantCode(t, err, errs.NotFound, "asked by somebody who does not see it")

	note := func(m ...Mention) (Item, error) {
		return o.Post(o.ctx, me, conv, Draft{ID: uuid.New(), Text: "look, please", Note: true, Mentions: m})
	}
	_, err = note(Mention{Kind: mentionAgent, ID: stranger.AgentID})
	wantField(t, err, "mentions")
	_, err = note(Mention{Kind: mentionAgent, ID: gone.AgentID})
	wantField(t, err, "mentions")
	_, err = note(Mention{Kind: "everybody"})
	wantField(t, err, "mentions")
	_, err = note(Mention{Kind: mentionTeam, ID: o.team()}) // nobody in it
	wantField(t, err, "mentions")
	_, err = o.Post(o.ctx, me, conv, Draft{ID: uuid.New(), Text: "hi", Mentions: []Mention{{Kind: mentionAgent, ID: seller.AgentID}}})
	wantField(t, err, "mentions")

	it, err := note(Mention{Kind: mentionTeam, ID: care, Name: "made up"}, Mention{Kind: mentionAgent, ID: seller.AgentID}, Mention{Kind: mentionTeam, ID: sales})
	if err != nil {
		t.Fatal(err)
	}
	reached, err := MentionedIn(o.ctx, o.pool, it.ID)
	if err != nil || !slices.Equal(reached, []int64{int64(seller.AgentID), int64(boss.AgentID)}) {
		t.Errorf("reached %v, %v; neither who wrote it nor who may not see it", reached, err)
	}
	var data struct{ Mentions []Mention }
	if err := json.Unmarshal(it.Data, &data); err != nil || len(data.Mentions) != 3 || data.Mentions[0].Name == "made up" {
		t.Errorf("the note keeps %+v, %v", data, err)
	}

	// the view of mentions, whatever became of the conversation
	lists := func(a staff.Access) []ids.ID { return o.pages(a, ListQuery{View: ViewMentions}, 50) }
	for who, want := range map[*staff.Access][]ids.ID{&seller: {conv}, &boss: {conv}, &stranger: {}, &me: {}} {
		if got := lists(*who); !slices.Equal(got, want) {
			t.Errorf("agent %s has mentions in %v, want %v", who.AgentID, got, want)
		}
	}
	if _, err := o.UpdateConversation(o.ctx, me, conv, ConversationPatch{Status: ptr(Closed)}); err != nil {
		t.Fatal(err)
	}
	if got := lists(seller); !slices.Equal(got, []ids.ID{conv}) {
		t.Errorf("after it was closed: %v", got)
	}
	// moved to where the seller does not see it: the mention is not a way in
	o.exec(`UPDATE conversation SET team_id = $2 WHERE id = $1`, int64(conv), int64(care))
	if got := lists(seller); len(got) != 0 {
		t.Errorf("after it moved out of sight: %v", got)
	}
}
