package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/parley-hub/parley/e2e/rig"
)

// start is what the program costs before anybody uses it.
func start(ctx context.Context, w *world) (rows []row, err error) {
	err = w.with(ctx, func(h *hub) error {
		var took []float64
		for range max(3, w.rounds()) {
			if err := h.Hub.Stop(ctx); err != nil {
				return err
			}
			if err := h.Hub.Start(ctx); err != nil {
				return err
			}
			took = append(took, float64(h.Hub.Took.Milliseconds()))
		}
		kb, err := rss(h.Hub.PID())
		rows = append(rows, atMost("second start until ready", median(took), 0, "ms", 1000, 0), atMost("memory when idle", float64(kb)/1024, 0, "MB", 100, 0))
		return err
	})
	if err != nil {
		return rows, err
	}
	info, err := os.Stat(w.binary)
	if err != nil {
		return rows, err
	}
	rows = append(rows, atMost("binary", float64(info.Size())/(1<<20), 0, "MB", 80, 0))
	kb, err := bundle()
	if err != nil {
		return rows, err
	}
	return append(rows, atMost("scripts and styles that the page loads at once, gzip", kb, 0, "kB", 250, 0)), nil
}

// rss is the memory of a process in kB.
func rss(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")))
		}
	}
	return 0, errors.New("the system does not tell the memory of a process")
}

// bundle is what the built page names and what those scripts import at once, compressed, in kB.
func bundle() (float64, error) {
	root, err := rig.Root()
	if err != nil {
		return 0, err
	}
	dist := filepath.Join(root, "web", "ui", "dist")
	page, err := os.ReadFile(filepath.Join(dist, "index.html"))
	if err != nil {
		return 0, fmt.Errorf("the front end is not built (make ui): %w", err)
	}
	named := regexp.MustCompile(`(?:src|href)="/([^"]+\.(?:js|css))"`)
	imported := regexp.MustCompile(`(?:from|import)\s*"\./([^"]+\.js)"`)
	sizes := map[string]int{}
	var todo []string
	for _, m := range named.FindAllSubmatch(page, -1) {
		todo = append(todo, string(m[1]))
	}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if _, seen := sizes[name]; seen {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dist, filepath.FromSlash(name)))
		if err != nil {
			return 0, err
		}
		if sizes[name], err = compressed(text); err != nil {
			return 0, err
		}
		for _, m := range imported.FindAllSubmatch(text, -1) {
			todo = append(todo, filepath.ToSlash(filepath.Join(filepath.Dir(name), string(m[1]))))
		}
	}
	total := 0
	for _, n := range sizes {
		total += n
	}
	return float64(total) / 1000, nil
}

func compressed(text []byte) (int, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	_, err = z.Write(text)
	return out.Len(), errors.Join(err, z.Close(), nil)
}
