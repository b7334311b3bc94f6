package disk_test

import (
	"path/filepath"
	"testing"

	"github.com/parley-hub/parley/internal/disk"
)

func TestOf(t *testing.T) {
	t.Parallel()
	s, err := disk.Of(t.TempDir())
	if err != nil || s.Total <= 0 || s.Free < 0 || s.Free > s.Total {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := disk.Of(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a directory that is not there has room")
	}
	if !(disk.Space{Free: disk.Low - 1}).Low() || (disk.Space{Free: disk.Low}).Low() {
		t.Error("the border is elsewhere")
	}
}
