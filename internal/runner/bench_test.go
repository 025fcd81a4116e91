package runner

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// bench is a runner with a store, a git server and everything it says.
type bench struct {
	*Runner
	server *gitServer
	ahead  atomic.Int64 // how far the store's clock is ahead of ours
	log    *lockedBuffer
}

// newBench makes a runner whose only scanner is called gitleaks, as in the store's test policy.
func newBench(t *testing.T, scanner Scanner) *bench {
	t.Helper()
	return newBenchOn(t, storetest.Engines[0], scanner)
}

func newBenchOn(t *testing.T, e storetest.Engine, scanner Scanner) *bench {
	t.Helper()
	b := &bench{server: newGitServer(t), log: &lockedBuffer{}}
	jobs := e.Open(t, store.Config{Now: func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }})
	temp := t.TempDir()
	b.Runner = New(Config{
		Jobs:      jobs,
		Platforms: platforms.Set{"github": platform{server: b.server, authorization: basic(token)}},
		Scanners:  map[string]Scanner{"gitleaks": scanner},
		TempDir:   temp,
		Worker:    "here",
		Log:       slog.New(slog.NewTextHandler(b.log, nil)),
	})
	t.Cleanup(func() {
		assertEmpty(t, temp)
		if strings.Contains(b.log.String(), token) || strings.Contains(b.log.String(), basic(token)[6:]) {
			t.Errorf("the credential is in the log:\n%s", b.log)
		}
	})
	return b
}

// accept opens a scan of a commit and returns its reference.
func (b *bench) accept(t *testing.T, project, sha string) string {
	t.Helper()
	receipt, err := b.Jobs.AcceptCommit(t.Context(), core.Scan{
		SourcePlatform: "github", ProjectName: project, CommitSHA: sha, Branch: "main", DefaultBranch: "main",
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
