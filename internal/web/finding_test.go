package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/platforms/gitlab"
)

func TestGitLabLinksLeadToLines(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.Platforms = web.Platforms{"github": {Links: gitlab.Kind().Links}} })
	scan := s.scanned(1, finding(func(f *core.Finding) { f.EndLine = 5 }))
	contains(t, s.page("/scans/"+scan.ReferenceID), "/acme/shop/-/blob/"+scan.CommitSHA+"/a/b.env#L3-5",
		"/acme/shop/-/commit/"+scan.CommitSHA, "platforms.github has no token")
}

// Scans outlive the configuration of their platform.
func TestLinksOfAPlatformThatLeftTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.Platforms = web.Platforms{} })
	scan := s.scanned(1, finding(func(f *core.Finding) { f.EndLine = 5 }))
	contains(t, s.page("/scans/"+scan.ReferenceID), "/acme/shop/blob/"+scan.CommitSHA+"/a/b.env#L3-L5",
		"/acme/shop/commit/"+scan.CommitSHA)
}

// A link to a finding leads to the page of its scan that shows it.
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

func TestPatchIsShownAndHandedOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	patch, verdict, reasoning, proven := "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-<old>\n+new\n", "likely real", "Because.", false
	_, err := s.store.PatchFinding(t.Context(), 1, core.TriageUpdate{
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

func TestCodeAroundAFindingIsNumberedAndItsLinesMarked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(func(f *core.Finding) { f.EndLine = 4 }))
	found := []core.Finding{s.firstNew(scan)}
	found[0].Code, found[0].CodeLine = "one\n\ttwo\nthree\nfour\n<b>five</b>", 1
	if err := s.store.PutCode(t.Context(), core.Job{ID: found[0].JobID}, found); err != nil {
		t.Fatal(err)
	}
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, `<span class="line "><span class="number">2</span>	two`,
		`<span class="line mark"><span class="number">3</span><mark>three</mark>`,
		`<span class="line mark"><span class="number">4</span><mark>four</mark>`,
		`<span class="line "><span class="number">5</span>&lt;b&gt;five`)
	lacks(t, page, "KEY=REDACTED", "No code is kept")
}

func TestFindingsWithoutCodeSayWhereItIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(func(f *core.Finding) { f.Snippet = "" }),
		finding(func(f *core.Finding) { f.Snippet, f.Line, f.File = "", 0, "go.mod" }))
	contains(t, s.page("/scans/"+scan.ReferenceID), "No code of this line is stored", "The report names the file only.",
		`<a href="https://git.example/acme/shop/blob/`+scan.CommitSHA+`/a/b.env#L3" rel="noopener">Look at it on github</a>`)
}

// If a snippet has more lines than the finding, the number of its first line is unknown.
func TestSnippetsOfUnknownBeginningHaveNoNumbers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(func(f *core.Finding) { f.Snippet = "a\nb\nc" }))
	lacks(t, s.page("/scans/"+scan.ReferenceID), `class="number"`, "<mark>")
}

func TestASecretOfSeveralLinesIsShownAsOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(func(f *core.Finding) {
		f.EndLine, f.Snippet = 6, "REDACTED-29f0\nREDACTED-29f0\nREDACTED-29f0\nend"
	}))
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, `<span class="number">3</span><mark>REDACTED-29f0</mark>`, `<span class="number">6</span><mark>end</mark>`)
	if n := strings.Count(page, "REDACTED-29f0"); n != 1 {
		t.Errorf("it is shown in %d lines", n)
	}
}

// A known finding says why it counts as an earlier one.
func TestKnownFindingsNameTheEvidence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.scanned(1, finding(func(f *core.Finding) { f.Line, f.Snippet = 3, "danger(x)" }))
	second := s.scanned(2, finding(func(f *core.Finding) { f.Line, f.Snippet = 30, "danger(x)" }))
	contains(t, s.page("/scans/"+second.ReferenceID), "<small>same code</small>")
	contains(t, s.page("/scans/"+second.ReferenceID+"?show=unchanged"), "known by the same code")
	lacks(t, s.page("/scans/"+first.ReferenceID), "same code")
}

// What a report says besides is on the card, as text or tame HTML, on the scan's page and on that of the alert.
func TestCardsShowDetails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	said := details.Details{
		Markdown: "From [input](1) <script>alert(1)</script>", Related: []details.Place{{ID: new(1), File: "in.js", Line: 4, Message: "<b>here</b>"}},
		Flows: []details.Flow{{Steps: []details.Place{{File: "in.js", Line: 4, Code: "req.body"}, {File: "a/b.env", Line: 3, Message: "sink"}}}},
		Fixes: []details.Fix{{Message: "Escape it", Changes: []details.Change{{File: "a/b.env", Line: 3, Text: "KEY=$KEY"}}}},
		Links: []details.Link{{Title: "CWE", URL: "https://cwe.mitre.org/"}, {Title: "bad", URL: "javascript:alert(1)"}},
	}
	scan := s.scanned(1, finding(func(f *core.Finding) { f.Details = details.Pack(said) }), finding(func(f *core.Finding) { f.Line = 9 }))
	for _, path := range []string{"/scans/" + scan.ReferenceID, "/alerts/github/acme/shop/1"} {
		page := s.page(path)
		contains(t, page, "Path through the code: 2 steps, from in.js to a/b.env", "req.body", "1 related place", "&lt;b&gt;here&lt;/b&gt;",
			`/blob/`+scan.CommitSHA+`/in.js#L4" rel="noopener noreferrer nofollow">input</a>`, "Fix that the scanner proposes", "KEY=$KEY", `href="https://cwe.mitre.org/"`)
		if strings.Contains(page, "alert(1)</script>") || strings.Contains(page, "javascript:alert") {
			t.Errorf("%s lets what a report says act", path)
		}
	}
}
