package blobs

import (
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
)

// All commits together have no more secrets than anybody could look at; an older commit that has one of them is still noted.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	h := History{found: make(map[sight]core.Finding)}
	found := make([]core.Finding, gitleaks.MaxSecrets)
	for n := range found {
		found[n] = core.Finding{RuleID: "r", SecretHash: fmt.Sprint(n), Commit: "new"}
	}
	if !h.keep(found) {
		t.Error("want all of them kept")
	}
	again := core.Finding{RuleID: "r", SecretHash: "7", Commit: "old"}
	if !h.keep([]core.Finding{again}) || h.found[sightOf(again)].Commit != "old" {
		t.Error("want the older commit of the same")
	}
	if h.keep([]core.Finding{{RuleID: "s", SecretHash: "7"}}) || len(h.found) != gitleaks.MaxSecrets {
		t.Errorf("want no more, got %d", len(h.found))
	}
}
