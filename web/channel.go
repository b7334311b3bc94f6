package web

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

func (s *Server) channelList(ctx context.Context, _ *struct{}) (*listed[inbox.Channel], error) {
	return whole(s.deps.Channels.List(ctx, CallerFrom(ctx)))
}

func (s *Server) channelShow(ctx context.Context, in *idIn) (*one[inbox.Channel], error) {
	return answer(s.deps.Channels.Get(ctx, CallerFrom(ctx), in.ID))
}

// channelCreate and the two below bring secrets in, or send stored ones to an address of the caller's choice.
func (s *Server) channelCreate(ctx context.Context, in *struct{ Body inbox.NewChannel }) (*one[inbox.Channel], error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	return answer(s.deps.Channels.Create(ctx, CallerFrom(ctx), in.Body))
}

type channelUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body inbox.ChannelPatch
}

func (s *Server) channelUpdate(ctx context.Context, in *channelUpdateIn) (*one[inbox.Channel], error) {
	if in.Body.Settings != nil {
		if err := s.fresh(ctx); err != nil {
			return nil, err
		}
	}
	return answer(s.deps.Channels.Update(ctx, CallerFrom(ctx), in.ID, in.Body))
}

func (s *Server) channelDelete(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Channels.Delete(ctx, CallerFrom(ctx), in.ID))
}

type channelTestIn struct {
	Body struct {
		Kind     string         `json:"kind" maxLength:"32"`
		Settings map[string]any `json:"settings"`
		ID       *ids.ID        `json:"id,omitempty" doc:"an existing channel, whose stored secrets stand in for empty ones"`
	}
}

// ChannelTest is the outcome of a test: which step failed, and why, in words.
type ChannelTest struct {
	OK     bool   `json:"ok"`
	Step   string `json:"step"`
	Detail string `json:"detail"`
	TookMS int64  `json:"took_ms"`
}

func (s *Server) channelTest(ctx context.Context, in *channelTestIn) (*one[ChannelTest], error) {
	if in.Body.ID != nil {
		if err := s.fresh(ctx); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	err := s.deps.Channels.Test(ctx, CallerFrom(ctx), in.Body.Kind, in.Body.Settings, in.Body.ID)
	out := ChannelTest{OK: err == nil, Step: "connect", TookMS: time.Since(start).Milliseconds()}
	switch {
	case err == nil:
		out.Step = "done"
	case errs.Is(err, errs.Invalid), errs.Is(err, errs.Forbidden), errs.Is(err, errs.Conflict):
		return nil, err
	default:
		var pe *channels.ProbeError
		if errors.As(err, &pe) {
			out.Step = pe.Step
		}
		out.Detail = err.Error()
	}
	return &one[ChannelTest]{Body: out}, nil
}

type mailSettingsIn struct {
	Address string `query:"address" required:"true" maxLength:"320"`
}

// MailServer is one end of a mail account.
type MailServer struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls" enum:"tls,starttls,none"`
	Username string `json:"username"`
}

// MailSettings are what an address's provider is known, or believed, to want.
type MailSettings struct {
	IMAP   MailServer `json:"imap"`
	SMTP   MailServer `json:"smtp"`
	Source string     `json:"source" enum:"known,autoconfig,srv,guess"`
	Note   string     `json:"note"`
}

func (s *Server) mailSettings(ctx context.Context, in *mailSettingsIn) (*one[MailSettings], error) {
	found, err := s.deps.Channels.Suggest(ctx, CallerFrom(ctx), "email", in.Address)
	if err != nil {
		return nil, err
	}
	var out MailSettings
	raw, err := json.Marshal(found)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	return &one[MailSettings]{Body: out}, err
}

func (s *Server) quarantineList(ctx context.Context, in *idIn) (*listed[inbox.SetAside], error) {
	return whole(s.deps.Channels.SetAside(ctx, CallerFrom(ctx), in.ID))
}

type quarantineIn struct {
	ID         ids.ID `path:"id"`
	Quarantine ids.ID `path:"quarantine"`
}

func (s *Server) quarantineRetry(ctx context.Context, in *quarantineIn) (*nothing, error) {
	return done(s.deps.Ingester.Retry(ctx, int64(in.ID), int64(in.Quarantine)))
}

type dryRunIn struct {
	Channel ids.ID `query:"channel" required:"true"`
	Contact ids.ID `query:"contact" doc:"none = a stranger"`
}

func (s *Server) routingDryRun(ctx context.Context, in *dryRunIn) (*one[inbox.DryRun], error) {
	return answer(s.deps.Router.WhoWouldGet(ctx, in.Channel, in.Contact))
}
