package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestOnceScansACommit(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Builtin: "gitleaks"})
	b.mustWork(t, false)
	sha := b.server.Commit(t, "acme/shop", gittest.Files{"a/b.py": "TOKEN = '" + githubToken + "'\n"})
	reference := b.accept(t, "acme/shop", sha)
	b.mustWork(t, true)
	b.mustWork(t, false)

	scan, job, findings := b.get(t, reference)
	if scan.Status != core.ScanCompleted || *scan.Verdict != core.Fail || job.State != core.JobCompleted {
		t.Errorf("want a completed scan that fails, got %+v, %+v", scan, job)
	}
	if len(findings) != 1 || findings[0].File != "a/b.py" || findings[0].Snippet != "TOKEN = '"+b.key.Mask(githubToken)+"'" {
		t.Errorf("want the token, masked, got %+v", findings)
	}
}

func TestOnceFillsInWhatACommandLeavesOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Command: sh(`echo '` + oneFinding + `'; exit 1`)})
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"app.js": "x\n  eval(y)\n"}))
	b.mustWork(t, true)
	scan, _, findings := b.get(t, reference)
	if scan.Status != core.ScanCompleted || len(findings) != 1 || findings[0].Snippet != "eval(y)" {
		t.Errorf("want the finding with its line, got %+v, %+v", scan, findings)
	}
}

// What a scanner writes, and what gittest.Files are called, is stored on either engine, whatever bytes it is made of.
func TestOnceStoresAnyBytes(t *testing.T) {
	t.Parallel()
	report := `printf '{"findings": [{"rule_id": "a\\u0000\\ud800", "file": "\377.js", "line": 1, "severity": "high", "message": "\377"}]}'`
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for what, test := range map[string]struct {
			scanner  Scanner
			status   core.ScanStatus
			findings int
		}{
			"report":     {Scanner{Command: sh(report)}, core.ScanCompleted, 1},
			"last words": {Scanner{Command: sh(`printf 'a\000b\377' >&2; exit 2`)}, core.ScanFailed, 0},
			"both":       {Scanner{Command: sh(`printf 'a\000b\377' >&2; ` + report + `; kill -9 $$`)}, core.ScanFailed, 1},
			"file names": {Scanner{Builtin: gitleaks.Name}, core.ScanCompleted, 1},
		} {
			b := newBenchOn(t, e, test.scanner)
			reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{
				"a\xff.py": "TOKEN = '" + githubToken + "' # \xff\x00\n", "b": "\x00\n",
			}))
			b.mustWork(t, true)
			scan, job, findings := b.get(t, reference)
			if scan.Status != test.status || len(findings) != test.findings || strings.Contains(job.Error, "could not be stored") {
				t.Errorf("%s: %s with %d findings: %q", what, scan.Status, len(findings), job.Error)
			}
		}
	})
}

func TestOnceFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		scanner Scanner
		change  func(*bench)
		want    string
	}{
		"scanner that fails": {Scanner{Command: sh(`echo broken >&2; exit 2`)}, nil, "it said: broken"},
		"scanner that hangs": {Scanner{Command: sh(`sleep 600`), Timeout: 200e6}, nil, "gitleaks did not end within 200ms"},
		"unknown builtin":    {Scanner{Builtin: "other"}, nil, "neither a command nor a known builtin"},
		"unknown platform":   {Scanner{}, func(b *bench) { b.Platforms = nil }, `no platform called "github"`},
		"disk that is full":  {Scanner{Builtin: gitleaks.Name}, func(b *bench) { b.MaxDisk = 1 }, "of disk"},
		"too many paths":     {Scanner{Builtin: gitleaks.Name}, func(b *bench) { b.Mirrors.MaxPaths = 1 }, "more than 1 paths"},
		"panic":              {Scanner{}, func(b *bench) { b.Platforms["github"] = nil }, "crashed inside Scanhook"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.scanner)
			if test.change != nil {
				test.change(b)
			}
			reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n", "c": "d\n"}))
			b.mustWork(t, true)
			scan, job, _ := b.get(t, reference)
			if scan.Status != core.ScanFailed || !strings.Contains(job.Error, test.want) {
				t.Errorf("want ...%s..., got %s: %s", test.want, scan.Status, job.Error)
			}
		})
	}
}

// Whatever a scanner says ends in the scan's page, the commit's status and the log.
func TestOnceHidesWhatScannersTell(t *testing.T) {
	t.Parallel()
	report := `{"findings": [{"rule_id": "hardcoded-token", "file": "a.py", "line": 1, "severity": "high",
		"message": "sw0rdfish is a token", "snippet": "T = 1 if x == 'sw0rdfish' else 2"},
		{"rule_id": "sql", "file": "a.py", "line": 2, "severity": "high", "message": "query with ` + githubToken + `"}]}`
	tests := map[string]string{
		"words":           `printf '\033[31mdenied:\033[0m ` + githubToken + ` \342\200\256 at https://u:pa55word@git.example.com/\n' >&2; exit 2`,
		"more words":      `printf '%05000d ` + githubToken + `\n' 0 >&2; exit 2`,
		"a broken report": `echo '{"findings": [{"rule_id": "r", "severity": "` + githubToken + `"}]}'`,
		"a report":        "cat <<'END'\n" + report + "\nEND",
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Scanner{Command: sh(script)})
			content := gittest.Files{"a.py": "T = 1 if x == 'sw0rdfish' else 2\nq('" + githubToken + "')\n"}
			reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", content))
			b.mustWork(t, true)
			scan, job, findings := b.get(t, reference)
			statuses, err := b.Jobs.ListStatuses(t.Context(), scan)
			if err != nil {
				t.Fatal(err)
			}
			kept := fmt.Sprintf("%+v %+v %+v %+v %s", scan, job, findings, statuses, b.log)
			for _, secret := range []string{githubToken[4:20], "pa55word", "sw0rdfish", "\x1b", "\u202e"} {
				if strings.Contains(kept, secret) {
					t.Errorf("%q is kept in %s", secret, kept)
				}
			}
		})
	}
}

func TestOnceTriesAFetchAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Builtin: "gitleaks"})
	reference := b.accept(t, "acme/late", strings.Repeat("a", 40))
	for attempt := 1; attempt <= 3; attempt++ {
		b.mustWork(t, true)
		b.mustWork(t, false) // not at once
		if _, job, _ := b.get(t, reference); job.Attempt != attempt || job.State.Ended() != (attempt == 3) {
			t.Fatalf("want attempt %d, got %+v", attempt, job)
		}
		b.ahead.Add(int64(time.Minute))
	}
	if scan, _, _ := b.get(t, reference); !strings.Contains(scan.Error, "may read the project") {
		t.Errorf("want the reason, got %q", scan.Error)
	}
}

// A platform that is out of reach for long is waited for as long as the scan has time.
func TestOnceWaitsForAPlatformThatIsAway(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	b := newBench(t, Scanner{Command: sh(clean)})
	b.server.Look = func(w http.ResponseWriter, _ *http.Request) bool {
		if away.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
		return away.Load()
	}
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
	away.Store(true)
	for range 6 {
		b.mustWork(t, true)
		if scan, job, _ := b.get(t, reference); job.State != core.JobPending || !strings.Contains(job.Error, "can be reached") {
			t.Fatalf("want the job waiting with the reason, got %+v of a scan that is %s", job, scan.Status)
		}
		b.ahead.Add(int64(longestRetryPause))
	}
	away.Store(false)
	b.mustWork(t, true)
	if scan, job, _ := b.get(t, reference); scan.Status != core.ScanCompleted || job.Error != "" {
		t.Errorf("when it is back: %s, %+v", scan.Status, job)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Builtin: "gitleaks"})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Run(ctx)
	}()
	var references []string
	for _, project := range []string{"a", "b", "c"} {
		references = append(references, b.accept(t, project, b.server.Commit(t, project, gittest.Files{"a": project})))
	}
	for _, reference := range references {
		for {
			changed := b.Jobs.Changed().Listen()
			if scan, _, _ := b.get(t, reference); scan.Status == core.ScanCompleted {
				break
			}
			<-changed
		}
	}
	stop()
	<-ended
}

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

// After an outage of the database, other workers get the time to extend their leases.
func TestNoWorkerCountsAsDeadAfterAnOutage(t *testing.T) {
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
				SourcePlatform: "github", ProjectName: "p", ProjectRef: "1", CommitSHA: b.server.Amend(t, "p", "branch"),
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
	b.Mirrors = mirror.New(mirror.Config{Dir: t.TempDir()}) // which has never seen the baseline
	reference := b.accept(t, "p", sha)
	b.mustWork(t, true)
	if scan, _, _ := b.get(t, reference); scan.Summary != "0 new, 1 unresolved, 1 known" {
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
	shown := "package a\nfunc A() {}\nvar t = \"" + b.key.Mask(githubToken) + "\""
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

// Installations that call different platforms by the same name may share a cache, but no mirrors.
func TestMirrorsBelongToAHost(t *testing.T) {
	t.Parallel()
	keyOf := func(platform, ref, address string) string {
		scan := core.Scan{SourcePlatform: platform, ProjectRef: ref, ProjectName: "Acme/Shop"}
		return mirror.ProjectOf(scan, platforms.Remote{URL: address}).Key
	}
	one := keyOf("gitlab", "7", "https://one.example/acme/shop.git")
	for _, other := range []string{
		keyOf("gitlab", "7", "https://two.example/acme/shop.git"), keyOf("gitlab", "7", "https://one.example:8443/acme/shop.git"),
		keyOf("gitea", "7", "https://one.example/acme/shop.git"), keyOf("gitlab", "", "https://one.example/acme/shop.git"),
	} {
		if one == other {
			t.Errorf("want mirrors of their own, got %q twice", one)
		}
	}
	if keyOf("gitlab", "7", "https://one.example/a/acme/shop.git") == keyOf("gitlab", "7", "https://one.example/b/acme/shop.git") {
		t.Error("want mirrors of their own for two installations of one host")
	}
	if renamed := keyOf("gitlab", "7", "https://ONE.example/acme/store.git"); renamed != one {
		t.Errorf("want the mirror kept when the project is renamed, got %q and %q", one, renamed)
	}
}
