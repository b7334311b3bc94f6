package inbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

// plague is what the scanners of these tests take for a virus. It is none.
const plague = "parley-test-plague-7f3a"

// fakeClamd speaks INSTREAM as clamd does; most bounds a file, as StreamMaxLength does.
func fakeClamd(t *testing.T, network, address string, most int) net.Addr {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, clamdSays(c, most)+"\x00")
			_ = c.Close()
		}
	}()
	return ln.Addr()
}

func clamdSays(c net.Conn, most int) string {
	r := bufio.NewReader(c)
	if cmd, err := r.ReadString(0); err != nil || cmd != "zINSTREAM\x00" {
		return "UNKNOWN COMMAND"
	}
	var file strings.Builder
	for {
		var n uint32
		if err := binary.Read(r, binary.BigEndian, &n); err != nil {
			return "stream: read ERROR"
		}
		if n == 0 {
			break
		}
		if file.Len()+int(n) > most {
			return "INSTREAM size limit exceeded. ERROR"
		}
		if _, err := io.CopyN(&file, r, int64(n)); err != nil {
			return "stream: read ERROR"
		}
	}
	switch {
	case strings.Contains(file.String(), plague):
		return "stream: Parley.Plague FOUND"
	case strings.Contains(file.String(), "confusing"):
		return "stream: lstat() failed ERROR"
	}
	return "stream: OK"
}

func (p *post) scanner(address string) {
	p.t.Helper()
	p.exec(`INSERT INTO setting (key, value) VALUES ('clamd_address', to_jsonb($1::text))
ON CONFLICT (key) DO UPDATE SET value = excluded.value`, address)
}

func TestFilesAreScanned(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	p.scanner("tcp://" + fakeClamd(t, "tcp", "127.0.0.1:0", 1<<20).String())
	p.upload(f, p.me, "clean.txt", "hello")
	p.upload(f, p.me, "pieces.txt", strings.Repeat("x", 3*scanChunk+1))
	p.upload(f, p.me, "even.txt", strings.Repeat("x", 2*scanChunk))
	for content, word := range map[string]string{
		plague: "Parley.Plague", strings.Repeat("y", scanChunk-5) + plague: "Parley.Plague", strings.Repeat("z", 1<<20+1): "too large",
	} {
		_, err := f.Upload(p.ctx, p.me, "bad.txt", strings.NewReader(content))
		wantCode(t, err, errs.Invalid, word)
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want %s", err, word)
		}
	}
	_, err := f.Upload(p.ctx, p.me, "odd.txt", strings.NewReader("confusing"))
	wantCode(t, err, errs.Unavailable, "an error of the scanner")
	if n := p.id(`SELECT count(*) FROM attachment`); n != 3 {
		t.Errorf("%d files are there, want the clean ones", n)
	}

	clean := p.comes("document", p.remote.PutMedia("a", []byte("hello again")))
	ill := p.comes("photo", p.remote.PutMedia("b", append(picture(t, 20, 10), plague...)))
	huge := p.comes("document", p.remote.PutMedia("c", make([]byte, 1<<20+1)))
	odd := p.comes("document", p.remote.PutMedia("d", []byte("confusing")))
	files, err := f.pending(p.ctx, p.channel, nil)
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		f.fetchOne(p.ctx, p.channel, p.remote.Adapter(p.channel), file)
	}
	const is = `SELECT count(*) FROM attachment WHERE id = $1 AND state = $2 AND error LIKE $3`
	for id, want := range map[any][2]string{
		clean: {"ok", ""}, ill: {"failed", "%found Parley.Plague%"}, huge: {"failed", "%too large%"}, odd: {"pending", ""},
	} {
		if p.id(is, id, want[0], want[1]) != 1 {
			t.Errorf("the file that should be %v is not", want)
		}
	}
	if n := p.id(`SELECT count(*) FROM attachment WHERE id = $1 AND (blob <> '' OR preview <> '')`, ill); n != 0 {
		t.Error("the bytes of an ill file, or a preview of them, are kept")
	}
	_, err = f.Open(p.ctx, p.me, ill, false)
	wantCode(t, err, errs.NotFound, "an ill file")
}

// While the scanner is away nothing is given out unseen: uploads are asked to come again, fetched files wait.
func TestScannerIsAway(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	socket := filepath.Join(t.TempDir(), "clamd")
	p.scanner("unix:" + socket)
	_, err := f.Upload(p.ctx, p.me, "a.txt", strings.NewReader("hello"))
	wantCode(t, err, errs.Unavailable, "no scanner")
	id := p.comes("document", p.remote.PutMedia("a", []byte("hello")))
	files, err := f.pending(p.ctx, p.channel, nil)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	f.fetchOne(p.ctx, p.channel, p.remote.Adapter(p.channel), files[0])
	if p.id(`SELECT count(*) FROM attachment WHERE id = $1 AND state = 'pending' AND not_before > now()`, id) != 1 {
		t.Error("the file does not wait")
	}
	fakeClamd(t, "unix", socket, 1<<20)
	p.upload(f, p.me, "a.txt", "hello")
}

// A scanner that takes the file and says nothing holds nobody for longer than his request lives.
func TestScannerIsSilent(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(c, make([]byte, len("zINSTREAM\x00")+4+5+4))
		cancel() // the file is there; the client gives up
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}()
	if err := instream(ctx, "tcp", ln.Addr().String(), strings.NewReader("hello")); err == nil {
		t.Error("no answer is taken for a good one")
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for answer, want := range map[string]error{
		"stream: OK": nil, "stream: X FOUND": infected{"X"}, "INSTREAM size limit exceeded. ERROR": errScanTooLarge,
	} {
		if got := verdict(answer, nil); !errors.Is(got, want) {
			t.Errorf("%s: got %v", answer, got)
		}
	}
	for _, answer := range []string{"", "OK OK", "stream: FOUND", "stream: not OK", "UNKNOWN COMMAND"} {
		if verdict(answer, nil) == nil {
			t.Errorf("%q lets a file through", answer)
		}
	}
	if !errors.Is(verdict("stream: OK", broken), broken) {
		t.Error("half a file is judged as the whole")
	}
}

// TestRealClamd holds the same against the real scanner, with a signature of our own and no download.
func TestRealClamd(t *testing.T) {
	t.Parallel()
	program := os.Getenv("PARLEY_TEST_CLAMD")
	if program == "" {
		var err error
		if program, err = exec.LookPath("clamd"); err != nil {
			t.Skip("clamd is not here: scripts/deps clamav, or PARLEY_TEST_CLAMD=<its path>")
		}
	}
	dir, err := os.MkdirTemp("", "clamd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	for name, content := range map[string]string{
		"db/test.ndb": fmt.Sprintf("Parley.Plague:0:*:%x\n", plague),
		"clamd.conf": fmt.Sprintf("LocalSocket %s\nDatabaseDirectory %s/db\nForeground yes\nTemporaryDirectory %s\nStreamMaxLength 1M\nUser root\n",
			socket, dir, dir),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 {
			content = strings.ReplaceAll(content, "User root\n", "")
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "-c", filepath.Join(dir, "clamd.conf"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	ready := false
	for !ready && lines.Scan() {
		t.Log(lines.Text())
		ready = strings.Contains(lines.Text(), "Self checking") || strings.Contains(lines.Text(), "PDF support enabled")
	}
	if !ready {
		t.Fatal("clamd ended by itself")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var bad infected
	if err := instream(deadline, "unix", socket, strings.NewReader("hello")); err != nil {
		t.Errorf("a clean file: %v", err)
	}
	if err := instream(deadline, "unix", socket, strings.NewReader(strings.Repeat("x", 2*scanChunk)+plague)); !errors.As(err, &bad) || !strings.HasPrefix(bad.what, "Parley.Plague") {
		t.Errorf("an ill file: %v", err)
	}
	if err := instream(deadline, "unix", socket, io.LimitReader(zeros{}, 4<<20)); !errors.Is(err, errScanTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
}
