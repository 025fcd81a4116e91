package runner

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// The lease is watched in real time, because the scanner is a real process.
func TestOnceKeepsItsLease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBench(t, waiting(dir))
	b.Lease = 5 * time.Second
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
	done := b.begin(t.Context(), t, dir)
	for began := time.Now(); time.Since(began) < 2*b.Lease; time.Sleep(b.Lease / 10) {
		if job, _, err := b.Jobs.ClaimJob(t.Context(), there(b, time.Minute)); !errors.Is(err, core.ErrNotFound) {
			t.Fatalf("want nothing to claim, got %+v, %v", job, err)
		}
	}
	gittest.Write(t, dir, gittest.Files{"go": ""})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, job, _ := b.get(t, reference); job.State != core.JobCompleted || job.Attempt != 1 {
		t.Errorf("want a job done at the first attempt, got %+v", job)
	}
}

func TestOnceDropsAJobThatWasHandedOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBench(t, waiting(dir))
	b.Lease = 60 * time.Millisecond
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
	done := b.begin(t.Context(), t, dir)
	b.ahead.Add(int64(time.Hour / 2))
	for claimed := false; !claimed; {
		_, _, err := b.Jobs.ClaimJob(t.Context(), there(b, time.Hour))
		claimed = err == nil
		b.ahead.Add(int64(time.Minute))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, job, _ := b.get(t, reference); job.State != core.JobRunning || job.Worker != "there" {
		t.Errorf("want the other worker's job untouched, got %+v", job)
	}
	if !strings.Contains(b.log.String(), "level=INFO msg=\"job dropped") {
		t.Errorf("want a word in the log, got %s", b.log)
	}
}

func TestRunGivesItsJobBackWhenItStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBench(t, waiting(dir))
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
	ctx, stop := context.WithCancel(t.Context())
	done := b.begin(ctx, t, dir)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, job, _ := b.get(t, reference); job.State != core.JobPending || job.Lapses != 0 {
		t.Errorf("want the job back, and nobody dead, got %+v", job)
	}
}

// While the database was away nobody could extend a lease: who finds it back leaves the others the time to do so.
func TestNobodyIsTakenForDeadAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Command: sh(clean)})
	b.Lease = 300 * time.Millisecond
	b.database = lease.NewAvailability(b.Lease, false)
	b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
	if _, _, err := b.Jobs.ClaimJob(t.Context(), there(b, time.Minute)); err != nil {
		t.Fatal(err)
	}
	b.ahead.Add(int64(2 * time.Minute))
	_ = b.database.Observe(t.Context(), func(context.Context) error { return core.ErrUnavailable })
	time.Sleep(b.Lease / 2)
	b.mustWork(t, false)
	time.Sleep(b.Lease)
	b.mustWork(t, true)
}

// A report that the store can never take ends its job at once: the next scan would make the same one.
func TestReportThatCannotBeStored(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Command: sh(clean)})
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
	job, scan, err := b.Jobs.ClaimJob(t.Context(), there(b, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	report := core.Report{Findings: []core.Finding{{RuleID: "r", File: "a", Severity: "unheard of"}}}
	if err := b.settle(t.Context(), &task{job: job, scan: scan}, outcome{report: report}); err == nil {
		t.Error("want the error of the store")
	}
	if scan, job, _ := b.get(t, reference); job.State != core.JobFailed || !strings.Contains(scan.Error, "could not be stored") {
		t.Errorf("want the job failed with the reason, got %s: %s", job.State, scan.Error)
	}
}

func TestFindingsAreRecognisedInTheNextCommit(t *testing.T) {
	t.Parallel()
	const from, to = "function a(x) {", "function b(x) {"
	before := function("a") + function("b")
	tests := map[string]struct {
		file, source string
		fresh        int
	}{
		"nothing":                {"app.js", before, 0},
		"lines moved":            {"app.js", "// one\n// two\n" + before, 0},
		"an equal line above":    {"app.js", function("c") + before, 1},
		"functions swapped":      {"app.js", function("b") + function("a"), 0},
		"re-indented":            {"app.js", strings.ReplaceAll(before, "\n", "\n\t"), 0},
		"renamed":                {"lib/eval.js", before, 0},
		"renamed, and added to":  {"lib/eval.js", function("c") + before, 1},
		"the line around edited": {"app.js", strings.ReplaceAll(before, "_done = true", "_finished = 1"), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, grepper)
			first := b.server.Commit(t, "p", gittest.Files{"app.js": before, "other.txt": "x\n"})
			old := b.accept(t, "p", first)
			b.mustWork(t, true)
			dir := filepath.Join(b.server.Dir, "p.git")
			gittest.Git(t, dir, "rm", "--quiet", "app.js")
			gittest.Write(t, dir, gittest.Files{test.file: test.source})
			next := b.accept(t, "p", b.server.Amend(t, "p", "second"))
			b.mustWork(t, true)

			was, is := printsByNeighbour(t, b, old, before), printsByNeighbour(t, b, next, test.source)
			for _, neighbour := range []string{from, to} {
				if was[neighbour] != is[neighbour] || is[neighbour] == "" {
					t.Errorf("%q: want fingerprint %s, got %s", neighbour, was[neighbour], is[neighbour])
				}
			}
			if scan, job, _ := b.get(t, next); job.NumFindings != 2+test.fresh || job.NumAbsent != 0 {
				t.Errorf("want %d findings and none gone, got %+v: %s", 2+test.fresh, job, scan.Summary)
			}
		})
	}
}

func TestBranchIsComparedWithItsMergeBase(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"where it is known": true, "else with the default branch": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, grepper)
			base := b.server.Commit(t, "p", gittest.Files{"a.js": function("a")})
			b.accept(t, "p", base)
			b.mustWork(t, true)
			gittest.Write(t, filepath.Join(b.server.Dir, "p.git"), gittest.Files{"b.js": function("b")})
			tip := b.server.Amend(t, "p", "only on main")
			b.accept(t, "p", tip)
			b.mustWork(t, true)
			forked := mergeBases{platform: b.Platforms["github"].(platform)}
			want := tip
			if known {
				forked.base, want = base, base
			}
			b.Platforms["github"] = forked
			receipt, err := b.Jobs.AcceptCommit(t.Context(), core.Scan{
				SourcePlatform: "github", ProjectName: "p", CommitSHA: b.server.Amend(t, "p", "branch"),
				Branch: "feature", DefaultBranch: "main",
			}, "")
			if err != nil {
				t.Fatal(err)
			}
			b.mustWork(t, true)
			scan, _, _ := b.get(t, receipt.Reference)
			got, err := b.Jobs.BaselineCommit(t.Context(), scan)
			if got != want || err != nil {
				t.Errorf("want to be compared with %s, got %s (%s), %v", want, got, scan.Summary, err)
			}
		})
	}
}

func TestChangesAreAnAidOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, grepper)
	b.accept(t, "p", b.server.Commit(t, "p", gittest.Files{"a.js": function("a")}))
	b.mustWork(t, true)
	gone := gittest.NewServer(t, func(w http.ResponseWriter, _ *http.Request) bool { return false })
	sha := gone.Commit(t, "p", gittest.Files{"a.js": "\n\n" + function("a")})
	b.Platforms["github"] = platform{server: gone}
	reference := b.accept(t, "p", sha)
	b.mustWork(t, true)
	if scan, _, _ := b.get(t, reference); scan.Summary != "0 new, 1 known" {
		t.Errorf("want the finding to be known though its baseline cannot be fetched, got %+v", scan)
	}
	if !strings.Contains(b.log.String(), "baseline not compared line by line") {
		t.Errorf("want the log to tell, got:\n%s", b.log)
	}
}

// The code of what is new is kept with it, and not that of what was there before.
func TestCodeIsKeptOfNewFindings(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Command: sh(`cat results.json`)})
	first := b.server.Commit(t, "acme/shop", gittest.Files{
		"results.json": `[{"tool": "lint", "rule_id": "r", "file": "a.go", "line": 2, "severity": "low"}]`,
		"a.go":         "package a\nfunc A() {}\nvar t = \"" + githubToken + "\"\n",
	})
	reference := b.accept(t, "acme/shop", first)
	b.mustWork(t, true)
	_, _, known := b.get(t, reference)
	shown := "package a\nfunc A() {}\nvar t = \"" + secrets.Mask(githubToken) + "\""
	if len(known) != 1 || known[0].CodeLine != 1 || known[0].Code != shown {
		t.Errorf("the first scan: %+v", known)
	}
	gittest.Write(t, b.server.Dir+"/acme/shop.git", gittest.Files{
		"results.json": `[{"tool": "lint", "rule_id": "r", "file": "a.go", "line": 2, "severity": "low"},
			{"tool": "lint", "rule_id": "q", "file": "a.go", "line": 1, "severity": "high"}]`,
	})
	reference = b.accept(t, "acme/shop", b.server.Amend(t, "acme/shop", "second"))
	b.mustWork(t, true)
	_, _, found := b.get(t, reference)
	if len(found) != 2 || found[0].Code == "" || found[0].BaselineState != core.New || found[1].Code != "" {
		t.Errorf("the second scan: %+v", found)
	}
}
