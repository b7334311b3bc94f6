package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config is an installation.
type Config struct {
	Binary      string
	DataDir     string
	DatabaseURL string   // "" = the built-in server
	Env         []string // further PARLEY_ settings
}

// Hub is an installation whose program can be started, killed and started again. Its address stays the same.
type Hub struct {
	URL     string
	LogFile string // everything that every life of the program printed

	cfg    Config
	listen string
	http   *http.Client

	mu   sync.Mutex
	proc *child
	Took time.Duration // from the last start to the first answer that it is ready
}

// NewHub prepares an installation; Start starts it.
func NewHub(ctx context.Context, cfg Config) (*Hub, error) {
	listen, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(cfg.DataDir), 0o755); err != nil { //nolint:gosec // the way to the data, not the data
		return nil, err
	}
	return &Hub{
		URL: "http://" + listen, listen: listen, cfg: cfg, LogFile: cfg.DataDir + ".log",
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil
}

// Command prepares a run of the program with the settings of this installation.
func (h *Hub) Command(args ...string) *exec.Cmd {
	c := exec.Command(h.cfg.Binary, args...) //nolint:gosec,noctx // our own program; ended by signals
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PARLEY_") {
			c.Env = append(c.Env, kv)
		}
	}
	c.Env = append(c.Env, "PARLEY_DATA_DIR="+h.cfg.DataDir, "PARLEY_LISTEN="+h.listen, "PARLEY_DATABASE_URL="+h.cfg.DatabaseURL)
	c.Env = append(c.Env, h.cfg.Env...)
	return c
}

// Start starts the program and waits until it says that it is ready.
func (h *Hub) Start(ctx context.Context) error {
	if err := h.Launch(); err != nil {
		return err
	}
	began := time.Now()
	err := Until(ctx, "the hub gets ready", 2*Patience, func() (bool, error) {
		if !h.process().running() {
			return false, fmt.Errorf("it ended: %w\n%s", h.process().err, h.LogTail())
		}
		return h.Ready(ctx), nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, h.LogTail())
	}
	h.Took = time.Since(began)
	return nil
}

// Launch starts the program and waits for nothing.
func (h *Hub) Launch() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil && h.proc.running() {
		return errors.New("the hub is running already")
	}
	out, err := os.OpenFile(h.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the child has it
	c := h.Command("serve")
	c.Stdout, c.Stderr = out, out
	h.proc, err = startChild(c, syscall.SIGTERM)
	return err
}

func (h *Hub) process() *child {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.proc
}

// PID of the running program.
func (h *Hub) PID() int { return h.process().pid }

// Running tells whether the program still runs.
func (h *Hub) Running() bool { return h.process() != nil && h.process().running() }

// Ready asks /readyz.
func (h *Hub) Ready(ctx context.Context) bool {
	status, err := h.Status(ctx, "/readyz")
	return err == nil && status == http.StatusOK
}

// Status asks a path and returns the status of the answer.
func (h *Hub) Status(ctx context.Context, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := h.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Kill9 ends the program as a power cut would. A database server of its own lives on.
func (h *Hub) Kill9(ctx context.Context) error {
	p := h.process()
	if err := p.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the hub: %w", err)
	}
	return p.wait(ctx)
}

// stopPatience is above the time that the program gives its services.
const stopPatience = 30 * time.Second

// Stop ends the program as an operator does; an error when it does not end well.
func (h *Hub) Stop(ctx context.Context) error {
	p := h.process()
	if p == nil || !p.running() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the hub: %w", err)
	}
	if err := p.wait(ctx); err != nil {
		return errors.Join(err, p.signal(syscall.SIGKILL))
	}
	if p.err != nil {
		return fmt.Errorf("the hub ended with %w\n%s", p.err, h.LogTail())
	}
	if strings.Contains(h.Log(), "is left behind") {
		return fmt.Errorf("a part of the hub did not end\n%s", h.LogTail())
	}
	return nil
}

// Restart kills the program and starts it again.
func (h *Hub) Restart(ctx context.Context) error {
	if err := h.Kill9(ctx); err != nil {
		return err
	}
	return h.Start(ctx)
}

// Close ends the program whatever it is doing, with the built-in database server that a killed one has left.
func (h *Hub) Close(ctx context.Context) error {
	if h.process() == nil {
		return nil
	}
	if !h.Running() && h.cfg.DatabaseURL == "" {
		if err := h.Start(ctx); err != nil { // it takes its server back, and ends it in good order
			return err
		}
	}
	return h.Stop(ctx)
}

// Log is what the program printed so far.
func (h *Hub) Log() string {
	b, err := os.ReadFile(h.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// LogTail is the end of it, after the warnings and errors of before.
func (h *Hub) LogTail() string {
	const size = 4000
	s := h.Log()
	cut := max(0, len(s)-size)
	var b strings.Builder
	for line := range strings.Lines(s[:cut]) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			b.WriteString(line)
		}
	}
	serious := b.String()
	return serious[max(0, len(serious)-2*size):] + s[cut:]
}

// Move gives a stopped hub another database.
func (h *Hub) Move(databaseURL string) error {
	if h.Running() {
		return errors.New("the hub is running")
	}
	h.cfg.DatabaseURL = databaseURL
	return nil
}
