package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// login types the token where the page asks for it.
func (b *browser) login(token string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), token), chromedp.Click(chromedp.CSS("button.primary")))
}

// A developer follows "Details" of a red status, logs in, and turns it green by saying that the findings are no
// problems.
func TestRedStatusTurnsGreenInTheBrowser(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Before)
	finalOf(t, w, sample.Before)
	pushTo(t, w, "main", sample.Before, sample.Head)
	red := finalOf(t, w, sample.Head)

	b := openBrowser(t, w.scanhook)
	b.do(chromedp.Navigate(red.TargetURL))
	b.examine("login")
	b.login("a wrong one")
	b.until(`document.querySelector(".notice.error")`)
	b.login(w.apiToken)
	b.until(`location.pathname.startsWith("/scans/") && document.querySelector("#verdict.fail")`)
	if word := b.text("#verdict .word"); !strings.Contains(word, "Failed") || !strings.Contains(word, "4 new") {
		t.Errorf("verdict: %q", word)
	}
	b.examine("scan-failed")
	for dismissed := range 4 {
		// Found and clicked in one step: the page follows the scan and may replace the button in between.
		// What is critical takes a comment: without one, the browser asks for it, and nothing is sent.
		b.do(chromedp.Evaluate[chromedp.Void](`{
			const button = document.querySelector(".finding:not(.dismissed) button[value=FP]"), why = button.form.elements.comments;
			if (why.required) {
				button.click();
				if (why.validity.valueMissing && !button.form.hasAttribute("aria-busy")) why.value = "a fixture";
			}
			button.click();
		}`))
		b.until(fmt.Sprintf(`location.search.includes("done=FP") && document.querySelectorAll(".finding.dismissed").length === %d`,
			dismissed+1))
	}
	b.until(`document.querySelector("#verdict.pass")`)
	green, err := w.platform.Wait(b.ctx, func(s fakeforge.Status) bool { return s.SHA == sample.Head && s.State == "success" })
	if err != nil {
		t.Fatalf("the status never turned green: %v", err)
	}
	b.until(`document.querySelector("#verdict .status").textContent.includes("Shown on github")`)
	if text := b.text("#verdict"); !strings.Contains(text, green.Description) {
		t.Errorf("the page says %q, the platform %q", text, green.Description)
	}
	// Only the card that was judged last says where the status is: the others would say what no longer holds.
	b.until(`document.querySelector("#finding-" + new URLSearchParams(location.search).get("finding") + " .done")
		?.textContent.includes("Shown on github")`)
	b.until(`document.querySelectorAll(".done").length === 4 && document.querySelectorAll(".done .now").length === 2`)
	b.examine("scan-passed")
	b.do(chromedp.Navigate(w.scanhook + "/explain/" + sample.Head))
	b.examine("explain")
	b.do(chromedp.Navigate(w.scanhook + "/deliveries"))
	b.examine("deliveries")
	if len(b.foreign) > 0 {
		t.Errorf("requests to other hosts: %v", b.foreign)
	}
}

// Enter in a comment says nothing, a click on one finding leaves the others and what was typed there alone, and a decision
// is undone where it was made; with and without JavaScript.
func TestJudgingOneFindingLeavesTheOthersAloneInTheBrowser(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	details := finalOf(t, w, sample.Head).TargetURL
	b := openBrowser(t, w.scanhook)
	b.do(chromedp.Navigate(w.loginLink(strings.TrimPrefix(details, w.scanhook))))
	b.until(`location.pathname.startsWith("/scans/") && document.querySelectorAll(".finding").length === 5`)
	b.until(`document.querySelector("#verdict .status").textContent.includes("Shown on github")`)
	b.do(chromedp.Evaluate[chromedp.Void](`window.same = true;
		window.cards = [...document.querySelectorAll(".finding")].map((card) => "#" + card.id);
		window.field = (n) => document.querySelector(cards[n] + " textarea"); undefined`))
	b.do(chromedp.Evaluate[chromedp.Void](`field(3).focus()`), chromedp.KeyEvent("my\rwords"))
	b.until(`same && field(3).value === "my\nwords" && document.querySelectorAll(".finding.dismissed").length === 0`)

	b.do(chromedp.Evaluate[chromedp.Void](`field(0).value = "a fixture"; scrollTo(0, 300); window.height = scrollY;
		document.querySelector(cards[0] + " button[value=FP]").click()`))
	b.until(`document.querySelector(cards[0] + ".dismissed .outcome")?.textContent.includes("as a false positive")`)
	b.until(`same && field(3).value === "my\nwords" && document.activeElement === field(3) && field(0).value === ""`)
	b.until(`document.querySelector("#verdict .status").textContent.includes("Shown on github") &&
		document.querySelector(".tabs").textContent.replace(/\s+/g, " ").includes("New 4 Known 0 Fixed 0 Dismissed 1")`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(cards[0] + " .history").parentElement.open = true;
		document.querySelector(cards[1] + " button[value=TP]").click()`))
	b.until(`document.querySelector(cards[1] + " .outcome")?.textContent.includes("as real") &&
		document.querySelector(cards[0] + ".dismissed details[open]") && field(3).value === "my\nwords"`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(cards[0] + " .undo").click()`))
	b.until(`same && document.querySelector(cards[0] + ":not(.dismissed) .outcome")?.textContent.includes("You withdrew the decision") &&
		document.querySelector(cards[0] + " details[open]").textContent.includes("withdrew a decision") && !document.querySelector(cards[0] + " .undo")`)
	b.until(`same && Math.abs(scrollY - height) < 2 && document.querySelector("#verdict.fail").textContent.includes("5 new")`)
	b.examine("scan-judged")
	// Two at once: each says what was done to it, and none says of the status what no longer holds.
	b.do(chromedp.Evaluate[chromedp.Void](`for (const n of [2, 3]) {
		field(n).value ||= "a fixture";
		document.querySelector(cards[n] + " button[value=FP]").click();
	}`))
	b.until(`same && [2, 3].every((n) => document.querySelector(cards[n] + ".dismissed .done")?.textContent.includes("as a false positive"))`)
	b.until(`document.querySelector("#verdict .status").textContent.includes("Shown on github") &&
		!document.querySelector("#findings").textContent.includes("On its way")`)

	b.disableScripts(true)
	b.do(chromedp.Navigate(details))
	b.do(chromedp.Focus(chromedp.CSS(".finding textarea")), chromedp.KeyEvent("why\rnot"))
	b.do(chromedp.Click(chromedp.CSS(".finding button[value=FP]")))
	b.until(`document.querySelector(".finding.dismissed .history")?.textContent.includes("why\nnot")`)
	b.do(chromedp.Click(chromedp.CSS(".finding.dismissed .undo")))
	b.until(`location.search.includes("done=undone") && document.querySelectorAll(".finding.dismissed").length === 0`)
	// Enter in the day means the reason beside it, not the first of the buttons.
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".finding [name=reason]").value = "accepted_risk";
		document.querySelector(".finding textarea").value = "until it is moved"`),
		chromedp.Focus(chromedp.CSS(".finding [name=until]")), chromedp.KeyEvent("\r"))
	b.until(`location.search.includes("done=accepted_risk") && document.querySelectorAll(".finding.dismissed").length === 1`)
}

// A page that was opened while a scan runs follows it to its end, without being loaded again.
func TestRunningScanIsLiveInTheBrowser(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab", extra: `
web: {public: true}
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: [gitleaks, trivy]}]`})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	b := openBrowser(t, w.scanhook)
	b.do(chromedp.Navigate(w.scanhook))
	b.until(`document.querySelector("table.scans a")`)
	b.do(chromedp.Click(chromedp.CSS("table.scans a")))
	b.until(`document.querySelector("#jobs")?.textContent.includes("5 findings")`)
	b.examine("scan-running")
	b.do(chromedp.Evaluate[chromedp.Void](`window.same = true`))
	reference := b.text("#live + h1") + ""
	location, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		t.Fatal(reference, err)
	}
	deliver(t, w, location[strings.LastIndex(location, "/")+1:])
	b.until(`window.same && document.querySelector("#verdict.fail") && document.querySelectorAll(".finding").length === 6`)
	b.until(`document.querySelector("#verdict .status").textContent.includes("Shown on gitlab")`)
	b.examine("scan-hostile")
}

// hostileReport is a scanner's report whose author wants to run something in the reader's browser.
const hostileReport = `[{"rule_id": "<script>alert(1)</script>", "file": "a/\u202egnp.exe<img src=x onerror=alert(1)>", "line": 3,
	"severity": "High", "title": "\"><svg onload=alert(1)>", "message": "MESSAGE", "help_uri": "javascript:alert(1)",
	"cve_id": "CVE-2024-3094", "snippet": "x := \"</code></pre><script>alert(1)</script>\" // \u202e comment"}]`

func deliver(t *testing.T, w *sandbox, reference string) {
	t.Helper()
	body := strings.Replace(hostileReport, "MESSAGE", strings.Repeat("<b>very long</b> ", 60_000), 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		w.scanhook+"/api/v1/scans/"+reference+"/results/trivy", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.apiToken)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		t.Fatalf("upload: %s", answer.Status)
	}
}

// The list can be filtered, and all of it works without JavaScript.
func TestPagesWorkWithoutJavaScriptInTheBrowser(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github", extra: `
web: {public: true}
repositories: [{match: "**"}]`})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Before)
	finalOf(t, w, sample.Before)
	pushTo(t, w, "feature/pay", sample.Before, sample.Head)
	finalOf(t, w, sample.Head)
	b := openBrowser(t, w.scanhook)
	b.do(chromedp.Navigate(w.scanhook))
	b.examine("scans")
	for name, path := range map[string]string{
		"projects": "/projects", "scans-none": "/?branch=never", "deliveries-none": "/deliveries?project=none", "projects-none": "/projects?platform=none",
		"project": "/projects/github/acme/shop", "api": "/docs",
	} {
		b.do(chromedp.Navigate(w.scanhook + path))
		b.examine(name)
	}
	b.do(chromedp.Navigate(w.scanhook))
	b.disableScripts(true)
	b.do(chromedp.SendKeys(chromedp.CSS("[name=branch]"), "feature/pay"), chromedp.Click(chromedp.CSS(".filter button")))
	b.until(`location.search.includes("branch=feature%2Fpay") && document.querySelectorAll("table.scans tbody tr").length === 1`)
	b.do(chromedp.Click(chromedp.CSS("table.scans a")), chromedp.Click(chromedp.CSS(".finding .triage a")))
	b.until(`document.querySelector("#token")`)
	b.login(w.apiToken)
	b.until(`document.querySelector(".finding button[value=FP]")`)
	b.do(chromedp.SendKeys(chromedp.CSS(".finding textarea[name=comments]"), "a test key"),
		chromedp.Click(chromedp.CSS(".finding button[value=FP]")))
	b.until(`document.querySelector(".finding.dismissed .history")?.textContent.includes("a test key")`)
	b.do(chromedp.Click(chromedp.CSS("#jobs form button")))
	b.until(`document.querySelector(".facts")?.textContent.includes("attempt 2")`)
	b.disableScripts(false)
	b.do(chromedp.Navigate(w.scanhook+"/docs"), chromedp.SendKeys(chromedp.CSS("#token"), w.apiToken),
		chromedp.Evaluate[chromedp.Void](`document.querySelector("form[data-path='/api/v1/scans'][data-method=GET]").closest("details").open = true`),
		chromedp.Click(chromedp.CSS("form[data-path='/api/v1/scans'][data-method=GET] button")))
	b.until(`document.querySelector("form[data-path='/api/v1/scans'][data-method=GET] output").textContent.startsWith("200\n")`)
	b.do(chromedp.Navigate(w.scanhook + "/nothing/here"))
	b.examine("error")
}

// recordRuns fills the project's history as another replica would: runs of a steady pipeline, and one that is not.
func recordRuns(t *testing.T, w *sandbox, before string, n int) {
	t.Helper()
	policies, err := policiesOf(w.config)
	if err != nil {
		t.Fatal(err)
	}
	db := storetest.OpenAt(t, w.config.Database.URL.Reveal(), store.Config{Policies: policies, Scanners: kindsOf(w.config)})
	repository, _ := w.platform.Repository("acme/shop")
	project := core.Project{Name: "acme/shop", Ref: fmt.Sprint(repository.ID), DefaultBranch: "main"}
	for i := range n {
		bytes, duration := int64(41_000_000+i%5*300_000), time.Duration(90+i*7%13)*time.Second
		if i == n-4 {
			bytes = 169_000_000
		}
		end := time.Date(2026, 3, 1, i, 0, 0, 0, time.UTC)
		run := core.Pipeline{
			Project: project, ID: int64(i + 1), Attempt: 1, Name: "build",
			Source: "push", Branch: "main", CommitSHA: fmt.Sprintf("%040x", i+0xabc), Status: "completed", Conclusion: "success",
			Duration: &duration, ArtifactBytes: &bytes, FinishedAt: end, UpdatedAt: end,
		}
		delivery := core.Delivery{Platform: "github", Key: fmt.Sprint("run", i), Name: "workflow_run", Project: "acme/shop"}
		push := core.Push{
			Project: project, Ref: "refs/heads/main", Before: before, After: run.CommitSHA, CommitSHA: run.CommitSHA,
		}
		announced := core.Delivery{Platform: "github", Key: fmt.Sprint("push", i), Name: "push", Project: "acme/shop", ReceivedAt: time.Now()}
		if _, err := db.Accept(t.Context(), storetest.With(announced, push)); err != nil {
			t.Fatal(err)
		}
		before = run.CommitSHA
		receipt, err := db.Accept(t.Context(), storetest.With(delivery, run))
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
	recordRuns(t, w, sample.Before, 40)
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
	b.do(chromedp.Click(chromedp.CSS("#reports summary")), chromedp.Click(chromedp.CSS("#reports a")))
	b.until(`location.pathname.includes("/reports/")`)
	b.examine("report")
}
