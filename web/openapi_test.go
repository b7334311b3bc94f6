package web

import (
	"encoding/json"
	"testing"
)

func TestOpenAPINeedsNoDatabase(t *testing.T) {
	t.Parallel()
	b, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			if op.OperationID == "" || seen[op.OperationID] {
				t.Errorf("%s %s: operation id %q is empty or not unique", method, path, op.OperationID)
			}
			seen[op.OperationID] = true
		}
	}
	if doc.Paths["/api/agents"]["get"].OperationID == "" {
		t.Error("GET /api/agents is missing")
	}
}
