package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store/storetest"
)

// mergeBases is a platform of which only one merge base is asked.
type mergeBases struct {
	platforms.Platform
	base string
}

func (h mergeBases) MergeBase(_ context.Context, project, branch, _ string) (string, error) {
	if h.base == "" || project != "acme/shop" || branch != "main" {
		return "", platforms.ErrUnknownCommit
	}
	return h.base, nil
}

// An upload is compared with the commit where its branch left the default branch, though no scanner of ours has run.
func TestUploadIsComparedWithItsMergeBase(t *testing.T) {
	t.Parallel()
	const report = `{"findings":[{"rule_id":"r","file":"a.go","line":3,"severity":"High","message":"m"}]}`
	for name, test := range map[string]struct {
		known     bool
		unchanged int
	}{
		"where it is known":            {known: true, unchanged: 1},
		"else with the default branch": {known: false, unchanged: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "trivy")
			deliver := func(reference, report string) {
				b.call(t, "scanner", http.MethodPut, "/api/v1/scans/"+reference+"/results/trivy", report, nil)
			}
			deliver(b.push(t, 1), report)
			deliver(b.push(t, 2), `{"findings":[]}`)
			if test.known {
				_, push := storetest.PushOf(1)
				b.platforms["github"] = mergeBases{base: push.CommitSHA}
			}
			var got struct{ New, Unchanged int }
			b.call(t, "scanner", http.MethodPut, "/api/v1/results/trivy?platform=github&project=acme/shop&branch=feature&commit="+
				fmt.Sprintf("%040x", 77), report, &got)
			if got.Unchanged != test.unchanged || got.New != 1-test.unchanged {
				t.Errorf("want %d known, got %+v", test.unchanged, got)
			}
		})
	}
}
