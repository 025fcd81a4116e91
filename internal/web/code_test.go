package web_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

func TestCodeAroundAFindingIsNumberedAndItsLinesMarked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(func(f *core.Finding) { f.EndLine = 4 }))
	found, err := s.store.PageFindings(t.Context(), scan, store.FindingPage{State: core.New, Limit: 1})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
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
	contains(t, s.page("/scans/"+scan.ReferenceID), "No code is kept of this line", "The report names the file only.",
		`<a href="https://git.example/acme/shop/blob/`+scan.CommitSHA+`/a/b.env#L3" rel="noopener">Look at it on github</a>`)
}

// Reports that give more lines than the finding has do not tell where they begin.
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
