package runner

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/evidence"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/store/storetest"
)

// twoWays is a history that is scanned in one project, and whose reports are uploaded to another one.
type twoWays struct {
	*bench
	git   *evidence.Git
	t     *testing.T
	where string // the scanner of the uploads sees the checkout there
}

func newTwoWays(t *testing.T, e storetest.Engine, where string) *twoWays {
	t.Helper()
	b := newBenchOn(t, e, grepper)
	w := &twoWays{b, b.knowing(300 * time.Second), t, where}
	w.server.Commit(t, "p", gittest.Files{"README": "\n"})
	if err := os.Symlink(filepath.Join(w.server.Dir, "p.git"), filepath.Join(w.server.Dir, "q.git")); err != nil {
		t.Fatal(err)
	}
	return w
}

// commit returns what both say of each finding of a commit, by its place.
func (w *twoWays) commit(content gittest.Files) (scanned, uploaded map[string]string) {
	w.t.Helper()
	dir := filepath.Join(w.server.Dir, "p.git")
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			_ = os.RemoveAll(filepath.Join(dir, entry.Name()))
		}
	}
	gittest.Write(w.t, dir, content)
	sha := w.server.Amend(w.t, "p", "next")
	reference := w.acceptAs(w.t, "p", "1", sha)
	w.mustWork(w.t, true)
	_, _, found := w.get(w.t, reference)
	return said(found), said(w.upload(sha, found))
}

// upload uploads findings without all that a checkout tells of them.
func (w *twoWays) upload(sha string, found []core.Finding) []core.Finding {
	w.t.Helper()
	reference := w.acceptAs(w.t, "q", "2", sha)
	report := core.Report{Results: len(found)}
	for _, f := range found {
		report.Findings = append(report.Findings, core.Finding{
			Tool: "lint", RuleID: f.RuleID, Severity: f.Severity, Message: f.Message, File: w.where + f.File, Line: f.Line,
			About: core.About{Absolute: w.where != ""},
		})
	}
	scan, err := w.Jobs.GetScan(w.t.Context(), reference)
	if err != nil {
		w.t.Fatal(err)
	}
	stored := w.git.AddEvidence(w.t.Context(), scan, "gitleaks", &report)
	if _, err := w.Jobs.PutReport(w.t.Context(), reference, "gitleaks", report); err != nil {
		w.t.Fatal(err)
	}
	_, job, kept := w.get(w.t, reference)
	stored(&job)
	w.git.Wait()
	return kept
}

func said(findings []core.Finding) map[string]string {
	all := map[string]string{}
	for _, f := range findings {
		all[fmt.Sprintf("%s:%d", f.File, f.Line)] = fmt.Sprint(f.BaselineState, " ", f.MatchedBy, " alert ", f.AlertNumber)
	}
	return all
}

// steps are commits in which reports alone do not tell what became of which finding.
func steps() []gittest.Files {
	a, b := function("a"), function("b")
	return []gittest.Files{
		{"src/app.js": a + b, "lib/x.js": a},
		{"src/app.js": function("c") + a + b, "lib/x.js": a},                                  // an equal line above the others
		{"src/app.js": "// one\n" + a + b, "lib/y.js": a},                                     // the first is gone, and a file renamed
		{"src/app.js": "// one\n" + strings.ReplaceAll(a+b, "eval(x)", "eval( x ) // so")},    // edited in place, and a file deleted
		{"src/app.js": "// one\n" + strings.ReplaceAll(a+b, "eval(x)", "eval(y)"), "z.js": b}, // and a new one elsewhere
	}
}

// Both entry points come to the same, wherever the scanner of an upload saw the checkout.
func TestAddEvidenceMakesEntryPointsEqual(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{
		"relative": "", "in a container": "src/", "on a runner": "home/runner/work/p/p/", "on Windows": "C:/agent/_work/1/s/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				w := newTwoWays(t, e, where)
				for n, content := range steps() {
					scanned, uploaded := w.commit(content)
					if diff := cmp.Diff(scanned, uploaded); diff != "" {
						t.Errorf("step %d (-scanned +uploaded):\n%s", n, diff)
					}
				}
			})
		})
	}
}

// People see the code around the findings of an upload.
func TestAddEvidenceShowsCode(t *testing.T) {
	t.Parallel()
	w := newTwoWays(t, storetest.SQLite, "src/")
	w.commit(gittest.Files{"app.js": "const token = '" + githubToken + "'\n" + function("a")})
	sha := gittest.Git(t, filepath.Join(w.server.Dir, "p.git"), "rev-parse", "HEAD")
	_, _, found := w.get(t, w.acceptAs(t, "q", "2", sha))
	if len(found) != 1 || !strings.Contains(found[0].Code, "return eval(x)") || strings.Contains(found[0].Code, githubToken) {
		t.Errorf("want the code without the token, got %+v", found)
	}
}

// A repository that does not answer keeps no report waiting, and those that come soon afterwards not at all.
func TestAddEvidenceDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newTwoWays(t, storetest.SQLite, "")
	w.commit(gittest.Files{"app.js": function("a")})
	released := make(chan struct{})
	block := gittest.Proxy(func(http.ResponseWriter, *http.Request, http.Handler) { <-released })
	gittest.Write(t, filepath.Join(w.server.Dir, "p.git"), gittest.Files{"app.js": function("b") + function("a")})
	sha := w.server.Amend(t, "p", "next")
	w.server.Proxy.Store(&block)
	w.git = w.knowing(300 * time.Millisecond)
	for n, most := range []time.Duration{20 * time.Second, 200 * time.Millisecond} {
		report := core.Report{Findings: []core.Finding{{RuleID: "eval", File: "app.js", Line: 2}}}
		scan := core.Scan{SourcePlatform: "github", ProjectID: 2, ProjectName: "q", ProjectRef: "2", CommitSHA: sha}
		began := time.Now()
		w.git.AddEvidence(t.Context(), scan, "gitleaks", &report)(nil)
		if took := time.Since(began); took > most || report.Changes != nil || report.Findings[0].Snippet != "" {
			t.Errorf("report %d: took %s and is %+v", n, took, report)
		}
	}
	close(released)
	w.git.Wait()
}
