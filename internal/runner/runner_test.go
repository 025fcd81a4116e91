package runner

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
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
	if len(findings) != 1 || findings[0].File != "a/b.py" || findings[0].Snippet != "TOKEN = '"+secrets.Mask(githubToken)+"'" {
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
		"disk that is full":  {Scanner{}, func(b *bench) { b.MaxDisk = 1 }, "of disk"},
		"too many paths":     {Scanner{}, func(b *bench) { b.MaxPaths = 1 }, "more than 1 paths"},
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
