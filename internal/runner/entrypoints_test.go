package runner

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/evidence"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
	"github.com/scanhook/scanhook/store/storetest"
)

// twoWays is a history that is scanned in one project, and whose reports are uploaded to another one.
type twoWays struct {
	*bench
	t     *testing.T
	where string // the scanner of the uploads sees the checkout there
}

func newTwoWays(t *testing.T, e storetest.Engine, where string) *twoWays {
	t.Helper()
	w := &twoWays{newBenchOn(t, e, grepper), t, where}
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
	git := w.knowing(evidence.Config{Patience: 5 * time.Minute})
	defer git.Close()
	stored := git.AddEvidence(w.t.Context(), scan, map[string]*core.Report{"gitleaks": &report})
	if _, err := w.Jobs.PutReport(w.t.Context(), reference, "gitleaks", report); err != nil {
		w.t.Fatal(err)
	}
	_, job, kept := w.get(w.t, reference)
	stored(map[string]*core.Job{"gitleaks": &job})
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

// amended is the next commit of the history, and a scan of it in the other project.
func (w *twoWays) amended(content gittest.Files) core.Scan {
	w.t.Helper()
	gittest.Write(w.t, filepath.Join(w.server.Dir, "p.git"), content)
	return core.Scan{
		SourcePlatform: "github", ProjectID: 2, ProjectName: "q", ProjectRef: "2", CommitSHA: w.server.Amend(w.t, "p", "next"),
	}
}

// blocked lets no answer out that is about some of the projects, until it is released.
func (w *twoWays) blocked(projects ...string) (release func()) {
	released := make(chan struct{})
	block := gittest.Proxy(func(writer http.ResponseWriter, request *http.Request, next http.Handler) {
		if slices.ContainsFunc(projects, func(p string) bool { return strings.HasPrefix(request.URL.Path, "/"+p+".git") }) {
			<-released
		}
		next.ServeHTTP(writer, request)
	})
	w.server.Proxy.Store(&block)
	return sync.OnceFunc(func() { close(released) })
}

// asked tells whether git knew something of a report of one finding.
func asked(t *testing.T, git *evidence.Git, scan core.Scan) bool {
	t.Helper()
	report := core.Report{Findings: []core.Finding{{RuleID: "eval", File: "app.js", Line: 2}}}
	git.AddEvidence(t.Context(), scan, map[string]*core.Report{"gitleaks": &report})(nil)
	return report.Findings[0].Snippet != ""
}

// A repository that does not answer keeps no report waiting, and those that come soon afterwards not at all.
func TestAddEvidenceDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newTwoWays(t, storetest.SQLite, "")
	w.commit(gittest.Files{"app.js": function("a")})
	scan := w.amended(gittest.Files{"app.js": function("b") + function("a")})
	defer w.blocked("q")()
	git := w.knowing(evidence.Config{Patience: 300 * time.Millisecond})
	defer git.Close()
	for n, most := range []time.Duration{20 * time.Second, 200 * time.Millisecond} {
		began := time.Now()
		if known, took := asked(t, git, scan), time.Since(began); took > most || known {
			t.Errorf("report %d: took %s, known %t", n, took, known)
		}
	}
}

// That others keep git busy says nothing of a repository: it is asked as soon as there is a place.
func TestAddEvidenceOfABusyHost(t *testing.T) {
	t.Parallel()
	w := newTwoWays(t, storetest.SQLite, "")
	w.commit(gittest.Files{"app.js": function("a")})
	scan := w.amended(gittest.Files{"app.js": function("b") + function("a")})
	slow := scan
	slow.ProjectID, slow.ProjectName, slow.ProjectRef = 1, "p", "1"
	release := w.blocked("p")
	defer release()
	git := w.knowing(evidence.Config{Patience: 4 * time.Second, AtOnce: 1})
	defer git.Close()
	if asked(t, git, slow) || asked(t, git, scan) {
		t.Error("git has answered while it was busy")
	}
	release()
	for deadline := time.Now().Add(30 * time.Second); !asked(t, git, scan); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("git is not asked about a repository that never was silent")
		}
	}
}

// Reports of several categories are one question to git, and each is told of its own files only.
func TestAddEvidenceOfCategories(t *testing.T) {
	t.Parallel()
	w := newTwoWays(t, storetest.SQLite, "")
	w.commit(gittest.Files{"app.js": function("a"), "lib/x.js": function("b")})
	scan := w.amended(gittest.Files{"app.js": function("b") + function("a")})
	git := w.knowing(evidence.Config{Patience: 5 * time.Minute})
	defer git.Close()
	reportOf := func(file string) *core.Report {
		return &core.Report{Findings: []core.Finding{{RuleID: "eval", File: file, Line: 2}, {RuleID: "eval", File: "no/" + path.Base(file) + ".strange", Line: 1}}}
	}
	reports := map[string]*core.Report{"lint": reportOf("app.js"), "lint/web": reportOf("src/lib/x.js"), "lint/empty": {}}
	git.AddEvidence(t.Context(), scan, reports)(nil)
	for job, want := range map[string]string{"lint": "app.js", "lint/web": "lib/x.js"} {
		if got := reports[job].Findings[0]; got.File != want || got.Snippet == "" {
			t.Errorf("%s: %+v, want it in %s with its code", job, got, want)
		}
	}
}

// Nothing goes on after Close, whatever a repository does.
func TestCloseEndsWhatGitIsAsked(t *testing.T) {
	t.Parallel()
	w := newTwoWays(t, storetest.SQLite, "")
	w.commit(gittest.Files{"app.js": function("a")})
	scan := w.amended(gittest.Files{"app.js": function("b") + function("a")})
	release := w.blocked("q")
	git := w.knowing(evidence.Config{Patience: 300 * time.Millisecond})
	if asked(t, git, scan) {
		t.Error("a blocked repository has answered")
	}
	began := time.Now()
	git.Close()
	sandboxtest.WantEmpty(t, w.TempDir)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("closing took %s", took)
	}
	release()
	if asked(t, git, scan) {
		t.Error("git is asked after Close")
	}
}
