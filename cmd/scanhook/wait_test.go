package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const twoScanners = `
scanners: {trivy: {upload: true}, lint: {upload: true}}
repositories: [{match: "**", scanners: [trivy, lint]}]`

func TestWaitExitsByTheVerdict(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, twoScanners)
	env := environment(map[string]string{"SCANHOOK_URL": w.scanhook, "SCANHOOK_API_TOKEN": w.apiToken})
	wait := func(args ...string) outcome {
		return commandWith(t, newWaitWith, env, "", append(args, "--platform", "github", "--project", "acme/shop")...)
	}
	wait(headSHA, "--timeout", "1500ms").expect(t, 3, "", "no scan of the commit is known yet")
	upload(reportOf("a"), "-", "--scanner", "trivy").expect(t, 0, "processing, waiting for lint")
	wait(headSHA, "--timeout", "1500ms").expect(t, 3, "", "no verdict in time: scan ", ": processing, waiting for lint")
	late := make(chan outcome)
	go func() { late <- wait(headSHA) }()
	upload(reportOf(), "-", "--scanner", "lint", "--gate").expect(t, 1, "")
	got := <-late
	got.expect(t, 1, ": completed, fail: 1 new (1 high)\n  High      main.go:1 a", "the gate is closed: 1 new (1 high)")

	upload(reportOf("a"), "-", "--scanner", "trivy", "--commit", flagSHA)
	upload(reportOf(), "-", "--scanner", "lint", "--commit", flagSHA, "--wait", "1m", "--gate").expect(t, 0, "completed, pass: 0 new, 1 known")
	wait(flagSHA, "--json").expect(t, 0, `"verdict":"pass"`)
	wait("x").expect(t, 2, "", "--commit must be a full commit id")
}

func TestExportWritesWholeFiles(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, twoScanners)
	env := environment(map[string]string{"SCANHOOK_URL": w.scanhook, "SCANHOOK_API_TOKEN": w.apiToken})
	export := func(args ...string) outcome {
		return commandWith(t, newExportWith, env, "", append(args, headSHA, "--platform", "github", "--project", "acme/shop")...)
	}
	export().expect(t, 3, "", "no scan of commit "+headSHA+" is known; --wait waits for one")
	upload(reportOf("a"), "-", "--scanner", "trivy")
	file := filepath.Join(t.TempDir(), "report.json")
	export("--wait", "--timeout", "1s", "--output", file).expect(t, 3, "", "no verdict in time")
	upload(reportOf(), "-", "--scanner", "lint")
	export("--wait", "--format", "gl-codequality", "--output", file).expect(t, 1, "", "the gate is closed: 1 new (1 high)")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), `"check_name":"a"`) {
		t.Errorf("the report is %s, %v", text, err)
	}
	export("--format", "csv").expect(t, 0, "\n1,new,High,trivy,a,main.go,1,")
	export("--format", "xml").expect(t, 2, "", `there is no format "xml"; there are: sarif, gl-codequality, gl-sast, csv`)
	export("--output", filepath.Join(t.TempDir(), "no", "folder")).expect(t, 1, "", "writing the report")
}
