package postgres_test

import (
	"testing"

	"github.com/parley-hub/parley/internal/postgres"
)

func TestAttachFindsTheServerOfARunningHub(t *testing.T) {
	t.Parallel()
	o := options(t, madeDir(t))
	if url, err := postgres.Attach(t.Context(), o.DataDir, o.Log); url != "" || err != nil {
		t.Fatalf("no hub was ever there: %q, %v", url, err)
	}
	s := start(t, o.DataDir)
	url, err := postgres.Attach(t.Context(), o.DataDir, o.Log)
	if err != nil || url != s.URL {
		t.Errorf("Attach = %q, %v; want %q", url, err, s.URL)
	}
	stop(t, s)
	if url, err := postgres.Attach(t.Context(), o.DataDir, o.Log); url != "" || err != nil {
		t.Errorf("the hub has stopped: %q, %v", url, err)
	}
}
