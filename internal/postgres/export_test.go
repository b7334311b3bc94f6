package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/postgres/cluster"
	"github.com/parley-hub/parley/internal/testsignal"
)

// Pid is the postmaster's.
func (s *Server) Pid() int { return s.proc.pid }

// PlaceOf tells where the cluster of a running server is.
func (s *Server) PlaceOf() (pgdata, socketDir string) { return s.place.pgdata, s.place.socketDir }

// UpgradeWith upgrades with the given programs, which may be of the same version.
func UpgradeWith(ctx context.Context, o ServerOptions, from, to cluster.Binaries) error {
	s, err := newServer(ctx, o)
	if err != nil {
		return err
	}
	defer s.hubLock.Release()
	if _, err := s.place.finishUpgrade(s.log); err != nil {
		return err
	}
	return s.upgrade(ctx, from, to)
}

// ChooseForUpgrade is choose.
func ChooseForUpgrade(all []cluster.Binaries, major int, binDir string) (from, to cluster.Binaries, err error) {
	return choose(all, major, binDir)
}

// Hurry makes leases short: a term of 1.5 s, renewed every 300 ms.
func (l *Leases) Hurry(t testing.TB) *testsignal.Signal[string] {
	t.Helper()
	l.leaseTimes = leaseTimes{
		term: 1500 * time.Millisecond, renew: 300 * time.Millisecond, try: 50 * time.Millisecond,
		single: time.Second, margin: 300 * time.Millisecond,
	}
	l.lost.Init(t)
	return &l.lost
}

// MaxLog and TrimLog are the log's.
const MaxLog = maxLog

var (
	RotateLog = rotateLog
	TrimLog   = trimLog
	LogTail   = logTail
)

// Statements are the SQL constants by name.
func Statements() map[string]string {
	return map[string]string{
		"serverFacts": serverFacts, "leaseFree": leaseFreeSQL, "leaseTake": leaseTakeSQL, "leaseRenew": leaseRenewSQL,
		"leaseGive": leaseGiveSQL, "leaseCheck": leaseCheckSQL, "partitionEnd": partitionEndSQL, "oldEvents": oldEventsSQL,
	}
}
