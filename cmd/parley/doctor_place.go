package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/config"
	"github.com/parley-hub/parley/internal/disk"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/web"
)

// volume is a directory that fills up.
type volume struct{ what, dir string }

// volumes are the directories of these settings on this machine, the database's first.
func volumes(cfg config.Config) ([]volume, error) {
	var list []volume
	if cfg.DatabaseURL == "" {
		home, err := postgres.Home(cfg.DataDir)
		if err != nil {
			return nil, err
		}
		list = append(list, volume{"database", home})
	}
	list = append(list, volume{"data", cfg.DataDir})
	if cfg.BlobURL == "" {
		list = append(list, volume{"files", cfg.BlobDir()})
	}
	return list, nil
}

func (r *report) disk(cfg config.Config) {
	list, err := volumes(cfg)
	if err != nil {
		r.say("disk", err, "")
		return
	}
	for _, p := range list {
		s, err := disk.Of(p.dir)
		switch {
		case err != nil && p.what == "files":
			r.say("disk", nil, "%s: not made yet", p.dir)
		case err != nil:
			r.say("disk", err, "")
		case s.Low():
			r.say("disk", fmt.Errorf("%s (%s) has %d MB left: make room, or move the data directory", p.dir, p.what, s.Free>>20), "")
		default:
			r.say("disk", nil, "%s (%s) has %s of %s left", p.dir, p.what, size(s.Free), size(s.Total))
		}
	}
}

// address compares where the hub listens with where people are told to go.
func (r *report) address(cfg config.Config) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	ip, _ := netip.ParseAddr(host)
	open := err == nil && host != "localhost" && !ip.IsLoopback()
	base, err := url.Parse(cfg.PublicURL(""))
	if err != nil {
		r.say("address", err, "")
		return
	}
	named := base.Hostname()
	here := named == "localhost" || strings.HasPrefix(named, "127.") || named == "::1"
	switch {
	case open && here:
		r.warn("address", "others can reach %s, but links lead to %s: set PARLEY_BASE_URL to the address that they use", cfg.Listen, base)
	case base.Scheme == "https" && len(cfg.TrustedProxies) == 0:
		r.warn("address", "behind a proxy (%s) everybody seems to come from the proxy, and one who guesses passwords locks out all: set PARLEY_TRUSTED_PROXIES to its address", base)
	case !open && !here && base.Scheme == "http":
		r.warn("address", "only this machine can reach %s, and links lead to %s: put a proxy in front, or set PARLEY_LISTEN", cfg.Listen, base)
	default:
		r.say("address", nil, "listens on %s, links lead to %s", cfg.Listen, base)
	}
}

// files writes and reads one small file, as an upload would, and compares the store with the database.
func (r *report) files(ctx context.Context, c call) {
	h := &hub{services: newServices(c.log)}
	defer h.services.stop()
	s, err := h.openBlobs(ctx, c.cfg)
	if err == nil {
		err = roundTrip(ctx, s)
	}
	r.say("files", err, "can be written and read")
	if err != nil {
		return
	}
	err = withDatabaseAsIs(ctx, c, func(pool *pgxpool.Pool) error {
		v, err := postgres.CurrentVersion(ctx, pool)
		if err != nil || v != postgres.LatestVersion() {
			return err
		}
		return r.compareFiles(ctx, pool, s)
	})
	if err != nil {
		r.say("files", err, "")
	}
}

// sweepAfter is above the age at which the daily sweep takes what no row names.
const sweepAfter = 48 * time.Hour

func (r *report) compareFiles(ctx context.Context, pool *pgxpool.Pool, s blob.Store) error {
	rows, err := pool.Query(ctx, inbox.FilesSQL)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	missing := make(map[string]bool, len(keys))
	for _, k := range keys {
		missing[k] = true
	}
	var used, lost int
	var usedSize, lostSize int64
	named := len(missing)
	err = s.Walk(ctx, func(i blob.Info) error {
		switch {
		case missing[i.Key]:
			delete(missing, i.Key)
			used, usedSize = used+1, usedSize+i.Size
		case time.Since(i.PutAt) > sweepAfter:
			lost, lostSize = lost+1, lostSize+i.Size
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.say("files", nil, "%d of %d that messages name are there (%s)", used, named, size(usedSize))
	if len(missing) > 0 {
		r.say("files", fmt.Errorf("%d files that messages name are not in the store: bring them back from a backup", len(missing)), "")
	}
	if lost > 0 {
		r.warn("files", "%d files (%s) belong to nothing any more; the server removes them once a day while it runs", lost, size(lostSize))
	}
	return nil
}

func roundTrip(ctx context.Context, s blob.Store) error {
	text := "parley doctor " + time.Now().UTC().Format(time.RFC3339Nano)
	key, _, err := s.Put(ctx, strings.NewReader(text), 1<<10)
	if err != nil {
		return err
	}
	f, _, err := s.Open(ctx, key)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close(), s.Delete(ctx, key)); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("a file came back different")
	}
	return nil
}

// diskUse is what the app shows of the volumes.
func diskUse(cfg config.Config) func() []web.DiskUse {
	return func() []web.DiskUse {
		list, err := volumes(cfg)
		if err != nil {
			return nil // said by the doctor
		}
		var out []web.DiskUse
		for _, v := range list {
			if s, err := disk.Of(v.dir); err == nil {
				out = append(out, web.DiskUse{What: v.what, Free: s.Free, Total: s.Total, Low: s.Low()})
			}
		}
		return out
	}
}
