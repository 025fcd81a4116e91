package web_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestScanPageShowsNewFindings(t *testing.T) {
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
	contains(t, page, "Failed", "1 new (1 critical), 1 unresolved, 1 known, 1 fixed", "1 unresolved</span>", "1 finding breaks the rule.",
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

func TestScanPageShowsHistoryAndCoverage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1)
	searched := &core.Coverage{Searched: 12}
	searched.LeaveOut(core.LeftAllowed, 1, "yarn.lock")
	searched.LeaveOut(core.LeftSize, 3, evil, "big.sql")
	report := core.Report{Coverage: searched, Findings: []core.Finding{finding(), finding(func(f *core.Finding) {
		f.File, f.Commit = "old.env", storetest.SHA(7)
	})}}
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
		t.Fatal(err)
	}
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, "2 new (2 high), 3 not searched", "12 files searched. 3 not searched that may hold code.",
		"<b>3</b> larger than is searched: <code", "big.sql</code> and 1 more.", "Keep large data out of the repository",
		"<b>1</b> exempt by the rules: <code", "yarn.lock", "https://git.example/acme/shop/commit/"+storetest.SHA(7),
		"Revoke it where it was issued", "clones and caches keep it", "https://git.example/acme/shop/blob/"+storetest.SHA(7)+"/old.env#L3",
		"https://git.example/acme/shop/blob/"+scan.CommitSHA+"/a/b.env#L3", "New <b>2</b>")
	lacks(t, page, "<script>alert")
	if n := strings.Count(page, "In history:"); n != 1 || strings.Index(page, "larger than") > strings.Index(page, "exempt by") {
		t.Errorf("%d findings are in history; what can hold code comes first", n)
	}
	contains(t, s.page("/alerts/github/acme/shop/2"), "In history:", "https://git.example/acme/shop/commit/"+storetest.SHA(7))
	lacks(t, s.page("/alerts/github/acme/shop/1"), "In history:")
	contains(t, s.page("/explain/"+scan.CommitSHA), "searched: 12", "3 not searched, larger than is searched:")
	next := s.scanned(2)
	if _, err := s.store.PutReport(t.Context(), next.ReferenceID, "gitleaks", report); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/scans/"+next.ReferenceID), "0 new, 2 unresolved, 2 known, 3 not searched", `<span class="badge">in history</span>`)
}

// The page says which reports took the place of others, by whom and when, and what a report is about.
func TestScanPageTellsOfReplacedReports(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	lacks(t, s.page("/scans/"+scan.ReferenceID), "replaced", "turned")
	red := finding()
	red.Message = "<script>alert('red')</script>"
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{By: "ci", Findings: []core.Finding{red}}); err != nil {
		t.Fatal(err)
	}
	part := core.Report{By: "nightly", Coverage: new(core.Coverage)}
	part.Coverage.LookedAt("src/**")
	beside := core.Report{By: "nightly", Category: "language:go"}
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", part, beside); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "Reports that were brought: 4", "<b><bdi>nightly</bdi></b>",
		"1 finding (1 high)", "turned the verdict from fail to pass", "report replaced", "/reports/2", "/reports/3",
		"<b>gitleaks/language:go</b>", "outside of what the report covers: <code", "all but src/**")
	past := s.page("/scans/" + scan.ReferenceID + "/reports/2")
	contains(t, past, "Report 2 of", "A later report took its place.", "a/b.env", "1 finding (1 high)")
	lacks(t, past, "<script>alert")
	contains(t, s.page("/scans/"+scan.ReferenceID+"/reports/3"), "This report counts.", "It has no findings.", "An earlier one failed the gate")
	for _, unknown := range []string{"5", "0", "x", "99999999999999999999"} {
		if code := s.ask("/scans/"+scan.ReferenceID+"/reports/"+unknown, nil).Code; code != http.StatusNotFound {
			t.Errorf("report %s: %d", unknown, code)
		}
	}
	contains(t, s.page("/explain/"+scan.CommitSHA), "nightly replaced the report of gitleaks", "nightly brought the report of gitleaks/language:go")
}

// Without a finding, what was not searched fails the scan, and the page says what to do.
func TestScanPageOfAScanThatFailsForCoverage(t *testing.T) {
	t.Parallel()
	policy := storetest.Policy
	policy.Gate.FailUnsearched = true
	cfg := store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}}
	s := newSite(t, func(c *web.Config) { c.Store, c.Policies = storetest.Open(t, cfg), cfg.Policies })
	scan := s.scanned(1)
	searched := &core.Coverage{}
	searched.LeaveOut(core.LeftHistory, 7)
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{Coverage: searched}); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "Failed", "No findings, 7 not searched", "Not all that may hold code was searched.",
		"coverage: fail", "<b>7</b> commits farther back than are searched.")
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
	page := s.page("/scans/"+scan.ReferenceID+"?done="+url.QueryEscape(evil)+"&show="+url.QueryEscape(evil)) +
		s.page("/scans/"+scan.ReferenceID+"?show=dismissed")
	lacks(t, page, "<script>alert", "<img", "\u202e", "\u2066", "\u200b", "\x1b", `href="javascript:`, `href="data:`, "evil.example/x#")
	contains(t, page, "[U&#43;202E]", "&lt;script&gt;alert(1)", "javascript:alert(document.cookie)", "(cut)")
	if len(page) > 60_000 {
		t.Errorf("a message of 1 MB makes a page of %d bytes", len(page))
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

// A failed scan names the scanners that completed before.
func TestFailedScanNamesCompletedScanners(t *testing.T) {
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

func TestRunningScanReloadsWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1)
	contains(t, s.page("/scans/"+scan.ReferenceID), "Waiting", `<noscript><meta http-equiv="refresh" content="5">`,
		`data-events="/hooks/scans/`, "Findings appear here")
	done := s.scanned(2, finding())
	claimed, err := s.store.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Minute)
	for _, status := range claimed {
		err = errors.Join(err, s.store.SettleStatus(t.Context(), status, store.PostResult{Posted: true}))
	}
	if err != nil {
		t.Fatal(err)
	}
	page := s.page("/scans/" + done.ReferenceID)
	lacks(t, page, "http-equiv", "data-events")
	contains(t, page, "Shown on github.")
}

func TestStatusOfAnotherProgramIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	s.post(store.PostResult{Posted: true, PostedID: 10, Code: 201, Latency: 85 * time.Millisecond})
	seen := core.ObservedStatus{
		Project: core.Project{Name: "acme/shop"}, CommitSHA: scan.CommitSHA, Context: "scanhook", ID: 11, State: "success",
		Description: "<b>fine</b>", Creator: "ci-<i>bot",
	}
	if _, err := s.store.ObserveStatus(t.Context(), "github", seen); err != nil {
		t.Fatal(err)
	}
	s.post(store.PostResult{Posted: true, PostedID: 12, Code: 201})
	contains(t, s.page("/scans/"+scan.ReferenceID), "Shown on github, after another program had replaced it.")
	seen.ID = 13
	if _, err := s.store.ObserveStatus(t.Context(), "github", seen); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "On github, another program has replaced it 2 times: it is posted again at ")
	contains(t, s.page("/explain/"+scan.CommitSHA), "github answered 201 after 85ms; it shows scanhook failure",
		"A status that is not ours stands on github: scanhook success: &lt;b&gt;fine&lt;/b&gt;", "ci-&lt;i&gt;bot posted it in the place of failure")
}

// A scan of 5,000 findings has a page of 50 like a scan of 50; the log tells how long both take.
func TestManyFindingsArePaged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	small, large := s.scanned(1, many(50)...), s.scanned(2, many(5000)...)
	page := s.page("/scans/" + large.ReferenceID)
	if n := strings.Count(page, `<article class="finding`); n != 50 {
		t.Errorf("%d findings on the first page, want 50", n)
	}
	contains(t, page, "Page 1 of 99", `href="?show=new&amp;page=2"`, "Known findings")
	last := s.page("/scans/" + large.ReferenceID + "?page=99999999")
	contains(t, last, "Page 99 of 99", "Key 4999", `rel="prev"`)
	t.Logf("50 findings: %s, 5,000 findings: %s", s.quickest("/scans/"+small.ReferenceID), s.quickest("/scans/"+large.ReferenceID))
	if few, most := len(s.page("/scans/"+small.ReferenceID)), len(page); most > 2*few {
		t.Errorf("the page of 5,000 findings has %d bytes, that of 50 has %d", most, few)
	}
}

// A scan that has ended can be repeated by one click, by those who do not only read. Where the first report counts, it takes a judge.
func TestScanAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role    access.Role
		replace core.ReplaceMode
		may     bool
	}{
		{access.Reader, "", false}, {access.Triager, "", true}, {access.Uploader, "", true}, {access.Admin, "", true},
		{access.Triager, core.ReplaceNever, true}, {access.Uploader, core.ReplaceNever, false},
	} {
		t.Run(string(c.role)+string(c.replace), func(t *testing.T) {
			t.Parallel()
			policy := storetest.Policy
			policy.Replace = c.replace
			opened := store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}}
			s := newSite(t, func(cfg *web.Config) {
				cfg.Store, cfg.Policies = storetest.Open(t, opened), opened.Policies
				cfg.Tokens = auth.Tokens{{Name: "ada", Token: token, Grant: access.Grant{Role: c.role}}}
			})
			passed := s.scanned(1, []core.Finding{}...)
			failed, err := s.store.PutReport(t.Context(), s.scanned(2).ReferenceID, "gitleaks", core.Report{Failure: "out of memory"})
			if err != nil {
				t.Fatal(err)
			}
			for _, scan := range []core.Scan{passed, failed} {
				s.scanAgain(scan, c.may)
			}
		})
	}
}

// scanAgain has a visitor log in and scan a commit again.
func (s *site) scanAgain(scan core.Scan, may bool) {
	s.t.Helper()
	s.cookie = ""
	address := "/scans/" + scan.ReferenceID
	if strings.Contains(s.page(address), "Scan again") ||
		strings.HasPrefix(s.ask(address+"/rescan", url.Values{}).Header().Get("Location"), "/hooks/scans/") {
		s.t.Error("a stranger may scan again")
	}
	s.login()
	if got := strings.Contains(s.page(address), "Scan again"); got != may {
		s.t.Errorf("the button is there: %t, want %t", got, may)
	}
	answer := s.ask(address+"/rescan", url.Values{})
	to, scans := strings.CutPrefix(answer.Header().Get("Location"), "/hooks/scans/")
	if !may {
		if answer.Code != http.StatusForbidden {
			s.t.Errorf("answered %d, want 403", answer.Code)
		}
		return
	}
	if answer.Code != http.StatusSeeOther || !scans {
		s.t.Fatalf("answered %d to %q", answer.Code, answer.Header().Get("Location"))
	}
	if again, err := s.store.GetScan(s.t.Context(), to); err != nil || again.Attempt != 2 || again.CommitSHA != scan.CommitSHA {
		s.t.Errorf("the new scan is %+v, %v", again, err)
	}
	if strings.Contains(s.page("/scans/"+to), "Scan again") {
		s.t.Error("the button is there while the scan waits")
	}
}

// BenchmarkScanPage compares the page of a scan of 5,000 findings with that of one of 50: people wait for the first
// page only, so that it should not take longer than three times as long (x-of-50).
//
//	go test -run '^$' -bench ScanPage -benchtime 30x ./internal/web
func BenchmarkScanPage(b *testing.B) {
	s := newSite(b)
	small, large := s.scanned(1, many(50)...), s.scanned(2, many(5000)...)
	s.page("/scans/" + large.ReferenceID)
	few, most := make([]time.Duration, b.N), make([]time.Duration, b.N)
	for i := range b.N {
		few[i], most[i] = s.takes("/scans/"+small.ReferenceID), s.takes("/scans/"+large.ReferenceID)
	}
	slices.Sort(few)
	slices.Sort(most)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(few[b.N/2].Seconds()*1000, "ms-50")
	b.ReportMetric(most[b.N/2].Seconds()*1000, "ms-5000")
	b.ReportMetric(most[b.N/2].Seconds()/few[b.N/2].Seconds(), "x-of-50")
}

func (s *site) takes(path string) time.Duration {
	start := time.Now()
	s.page(path)
	return time.Since(start)
}

func TestOverrideOnTheScansPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.Tokens[0].Grant.Role = "admin" })
	s.login()
	scan := s.scanned(1, finding())
	path := "/scans/" + scan.ReferenceID
	contains(t, s.page(path), "Turn the status green")
	if answer := s.ask(path+"/override", url.Values{"comments": {" "}}); answer.Code != http.StatusBadRequest {
		t.Errorf("without a reason: %d", answer.Code)
	}
	if answer := s.ask(path+"/override", url.Values{"comments": {"<i>tomorrow</i>"}}); answer.Code != http.StatusSeeOther {
		t.Fatalf("override: %d %s", answer.Code, answer.Body)
	}
	page := s.page(path)
	contains(t, page, "Overridden by <b><bdi>ada</bdi></b>", "&lt;i&gt;tomorrow", "scanhook: success", "Take the override back", "<b id=\"verdict-word\">Failed</b>")
	lacks(t, page, "Turn the status green")
	contains(t, s.page("/explain/"+scan.CommitSHA), "ada: override: turned failure green: &lt;i&gt;tomorrow")
	contains(t, s.page("/audit?action=override"), "turned failure green")
	if answer := s.ask(path+"/override/end", url.Values{}); answer.Code != http.StatusSeeOther {
		t.Fatalf("taking it back: %d %s", answer.Code, answer.Body)
	}
	contains(t, s.page(path), "scanhook: failure", "Turn the status green")
}
