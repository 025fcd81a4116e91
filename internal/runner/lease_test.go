package runner

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/store"
)

// waiting is a scanner that tells when it has begun and ends when the file go appears.
func waiting(dir string) Scanner {
	script := `touch "$1/begun"; until [ -e "$1/go" ]; do sleep 0.01; done; ` + clean
	return Scanner{Command: append(sh(script), "-", dir)}
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

func glob(dir, name string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, name))
	return found
}

// there is a worker of another process.
func there(b *bench, term time.Duration) store.Claimant {
	return store.Claimant{Worker: "there", Scanners: b.claimable, Lease: term}
}

// The lease is watched in real time, because the scanner is a real process.
func TestOnceKeepsItsLease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBench(t, waiting(dir))
	b.Lease = 5 * time.Second
	reference := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
	done := b.begin(t.Context(), t, dir)
	for began := time.Now(); time.Since(began) < 2*b.Lease; time.Sleep(b.Lease / 10) {
		if job, _, err := b.Jobs.ClaimJob(t.Context(), there(b, time.Minute)); !errors.Is(err, core.ErrNotFound) {
			t.Fatalf("want nothing to claim, got %+v, %v", job, err)
		}
	}
	write(t, dir, files{"go": ""})
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
	reference := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
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
	reference := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
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
	b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
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
	reference := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
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
