package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	port = "5432"
	// maxSocketPath is what fits into sockaddr_un on macOS; Linux takes 107.
	maxSocketPath = 103
)

// SocketFile is the name of the server's socket in its socket folder.
const SocketFile = ".s.PGSQL." + port

// SocketDir makes the folder for the server's socket: preferred, or one with a short name under the system's temporary
// folder when the socket's path would be too long for the system.
func SocketDir(u User, preferred string) (string, error) {
	dir := preferred
	if len(filepath.Join(dir, SocketFile)) > maxSocketPath {
		dir = filepath.Join(os.TempDir(), "parley-"+ShortHash(preferred))
		if closed, err := u.Closed(os.TempDir()); err != nil || closed != "" || len(filepath.Join(dir, SocketFile)) > maxSocketPath {
			dir = filepath.Join("/tmp", "parley-"+ShortHash(preferred))
		}
	}
	if err := u.MkdirPrivate(dir); err != nil {
		return "", fmt.Errorf("make socket folder %s: %w", dir, err)
	}
	return dir, nil
}

// ShortHash is a file name for a path.
func ShortHash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:6])
}

// URL is the address of a database behind the socket. There is no password: only the server's user may enter the folder.
func URL(role, database, socketDir string) string {
	return "postgres://" + role + "@/" + database + "?host=" + url.QueryEscape(socketDir) + "&sslmode=disable"
}

// Postmaster reads what a running server says of itself in its pid file: process id and socket folder.
func Postmaster(pgdata string) (pid int, socketDir string, err error) {
	raw, err := os.ReadFile(PidFile(pgdata))
	if err != nil {
		return 0, "", err
	}
	lines := strings.Split(string(raw), "\n")
	if len(lines) < 5 {
		return 0, "", fmt.Errorf("%s is not complete yet", PidFile(pgdata))
	}
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 {
		return 0, "", fmt.Errorf("%s names no process: %q", PidFile(pgdata), lines[0])
	}
	return pid, strings.TrimSpace(lines[4]), nil
}

// Ready tells whether the server says in its pid file that it takes connections. Asking there first keeps a refused
// connection per look out of its log.
func Ready(pgdata string) bool {
	raw, err := os.ReadFile(PidFile(pgdata))
	if err != nil {
		return false
	}
	lines := strings.Split(string(raw), "\n")
	return len(lines) >= 8 && strings.TrimSpace(lines[7]) == "ready"
}

// PidFile is where a server notes its process.
func PidFile(pgdata string) string { return filepath.Join(pgdata, "postmaster.pid") }

// RemoveStale removes what a killed server left and the next one would stumble over. Only for whoever holds the
// server's lock: then no server runs, whatever process the files name. It returns what was there.
func RemoveStale(pgdata, socketDir string) ([]string, error) {
	var removed []string
	for _, f := range []string{PidFile(pgdata), filepath.Join(socketDir, SocketFile+".lock"), filepath.Join(socketDir, SocketFile)} {
		err := os.Remove(f)
		if err == nil {
			removed = append(removed, f)
		} else if !os.IsNotExist(err) {
			return removed, fmt.Errorf("remove a stale file: %w", err)
		}
	}
	return removed, nil
}
