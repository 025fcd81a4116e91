package runner

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/ai"
	"github.com/scanhook/scanhook/internal/cage"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/evidence"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const token = "glpat-veryverysecret"

// Planted secrets, put together here so that no scanner takes this file for leaky.
var (
	githubToken  = "ghp_" + "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R"
	githubToken2 = "ghp_" + "zY9xW8vU7tS6rQ5pO4nM3lK2jI1hG0fE9dC8"
	apiKey       = "xK92" + "vLq0PmZ7tRw4YcB8nDf6"
)

const (
	oneFinding = `{"findings": [{"rule_id": "no-eval", "file": "app.js", "line": 2, "severity": "high"}]}`
	noFindings = `{"findings": []}`
)

// found and clean are scripts that print a report.
const (
	found = `echo '` + oneFinding + `'`
	clean = `echo '` + noFindings + `'`
)

func sh(script string) []string { return []string{"sh", "-c", script} }

// shOut hands the script the output file as $1.
func shOut(script string) []string { return append(sh(script), "-", "{output}") }

// scan runs a shell script as the scanner "lint" over a checkout.
func scan(t *testing.T, space sandbox.Workspace, timeout time.Duration, argv ...string) (core.Report, error) {
	t.Helper()
	in := confinement{level: cage.Kernel(), space: space}
	return Scanner{Command: argv, Timeout: timeout}.run(t.Context(), "lint", in, nil, secrets.Key{})
}

// bench is a runner with a store, a git server and everything it says.
type bench struct {
	*Runner
	server *gittest.Server
	ahead  atomic.Int64 // how far the store's clock is ahead of ours
	log    *lockedBuffer
}

// newBench makes a runner whose only scanner is called gitleaks, as in the store's test policy.
func newBench(t *testing.T, scanner Scanner) *bench {
	t.Helper()
	return newBenchOn(t, storetest.SQLite, scanner)
}

func newBenchOn(t *testing.T, e storetest.Engine, scanner Scanner) *bench {
	t.Helper()
	b := &bench{server: gittest.NewServer(t), log: &lockedBuffer{}}
	jobs := e.Open(t, store.Config{Now: func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }})
	temp := t.TempDir()
	b.Runner = New(Config{
		Jobs:      jobs,
		Platforms: platforms.Set{"github": platform{server: b.server, authorization: basic(token)}},
		Scanners:  map[string]Scanner{"gitleaks": scanner},
		Mirrors:   mirror.New(mirror.Config{Dir: filepath.Join(t.TempDir(), "mirrors")}),
		TempDir:   temp,
		Worker:    "here",
		Log:       slog.New(slog.NewTextHandler(b.log, nil)),
	})
	t.Cleanup(func() {
		sandboxtest.WantEmpty(t, temp)
		if strings.Contains(b.log.String(), token) || strings.Contains(b.log.String(), basic(token)[6:]) {
			t.Errorf("the credential is in the log:\n%s", b.log)
		}
	})
	return b
}

// accept opens a scan of a commit and returns its reference.
func (b *bench) accept(t *testing.T, project, sha string) string {
	t.Helper()
	return b.acceptAs(t, project, "1", sha)
}

// knowing is git's knowledge of the bench's projects.
func (b *bench) knowing(cfg evidence.Config) *evidence.Git {
	cfg.Jobs, cfg.Platforms, cfg.Mirrors, cfg.TempDir, cfg.Log = b.Jobs, b.Platforms, b.Mirrors, b.TempDir, b.Log
	return evidence.New(cfg)
}

// acceptAs opens a scan of a commit of a project with that number.
func (b *bench) acceptAs(t *testing.T, project, number, sha string) string {
	t.Helper()
	receipt, err := b.Jobs.AcceptCommit(t.Context(), core.Scan{
		SourcePlatform: "github", ProjectName: project, ProjectRef: number, CommitSHA: sha, Branch: "main", DefaultBranch: "main",
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	return receipt.Reference
}

func (b *bench) get(t *testing.T, reference string) (core.Scan, core.Job, []core.Finding) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	scan, err := b.Jobs.GetScan(ctx, reference)
	jobs, jobsErr := b.Jobs.ListJobs(ctx, scan)
	findings, findingsErr := b.Jobs.ListFindings(ctx, scan, store.FindingFilter{Limit: 100})
	if err := errors.Join(err, jobsErr, findingsErr); err != nil || len(jobs) != 1 {
		t.Fatalf("want one job, got %d and %v", len(jobs), err)
	}
	return scan, jobs[0], findings
}

func (b *bench) mustWork(t *testing.T, want bool) {
	t.Helper()
	if worked, err := b.jobs(b.Worker).Once(t.Context()); worked != want || err != nil {
		t.Fatalf("want worked %t, got %t, %v", want, worked, err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// pass lets time pass, so that what waits is tried again.
func (b *bench) pass(d time.Duration) {
	b.ahead.Add(int64(d))
	b.host.probed = time.Time{}
}

// waits expects a job that is pending, with a reason, and a commit that shows it.
func (b *bench) waits(t *testing.T, reference, reason string) {
	t.Helper()
	scan, job, _ := b.get(t, reference)
	if job.State != core.JobPending || job.Failures != 0 || !strings.Contains(job.Error, reason) {
		t.Fatalf("want the job waiting with ...%s..., got %+v", reason, job)
	}
	list, err := b.Jobs.ListStatuses(t.Context(), scan)
	if err != nil || len(list) != 1 || list[0].State != core.StatusPending || !strings.HasPrefix(list[0].Description, "Waiting: gitleaks: ") {
		t.Errorf("want the status to say so, got %+v, %v", list, err)
	}
}

// waiting is a scanner that tells when it has begun and ends when the file go appears.
func waiting(dir string) Scanner {
	script := `touch "$1/begun"; until [ -e "$1/go" ]; do sleep 0.01; done; ` + clean
	return Scanner{Command: append(sh(script), "-", dir), Write: []string{dir}}
}

// begin runs once in the background until the scanner has begun; done delivers once's error.
func (b *bench) begin(ctx context.Context, t *testing.T, dir string) (done chan error) {
	t.Helper()
	done = make(chan error, 1)
	go func() {
		_, err := b.jobs(b.Worker).Once(ctx)
		done <- err
	}()
	for len(glob(dir, "begun")) == 0 {
		select {
		case err := <-done:
			t.Fatalf("the scanner did not begin: %v\n%s", err, b.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return done
}

// there is a worker of another process.
func there(b *bench, term time.Duration) store.Claimant {
	return store.Claimant{Worker: "there", Scanners: b.claimable, Lease: term}
}

func glob(dir, name string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, name))
	return found
}

// platform is one that can only be fetched from.
type platform struct {
	platforms.Platform
	server        *gittest.Server
	authorization string
}

func (p platform) Remote(_ context.Context, project string) (platforms.Remote, error) {
	return platforms.Remote{URL: p.server.URL + "/" + project + ".git", Authorization: p.authorization}, nil
}

// assertGone waits for the end of all processes that were called with an argument: a killed process is gone when its new parent has
// looked after it. In the cage, a process has another number.
func assertGone(t *testing.T, argument string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		if !slices.ContainsFunc(lists, func(list string) bool {
			text, _ := os.ReadFile(list)
			return slices.Contains(strings.Split(string(text), "\x00"), argument)
		}) {
			return
		}
	}
	t.Errorf("the child with %s lives on", argument)
}

// grepper reports each line with eval( in it, without any snippet, as a scanner would that is simple.
var grepper = Scanner{Command: sh(`grep -rn 'eval(' --include=*.js . | awk -F: '
	BEGIN { printf "{\"findings\":[" }
	{ printf "%s", (NR > 1 ? "," : "") }
	{ printf "{\"rule_id\":\"eval\",\"severity\":\"high\",\"message\":\"evil\",\"file\":\"%s\",\"line\":%s}", $1, $2 }
	END { print "]}" }'`)}

// function is code whose second line is found.
func function(name string) string {
	return "function " + name + "(x) {\n  return eval(x)\n}\nvar " + name + "_done = true\n"
}

// printsByNeighbour maps what stands in the line above a finding to its fingerprint.
func printsByNeighbour(t *testing.T, b *bench, reference, source string) map[string]string {
	t.Helper()
	_, _, findings := b.get(t, reference)
	lines := strings.Split(source, "\n")
	prints := map[string]string{}
	for _, f := range findings {
		prints[strings.Join(strings.Fields(lines[f.Line-2]), " ")] = f.Fingerprint
	}
	return prints
}

// mergeBases knows one merge base, after some failures.
type mergeBases struct {
	platform
	base  string
	fails *int
}

func (h mergeBases) MergeBase(_ context.Context, _, branch, _ string) (string, error) {
	if h.fails != nil && *h.fails > 0 {
		*h.fails--
		return "", errors.New("502")
	}
	if branch != "main" || h.base == "" {
		return "", platforms.ErrUnknownCommit
	}
	return h.base, nil
}

// movedTo has its projects under another name.
type movedTo struct {
	platform
	name string
}

func (m movedTo) Remote(ctx context.Context, _ string) (platforms.Remote, error) {
	return m.platform.Remote(ctx, m.name)
}

const aiToken = "sk-test-0123456789"

// oracle is a service that is asked about findings.
type oracle struct {
	asked  atomic.Int64
	prompt atomic.Value // the last one, a string
	answer http.HandlerFunc
}

func (o *oracle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Messages []struct{ Content string } }
	_ = json.NewDecoder(r.Body).Decode(&body)
	o.prompt.Store(body.Messages[1].Content)
	o.asked.Add(1)
	o.answer(w, r)
}

func verdict(verdict, quote string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer, _ := json.Marshal(map[string]any{
			"verdict": verdict, "confidence": 0.95, "reasoning": "because", "evidence": []string{quote}, "patch": nil,
		})
		_ = json.NewEncoder(w).Encode(map[string]any{
			"choices": []any{map[string]any{"message": map[string]any{"content": string(answer)}}},
		})
	}
}

// newReviewed makes a bench whose AI is o, and scans a commit.
func newReviewed(t *testing.T, o *oracle, scanner Scanner, content gittest.Files) (*bench, string) {
	t.Helper()
	return newReviewedWithin(t, time.Minute, o, scanner, content)
}

// newReviewedWithin is newReviewed for an AI that may take so long for an answer.
func newReviewedWithin(t *testing.T, patience time.Duration, o *oracle, scanner Scanner, content gittest.Files) (*bench, string) {
	t.Helper()
	service := httptest.NewServer(o)
	t.Cleanup(service.Close)
	b := newBench(t, scanner)
	b.AI = &AI{
		Client:     ai.New(ai.Config{URL: service.URL, Model: "judge-1", Token: aiToken, Timeout: patience}),
		MayDismiss: true, MaxFindings: 20,
	}
	t.Cleanup(func() {
		for _, secret := range []string{aiToken, githubToken, "because"} {
			if strings.Contains(b.log.String(), secret) {
				t.Errorf("%s is in the log:\n%s", secret, b.log)
			}
		}
	})
	reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", content))
	b.mustWork(t, true)
	return b, reference
}

// mustReview does what waits for the AI.
func (b *bench) mustReview(t *testing.T) {
	t.Helper()
	select {
	case next := <-b.reviews:
		b.review(t.Context(), next)
	default:
		t.Fatal("nothing waits for the AI")
	}
}

// sometimes answers the third, the sixth… question.
func sometimes(bad, good http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 == 0 {
			good(w, r)
			return
		}
		bad(w, r)
	}
}

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2:"+password))
}
