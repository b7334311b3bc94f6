package email

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"github.com/parley-hub/parley/channels"
)

// report is what a mail server tells of a message that we sent (RFC 3464).
type report struct {
	original string // Message-ID
	action   string // failed, delayed, delivered, relayed, expanded
	reason   string
	to       string
}

// read takes the worst of the recipients' fates.
func (r *report) read(content []byte) {
	for block := range bytes.SplitSeq(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		h, _ := splitHeader(append(bytes.TrimLeft(block, "\n"), '\n', '\n'))
		action := strings.ToLower(h.get("action"))
		if action == "" || r.action == "failed" {
			continue
		}
		r.action = action
		if _, to, ok := strings.Cut(h.text("final-recipient"), ";"); ok {
			r.to = strings.TrimSpace(to)
		}
		_, reason, ok := strings.Cut(h.text("diagnostic-code"), ";")
		if !ok || strings.TrimSpace(reason) == "" {
			reason = h.text("status")
		}
		r.reason = strings.TrimSpace(reason)
	}
}

var idPattern = regexp.MustCompile(`[0-9a-f-]{36}\.[0-9a-f]{16}@[A-Za-z0-9.-]+`)

// bounce turns the report about a mail of ours into that mail's status. Reports about what we do not know, and those
// that say nothing final, stay messages.
func (c *conversion) bounce(raw []byte) (channels.Inbound, bool) {
	r := c.report
	if r == nil {
		if c.auto() != "bounce" {
			return channels.Inbound{}, false
		}
		r = &report{action: "failed", reason: cut(oneLine(c.text), 500)} // a server that writes reports in its own words
	}
	if r.original == "" || !c.a.isOurs(r.original) {
		r.original = ""
		for _, id := range idPattern.FindAll(raw[:min(len(raw), maxHead)], 20) {
			if c.a.isOurs(string(id)) {
				r.original = string(id)
				break
			}
		}
	}
	if r.original == "" {
		return channels.Inbound{}, false
	}
	e := c.base(raw)
	e.Kind, e.TargetID = channels.Status, r.original
	switch r.action {
	case "failed":
		e.Status, e.Text = channels.Bounced, "The mail server says that it could not be delivered"
		if r.to != "" {
			e.Text += " to " + r.to
		}
		e.Text += ": " + cut(r.reason, 800)
	case "delivered":
		e.Status = channels.Delivered
	default:
		return channels.Inbound{}, false
	}
	d := c.mailData()
	c.people(&e, &d)
	return e, true
}

// auth is what our own mail server found out about the sender: the topmost verdict that carries its name.
func (c *conversion) auth() *channels.MailAuth {
	if c.a.set.AuthServID == "" {
		return nil
	}
	for _, f := range c.h {
		if f.name != "authentication-results" {
			continue
		}
		id, results, err := authres.Parse(f.value)
		if err != nil || !strings.EqualFold(id, c.a.set.AuthServID) {
			continue
		}
		out := &channels.MailAuth{SPF: "none", DKIM: "none", DMARC: "none", By: id}
		for _, r := range results {
			switch r := r.(type) {
			case *authres.SPFResult:
				out.SPF = string(r.Value)
			case *authres.DKIMResult:
				if out.DKIM != "pass" {
					out.DKIM = string(r.Value)
				}
			case *authres.DMARCResult:
				out.DMARC = string(r.Value)
			}
		}
		return out
	}
	return nil
}
