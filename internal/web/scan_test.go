package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestScanPageTellsWhatIsNewWhereAndWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	gone := finding(func(f *core.Finding) { f.RuleID, f.Title, f.Snippet = "old-key", "Gone", "OLD" })
	s.scanned(1, finding(), gone)
	scan := s.scanned(2, finding(), finding(func(f *core.Finding) {
		f.Title, f.File, f.Line, f.EndLine, f.Severity = "Injection", "src/a b#.go", 7, 9, core.Critical
		f.RuleID, f.HelpURI, f.CVEID, f.CWE = "sql", "https://rules.example/sql", "CVE-2024-3094", "CWE-89"
		f.Snippet = "one\ntwo\nthree"
	}))
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, "Failed", "1 new (1 critical), 1 known, 1 fixed", "1 finding breaks the rule.",
		"fail_on: high, new findings only", "Injection", `href="https://rules.example/sql"`,
		"https://git.example/acme/shop/blob/"+scan.CommitSHA+"/src/a%20b%23.go#L7-L9",
		"https://git.example/acme/shop/blob/"+storetest.SHA(1)+"/a/b.env#L3", "Known findings", "Fixed findings",
		"https://nvd.nist.gov/vuln/detail/CVE-2024-3094", "https://cwe.mitre.org/data/definitions/89.html",
		`<span class="number">9</span><mark>three</mark>`, "breaks the rule", "On its way to github.")
	if strings.Index(page, "Injection") > strings.Index(page, "Known findings") {
		t.Error("known findings come before new ones")
	}
	contains(t, s.page("/scans/"+scan.ReferenceID+"?show=absent"), "Gone")
}

func TestGitLabLinksLeadToLines(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.Platforms = map[string]web.Platform{"github": {Type: "gitlab"}} })
	scan := s.scanned(1, finding(func(f *core.Finding) { f.EndLine = 5 }))
	contains(t, s.page("/scans/"+scan.ReferenceID), "/acme/shop/-/blob/"+scan.CommitSHA+"/a/b.env#L3-5",
		"/acme/shop/-/commit/"+scan.CommitSHA, "platforms.github has no token")
}

func TestHostileReportsShowAsText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(func(f *core.Finding) {
		f.Title, f.RuleID, f.Tool, f.Snippet, f.CVEID, f.CWE = evil, evil, evil, evil, evil, evil
		f.File, f.HelpURI = "../../"+evil, "javascript:alert(document.cookie)"
		f.Message = strings.Repeat("x", 1<<20) + evil
		f.Suppressed = &f.Title
	}), finding(func(f *core.Finding) {
		f.HelpURI, f.File, f.Snippet = "data:text/html,<script>alert(1)</script>", "//evil.example/x", "\n\n\n"
	}))
	page := s.page("/scans/"+scan.ReferenceID+"?said="+url.QueryEscape(evil)+"&show="+url.QueryEscape(evil)) +
		s.page("/scans/"+scan.ReferenceID+"?show=dismissed")
	lacks(t, page, "<script>alert", "<img", "\u202e", "\u2066", "\u200b", "\x1b", `href="javascript:`, `href="data:`, "evil.example/x#")
	contains(t, page, "[U&#43;202E]", "&lt;script&gt;alert(1)", "javascript:alert(document.cookie)", "(cut)")
	if len(page) > 60_000 {
		t.Errorf("a message of 1 MB makes a page of %d bytes", len(page))
	}
}

func TestFeedbackTurnsTheVerdict(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	scan := s.scanned(1, finding())
	list, err := s.store.PageFindings(t.Context(), scan, store.FindingPage{State: core.New, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	say := func(verdict string) string {
		answer := s.ask(fmt.Sprintf("/findings/%d/feedback", list[0].ID), url.Values{
			"verdict": {verdict}, "comments": {"<i>a fixture</i>"}, "back": {"/hooks/scans/" + scan.ReferenceID + "?page=1"},
		})
		if answer.Code != http.StatusSeeOther {
			t.Fatalf("feedback: %d %s", answer.Code, answer.Body)
		}
		location := answer.Header().Get("Location")
		if !strings.HasSuffix(location, fmt.Sprintf("#finding-%d", list[0].ID)) {
			t.Errorf("it leads to %s", location)
		}
		path, _, _ := strings.Cut(strings.TrimPrefix(location, "/hooks"), "#")
		return s.page(path)
	}
	contains(t, say("FP"), "Passed", "0 new, 1 dismissed", "as a false positive. The scan is now <b>passed</b>", "scanhook: success",
		"On its way to github.", "History (1)", "<bdi>ada</bdi>", "&lt;i&gt;a fixture")
	contains(t, say("TP"), "Failed", "1 new (1 high)", "History (2)", "as real. The scan is now <b>failed</b>")
	if answer := s.ask("/findings/1/feedback", url.Values{"verdict": {"maybe"}}); answer.Code != http.StatusBadRequest {
		t.Errorf("a strange verdict: %d", answer.Code)
	}
}

// A decision is undone where it was said, and only the one that the page showed.
func TestDecisionIsUndone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	scan := s.scanned(1, finding())
	say := func(verdict core.Triage) int64 {
		after, err := s.store.RecordFeedback(t.Context(), core.Feedback{FindingID: 1, UserVerdict: verdict, Author: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		return after.Word.ID
	}
	undo := func(word int64) string {
		answer := s.ask("/findings/1/undo", url.Values{
			"word": {fmt.Sprint(word)}, "comments": {"by mistake"}, "back": {"/hooks/scans/" + scan.ReferenceID},
		})
		path, _, _ := strings.Cut(strings.TrimPrefix(answer.Header().Get("Location"), "/hooks"), "#")
		return s.page(path)
	}
	older, word := say(core.TruePositive), say(core.FalsePositive)
	page := s.page("/scans/" + scan.ReferenceID + "?show=dismissed")
	contains(t, page, fmt.Sprintf(`name="word" value="%d"`, word), "Undo “false positive” by <bdi>bob</bdi>")
	contains(t, undo(older), "Nothing was taken back", "Passed", "Undo “false positive” by <bdi>bob</bdi>")
	page = undo(word)
	contains(t, page, "You took the decision back.", "Failed", "1 new (1 high)", "took a decision back, now undecided", "by mistake")
	lacks(t, page, "Undo “")
	contains(t, undo(word), "Nothing was taken back", "Failed")
	if answer := s.ask("/findings/1/undo", url.Values{}); answer.Code != http.StatusBadRequest {
		t.Errorf("undoing nobody knows what: %d", answer.Code)
	}
	if strings.Contains(page, `<input id="comment`) {
		t.Error("Enter in a comment submits the form")
	}
}

// Tabs and summary count each finding once, in the same place.
func TestTabsAndSummaryAgree(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	reason := "nosec"
	scan := s.scanned(1, finding(), finding(func(f *core.Finding) { f.RuleID, f.Suppressed = "hidden", &reason }))
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, "1 new (1 high), 1 dismissed", "New <b>1</b>", "Dismissed <b>1</b>", `New findings <span class="count">1</span>`)
	if cards := strings.Count(page, "<article"); cards != 1 {
		t.Errorf("the list of new findings has %d cards", cards)
	}
	contains(t, s.page("/scans/"+scan.ReferenceID+"?show=dismissed"), "suppressed: nosec", "Dismissed findings")
}

// A link to a finding leads to the page of its scan on which it stands.
func TestLinkToAFindingLeadsToItsCard(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	var many []core.Finding
	for n := range 60 {
		many = append(many, finding(func(f *core.Finding) { f.RuleID = fmt.Sprintf("rule-%02d", n) }))
	}
	scan := s.scanned(1, many...)
	if answer := s.ask("/findings/55", nil); !strings.HasPrefix(answer.Header().Get("Location"), "/hooks/login") {
		t.Errorf("a stranger is led to %s", answer.Header().Get("Location"))
	}
	s.login()
	for id, want := range map[int]string{3: "#finding-3", 55: "?page=2&show=new#finding-55"} {
		got := s.ask(fmt.Sprintf("/findings/%d", id), nil).Header().Get("Location")
		if got != "/hooks/scans/"+scan.ReferenceID+want {
			t.Errorf("finding %d leads to %s", id, got)
		}
		path, _, _ := strings.Cut(strings.TrimPrefix(got, "/hooks"), "#")
		contains(t, s.page(path), fmt.Sprintf(`id="finding-%d"`, id), fmt.Sprintf(`href="/hooks/findings/%d"`, id))
	}
	s.ask("/findings/7/feedback", url.Values{"verdict": {"FP"}})
	if got := s.ask("/findings/7", nil).Header().Get("Location"); !strings.HasSuffix(got, "?page=1&show=dismissed#finding-7") {
		t.Errorf("a dismissed finding leads to %s", got)
	}
	if answer := s.ask("/findings/4711", nil); answer.Code != http.StatusNotFound {
		t.Errorf("no finding: %d", answer.Code)
	}
}

// A scan that failed says truly who had looked at the commit by then.
func TestFailedScanTellsWhoHadLooked(t *testing.T) {
	t.Parallel()
	policy := storetest.Policy
	policy.Scanners = []string{"gitleaks", "trivy"}
	cfg := store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}}
	s := newSite(t, func(c *web.Config) { c.Store, c.Policies = storetest.Open(t, cfg), cfg.Policies })
	scan := s.scanned(1, []core.Finding{}...)
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "trivy", core.Report{Failure: "no database"}); err != nil {
		t.Fatal(err)
	}
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, "Scan failed", "gitleaks looked at this commit and found nothing.")
	lacks(t, page, "before a scanner")
}

func TestPatchIsShownAndHandedOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	patch, verdict, reasoning, proven := "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-<old>\n+new\n", "likely real", "Because.", false
	_, err := s.store.PatchFinding(t.Context(), 1, core.Statement{
		Source: core.ByAI, RemediationPatch: core.SetTo(patch), AIVerdict: core.SetTo(verdict), AIReasoning: core.SetTo(reasoning),
		AIConfidence: core.SetTo(0.875), RedTeamSuccess: core.SetTo(proven),
	})
	if err != nil {
		t.Fatal(err)
	}
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, `<span class="line del">-&lt;old&gt;`, `<span class="line add">&#43;new`, "likely real, 88 % sure", "Because.")
	lacks(t, page, "exploit proven")
	answer := s.ask("/findings/1/patch", nil)
	if answer.Body.String() != patch || !strings.HasPrefix(answer.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("patch: %q %v", answer.Body, answer.Header())
	}
}

func TestRunningScanReloadsWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1)
	contains(t, s.page("/scans/"+scan.ReferenceID), "Waiting", `<noscript><meta http-equiv="refresh" content="5">`,
		`data-events="/hooks/scans/`, "Findings appear here")
	done := s.scanned(2, finding())
	claimed, err := s.store.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Minute)
	for _, status := range claimed {
		err = errors.Join(err, s.store.SettleStatus(t.Context(), status, store.Settlement{Posted: true}))
	}
	if err != nil {
		t.Fatal(err)
	}
	page := s.page("/scans/" + done.ReferenceID)
	lacks(t, page, "http-equiv", "data-events")
	contains(t, page, "Shown on github.")
}
