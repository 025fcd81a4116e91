package upload

import (
	"testing"

	"github.com/scanhook/scanhook/cmd/scanhook/remote"
)

func TestDescribeAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer answer
		want   string
		closed bool
	}{
		"passed": {answer{State: remote.State{Scan: "r", Status: "completed", Verdict: "pass", Summary: "No findings"}},
			"stored 0 findings of trivy (0 new, 0 known); scan r: completed, pass: No findings", false},
		"failed gate": {answer{State: remote.State{Scan: "r", Status: "completed", Verdict: "fail", Summary: "3 new (3 high)"}, Stored: 12, New: 3, Unchanged: 9},
			"stored 12 findings of trivy (3 new, 9 known); scan r: completed, fail: 3 new (3 high)", true},
		"left out": {answer{State: remote.State{Scan: "r", Status: "completed", Verdict: "pass", Summary: "1 known"}, Stored: 1, Unchanged: 1, Skipped: 1}, "stored 1 finding of trivy (0 new, 1 known), left out 1 result without a problem; " +
			"scan r: completed, pass: 1 known", false},
		"waiting": {answer{State: remote.State{Scan: "r", Status: "processing", WaitingFor: []string{"a", "b"}}},
			"stored 0 findings of trivy (0 new, 0 known); scan r: processing, waiting for a, b", false},
		"failed scan": {answer{State: remote.State{Scan: "r", Status: "failed", Error: "a: timed out"}},
			"stored 0 findings of trivy (0 new, 0 known); scan r: failed: a: timed out", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.answer.describe("trivy"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if err := test.answer.Judge(); (err != nil) != test.closed {
				t.Errorf("Judge() = %v, want an error: %t", err, test.closed)
			}
		})
	}
}
