package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// recordRuns fills the project's history as another replica would: runs of a steady pipeline, and one that is not.
func recordRuns(t *testing.T, w *sandbox, n int) {
	t.Helper()
	policies, err := policiesOf(w.config)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{
		URL: w.config.Database.URL.Reveal(), Policies: policies, Scanners: kindsOf(w.config),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for i := range n {
		bytes, duration := int64(41_000_000+i%5*300_000), time.Duration(90+i*7%13)*time.Second
		if i == n-4 {
			bytes = 169_000_000
		}
		end := time.Date(2026, 3, 1, i, 0, 0, 0, time.UTC)
		run := core.Pipeline{
			Project: core.Project{Name: "acme/shop", Ref: "1", DefaultBranch: "main"}, ID: int64(i + 1), Attempt: 1, Name: "build",
			Source: "push", Branch: "main", CommitSHA: fmt.Sprintf("%040x", i+0xabc), Status: "completed", Conclusion: "success",
			Duration: &duration, ArtifactBytes: &bytes, FinishedAt: end, UpdatedAt: end,
		}
		delivery := core.Delivery{Platform: "github", Key: fmt.Sprint("run", i), Name: "workflow_run", Project: "acme/shop"}
		receipt, err := db.RecordPipeline(t.Context(), delivery, run)
		if err != nil {
			t.Fatal(err)
		}
		report := core.Report{}
		for f := range 3 + i%4 {
			report.Findings = append(report.Findings, core.Finding{
				RuleID: "rule", File: "a.go", Line: f + 1, Severity: core.Low, Snippet: fmt.Sprint("code ", f+i/6),
			})
		}
		if _, err := db.PutReport(t.Context(), receipt.Reference, "trivy", report); err != nil {
			t.Fatal(err)
		}
	}
}

// An administrator sees that everything flows, finds the run that is unlike the others, and accepts it.
func TestProjectPageInTheBrowser(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github", extra: `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: [trivy]}]`})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Before)
	recordRuns(t, w, 40)
	b := openBrowser(t, w.scanhook)
	b.do(chromedp.Navigate(w.scanhook + "/projects/github/acme/shop"))
	b.login(w.apiToken)
	b.until(`document.querySelectorAll(".chart svg").length === 3 && document.querySelector(".chart .band")`)
	if text := b.text(".anomaly"); !strings.Contains(text, "Unusual") || !strings.Contains(text, "169 MB") {
		t.Errorf("the anomaly: %q", text)
	}
	if text := b.text("#policy ~ .scroll"); !strings.Contains(text, "[trivy]") || !strings.Contains(text, "repository") ||
		!strings.Contains(text, "built in") {
		t.Errorf("the configuration in effect: %q", text)
	}
	b.examine("project")
	b.do(chromedp.Click(chromedp.CSS(".anomaly button")))
	b.until(`document.querySelector(".anomaly.accepted circle, .anomaly.accepted")`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".chart circle.expected").dispatchEvent(new MouseEvent("click", {bubbles: true}))`))
	b.until(`location.pathname.startsWith("/scans/")`)
	b.examine("scan-one-line")
}
