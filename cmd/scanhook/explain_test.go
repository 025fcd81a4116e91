package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestExplainTellsTheStoryInOrder(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Before)
	finalOf(t, w, sample.Before)
	var out, errs bytes.Buffer
	args := []string{"explain", sample.Before[:8], "--config", w.file(t)}
	if code := run(t.Context(), args, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	story := out.String()
	for _, text := range []string{
		`announced "push" with a valid signature, by webhook_secrets[0] (`, "): scan_created", "opened (push, attempt 1)", "gitleaks started (attempt 1)",
		"gitleaks delivered its report; findings: 1", "Verdict as it stands: fail by fail_on: high, new findings only: 1 new (1 high)",
		"scanhook should show failure", "/scans/",
	} {
		_, rest, found := strings.Cut(story, text)
		if !found {
			t.Fatalf("%q does not follow in:\n%s", text, out.String())
		}
		story = rest
	}
	if code := run(t.Context(), []string{"explain", "abcdef012345", "--config", w.file(t)}, &out, &errs); code != 1 {
		t.Errorf("an unknown commit: exit %d", code)
	}
}
