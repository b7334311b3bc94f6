package inbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/channels"
)

// Secrets that stand inside an object are sealed apart, stay when a patch leaves them empty, and come back to their place.
func TestNestedSecrets(t *testing.T) {
	t.Parallel()
	k := channels.Kind{Secrets: []string{"token", "imap.password", "oauth.refresh_token"}}
	given := map[string]any{"token": "t", "imap": map[string]any{"host": "h", "password": "p"}}
	plain, hidden := split(k, given)
	if diff := cmp.Diff(map[string]any{"imap": map[string]any{"host": "h"}}, plain); diff != "" {
		t.Errorf("shown: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"token": "t", "imap.password": "p"}, hidden); diff != "" {
		t.Errorf("sealed: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"token": "t", "imap": map[string]any{"host": "h", "password": "p"}}, given); diff != "" {
		t.Errorf("what was given has changed: -want +got\n%s", diff)
	}
	for _, c := range []struct{ patch, want map[string]any }{
		{map[string]any{"imap": map[string]any{"host": "new", "password": ""}}, map[string]any{"token": "t", "imap": map[string]any{"host": "new", "password": "p"}}},
		{map[string]any{"token": "u"}, map[string]any{"token": "u", "imap": map[string]any{"password": "p"}}},
		{map[string]any{"imap": map[string]any{"password": "q"}}, map[string]any{"token": "t", "imap": map[string]any{"password": "q"}}},
		{map[string]any{"imap": "not an object"}, map[string]any{"token": "t", "imap": map[string]any{"password": "p"}}},
	} {
		if diff := cmp.Diff(c.want, keepSecrets(k, c.patch, hidden)); diff != "" {
			t.Errorf("patched with %v: -want +got\n%s", c.patch, diff)
		}
	}
}
