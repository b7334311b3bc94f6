package webform

import (
	"crypto/rand"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/parley-hub/parley/channels"
)

// maxData is what the hub keeps as data of a message, in bytes; the answers of a longer submission are read in its text.
const maxData = 2 << 10

var idPattern = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)

// details is what the message carries besides its text.
type details struct {
	Fields []answer `json:"fields,omitempty"`
	Page   string   `json:"page,omitempty"`
	Proof  bool     `json:"proof"` // the browser worked for it; false = a plain form or another program
}

// inbound makes the message of an accepted submission. key names the delivery.
func (s *settings) inbound(sub submission, answers []answer, c challenge, now time.Time) channels.Inbound {
	key := "r:" + rand.Text()
	provider := ""
	if id := sub.values[paramID]; idPattern.MatchString(id) {
		key, provider = "i:"+id, "s:"+id
	}
	if c.nonce != "" { // a challenge counts once, whatever is sent with it
		key = "t:" + c.nonce
	}
	page := address(line(sub.values[paramPage]))
	in := channels.Inbound{
		Kind: channels.Message, EventKey: key, ProviderID: provider, Chat: key, Direction: channels.In, At: now,
		Sender: s.person(sub), Content: "form", Text: readable(answers), Attribution: attribution(sub),
	}
	data, err := json.Marshal(details{Fields: answers, Page: cut(page, 500), Proof: c.proven})
	if err != nil || len(data) > maxData {
		data, _ = json.Marshal(details{Page: cut(page, 500), Proof: c.proven})
	}
	in.Data = data
	in.Raw, _ = json.Marshal(map[string]any{"fields": answers, "page": page, "first": sub.first, "last": sub.last, "proof": c.proven})
	return in
}

// person is who the visitor says he is. Nobody has proven it.
func (s *settings) person(sub submission) channels.Person {
	p := channels.Person{Unproven: true, Name: line(sub.values["name"])}
	if p.Name == "" {
		p.Name = strings.TrimSpace(line(sub.values["first_name"]) + " " + line(sub.values["last_name"]))
	}
	for _, f := range s.Fields {
		v := line(sub.values[f.Name])
		if v == "" || (f.Type != typeEmail && f.Type != typePhone) || len(p.Identities) >= 8 {
			continue
		}
		p.Identities = append(p.Identities, channels.Identity{Kind: f.Type, Value: v, Raw: v})
		if p.Name == "" {
			p.Name = v
		}
	}
	return p
}

// attribution is the first touch under the names as they are, the last one under last_: who came only once has both.
func attribution(sub submission) map[string]string {
	first, last := sub.first, sub.last
	for _, name := range touchNames { // a plain form may carry them as fields of its own
		if v := sub.values[name]; v != "" && last[name] == "" {
			setTouch(last, name, v)
		}
	}
	if last["page"] == "" {
		setTouch(last, "page", sub.values[paramPage])
	}
	if last["referrer"] == "" {
		setTouch(last, "referrer", sub.values[paramReferrer])
	}
	if len(first) == 0 {
		first = last
	}
	out := map[string]string{}
	for _, name := range touchNames {
		if v := first[name]; v != "" {
			out[name] = v
		}
		if v := last[name]; v != "" {
			out["last_"+name] = v
		}
	}
	return out
}
