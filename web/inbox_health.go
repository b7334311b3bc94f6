package web

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// health is what an agent should know of the installation: whether what he sees is late, and what does not get through.
type health struct {
	SpineLagS   float64         `json:"spine_lag_s"`
	SpineHolder string          `json:"spine_holder" doc:"the transaction that holds everybody up; empty when nobody does"`
	Channels    []channelHealth `json:"channels" nullable:"false"`
	Disks       []DiskUse       `json:"disks" nullable:"false" doc:"of the node that answers; empty for those who manage no data"`
	Insecure    bool            `json:"insecure"`
	Problems    []healthProblem `json:"problems" nullable:"false"`
}

// DiskUse is how full the file system of a directory is.
type DiskUse struct {
	What  string `json:"what" enum:"database,data,files"`
	Free  int64  `json:"free" doc:"bytes"`
	Total int64  `json:"total" doc:"bytes"`
	Low   bool   `json:"low"`
}

type channelHealth struct {
	ID     ids.ID `json:"id"`
	Name   string `json:"name"`
	State  string `json:"state" enum:"connecting,up,needs_login,failed"`
	Reason string `json:"reason"`
}

// healthProblem is worded for people; code and subject let the screen word it in their language.
type healthProblem struct {
	Code    string `json:"code" enum:"spine_late,channel_down,sends_in_trouble,quarantine,insecure,disk_low"`
	Text    string `json:"text"`
	Subject string `json:"subject" doc:"the id of the channel that it is about"`
}

func (s *Server) health(ctx context.Context, _ *struct{}) (*one[health], error) {
	out := health{Channels: []channelHealth{}, Disks: []DiskUse{}, Problems: []healthProblem{}, Insecure: s.insecure()}
	a := CallerFrom(ctx)
	if s.deps.SpineLag != nil {
		lag := s.deps.SpineLag()
		out.SpineLagS = lag.Seconds()
		if lag > events.HolderLag {
			out.SpineHolder = s.spineHolder(ctx, a)
			out.problem("spine_late", "", "News arrives %d s late: a long transaction holds the database up.", int(lag.Seconds()))
		}
	}
	list, err := s.deps.Channels.List(ctx, a)
	if err != nil {
		return nil, err
	}
	for i := range list {
		out.channel(&list[i], a.Can(staff.ManageChannels))
	}
	if s.deps.Disks != nil && a.Can(staff.ManageData) {
		out.disks(s.deps.Disks())
	}
	if out.Insecure {
		out.problem("insecure", "", "People sign in over plain http: set PARLEY_BASE_URL to an https address.")
	}
	return answer(out, nil)
}

func (h *health) problem(code, subject, format string, args ...any) {
	h.Problems = append(h.Problems, healthProblem{Code: code, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

func (h *health) disks(list []DiskUse) {
	for _, d := range list {
		h.Disks = append(h.Disks, d)
		if d.Low {
			h.problem("disk_low", d.What, "The disk with the %s has %d MB left.", d.What, d.Free>>20)
		}
	}
}

func (h *health) channel(c *inbox.Channel, manages bool) {
	if !c.Enabled {
		return
	}
	h.Channels = append(h.Channels, channelHealth{ID: c.ID, Name: c.Name, State: c.State, Reason: c.Reason})
	id := c.ID.String()
	// a channel that has just begun to connect is no trouble yet
	if c.State != string(channels.Up) && (c.State != string(channels.Connecting) || time.Since(c.StateAt) > time.Minute) {
		text := fmt.Sprintf("%s is not connected.", c.Name)
		if c.Reason != "" {
			text = fmt.Sprintf("%s is not connected: %s", c.Name, c.Reason)
		}
		h.problem("channel_down", id, "%s", text)
	}
	if !manages {
		return
	}
	if n := c.Failed + c.Uncertain; n > 0 {
		h.problem("sends_in_trouble", id, "%d messages through %s did not get through, or perhaps not.", n, c.Name)
	}
	if c.Quarantined > 0 {
		h.problem("quarantine", id, "%d messages from %s could not be read and were set aside.", c.Quarantined, c.Name)
	}
}

// spineHolder names the culprit to those who can act; others only need to know that news is late.
func (s *Server) spineHolder(ctx context.Context, a staff.Access) string {
	if s.deps.SpineHolder == nil || !a.Can(staff.ManageSettings) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	h, ok, err := s.deps.SpineHolder(ctx)
	if err != nil || !ok {
		return ""
	}
	return h.String()
}
