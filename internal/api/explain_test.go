package api_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store/storetest"
)

func TestExplainNamesUploaders(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
	b.call(t, "admin", "PUT", "/api/v1/scans/"+ref+"/results/trivy", `{"findings":[]}`, nil)
	var got struct {
		Items []struct {
			ReferenceID string `json:"reference_id"`
			Steps       []struct{ Hop, Text, Detail string }
		}
	}
	b.call(t, "triager", "GET", "/api/v1/explain/"+storetest.SHA(1)[:12], "", &got)
	if len(got.Items) != 1 || got.Items[0].ReferenceID != ref {
		t.Fatalf("timelines: %+v", got)
	}
	timeline := ""
	for _, step := range got.Items[0].Steps {
		timeline += step.Hop + ": " + step.Text + ": " + step.Detail + "\n"
	}
	for _, text := range []string{
		"delivery: github announced",
		fmt.Sprintf("job: ci brought the report of trivy for commit 0000000: 2 findings, SHA-256 %x\n", sha256.Sum256([]byte(report))),
		"job: root replaced the report of trivy for commit 0000000: 0 findings, SHA-256 ", "; replaces the report of ", " by ci with 2 findings; this turned its verdict from fail to pass\n",
	} {
		if !strings.Contains(timeline, text) {
			t.Errorf("want %q in:\n%s", text, timeline)
		}
	}
	for path, code := range map[string]int{"abc": 422, storetest.SHA(9): 404} {
		if answer := b.call(t, "triager", "GET", "/api/v1/explain/"+path, "", nil); answer.Code != code {
			t.Errorf("%s: %d, want %d", path, answer.Code, code)
		}
	}
}
