package postgres

import (
	"context"
	"time"
)

const (
	relaunchFirst = 100 * time.Millisecond
	relaunchMost  = 10 * time.Second
	logLookEvery  = time.Minute
)

// keep starts the server again whenever it dies (out of memory, a stray kill) until ctx ends. The pool on it heals by
// itself: its broken connections are replaced.
func (s *Server) keep(ctx context.Context) {
	defer close(s.kept)
	look := time.NewTicker(logLookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if err := trimLog(s.place.log); err != nil {
				s.log.WarnContext(ctx, "the database's log cannot be trimmed", "error", err)
			}
		case <-s.proc.exited:
			s.log.ErrorContext(ctx, "the database server died; starting it again", "pid", s.proc.pid, "error", s.proc.err, "log", logTail(s.place.log))
			if !s.relaunch(ctx) {
				return
			}
		}
	}
}

// relaunch tries until the server runs, false when ctx ended before.
func (s *Server) relaunch(ctx context.Context) bool {
	for pause := relaunchFirst; ; pause = min(2*pause, relaunchMost) {
		p, err := s.launch(ctx)
		if err == nil {
			s.proc = p
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.log.ErrorContext(ctx, "the database server does not start", "error", err, "again_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
