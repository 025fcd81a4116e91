package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
)

// Commits wait for a fault of the host, which is logged once, and are scanned when it is repaired.
func TestHostFaultsAreWaitedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm, mend func(b *bench, dir string)
		reason     string
	}{
		"no directory": {
			func(b *bench, dir string) { b.TempDir = filepath.Join(dir, "none") },
			func(b *bench, _ string) { _ = os.Mkdir(b.TempDir, 0o700) }, "make the directory ",
		},
		"a file for a directory": {
			func(b *bench, dir string) {
				b.TempDir = filepath.Join(dir, "file")
				_ = os.WriteFile(b.TempDir, nil, 0o600)
			},
			func(b *bench, _ string) { _ = os.Remove(b.TempDir); _ = os.Mkdir(b.TempDir, 0o700) }, "let Scanhook write to ",
		},
		"a file for the mirrors": {
			func(b *bench, dir string) {
				b.Mirrors.Dir = filepath.Join(dir, "file")
				_ = os.WriteFile(b.Mirrors.Dir, nil, 0o600)
			},
			func(b *bench, _ string) { _ = os.Remove(b.Mirrors.Dir) }, "or let runner.cache name a directory where it may",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Scanner{Builtin: gitleaks.Name})
			test.harm(b, t.TempDir())
			first := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
			second := b.accept(t, "acme/other", b.server.Commit(t, "acme/other", gittest.Files{"a": "b\n"}))
			b.mustWork(t, true)
			b.waits(t, first, test.reason)
			for range 8 {
				b.mustWork(t, false)
				b.pass(time.Minute)
			}
			if _, err := b.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.waits(t, second, test.reason)
			if _, job, _ := b.get(t, second); job.Attempt != 0 {
				t.Errorf("want the other job not begun, got %+v", job)
			}
			test.mend(b, "")
			for range 2 {
				b.mustWork(t, true)
			}
			for _, reference := range []string{first, second} {
				if scan, job, _ := b.get(t, reference); scan.Status != core.ScanCompleted || job.Error != "" {
					t.Errorf("when it is mended: %s, %+v", scan.Status, job)
				}
			}
			for text, want := range map[string]int{"level=ERROR": 1, "level=WARN": 0, "can work again": 1} {
				if n := strings.Count(b.log.String(), text); n != want {
					t.Errorf("want %q in the log %d times, got %d:\n%s", text, want, n, b.log)
				}
			}
		})
	}
}

// A job that is too large for the host now holds up no other, and fails with the reason at the deadline of the scan.
func TestHostFaultOfOneJob(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	b := newBench(t, Scanner{Command: sh(`[ ! -e large ] || LC_ALL=C cat large >/dev/full || exit 3; ` + clean)})
	large := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"large": "b\n"}))
	b.mustWork(t, true)
	b.waits(t, large, "make room in ")
	small := b.accept(t, "acme/other", b.server.Commit(t, "acme/other", gittest.Files{"a": "b\n"}))
	b.mustWork(t, true)
	if scan, _, _ := b.get(t, small); scan.Status != core.ScanCompleted {
		t.Errorf("the other scan is %s", scan.Status)
	}
	for range 10 {
		b.pass(longestRetryPause)
		b.mustWork(t, true)
		b.waits(t, large, "make room in ")
	}
	b.pass(time.Hour)
	if _, err := b.endOverdue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if scan, _, _ := b.get(t, large); scan.Status != core.ScanFailed ||
		!strings.Contains(scan.Error, "no result within 1h0m0s: ") || !strings.Contains(scan.Error, "make room in ") {
		t.Errorf("at the deadline: %s, %s", scan.Status, scan.Error)
	}
}

func TestHostWithoutGit(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "git"), []byte("#!/nowhere/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	for name, dir := range map[string]string{"not installed": t.TempDir(), "cannot be run": broken} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Scanner{Builtin: "gitleaks"})
			reference := b.accept(t, "acme/shop", b.server.Commit(t, "acme/shop", gittest.Files{"a": "b\n"}))
			t.Setenv("PATH", dir)
			b.mustWork(t, true)
			b.waits(t, reference, name)
			b.pass(longestRetryPause)
			b.mustWork(t, false)
			t.Setenv("PATH", path)
			b.pass(longestRetryPause)
			b.mustWork(t, true)
			if scan, _, _ := b.get(t, reference); scan.Status != core.ScanCompleted {
				t.Errorf("with git: %s, %s", scan.Status, scan.Error)
			}
		})
	}
}
