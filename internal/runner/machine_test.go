package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

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

// Whatever is wrong with the machine, commits wait for it, the log says it once, and it goes on when that is mended.
func TestMachineFaultsAreWaitedFor(t *testing.T) {
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
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Scanner{Command: sh(clean)})
			test.harm(b, t.TempDir())
			first := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
			second := b.accept(t, "acme/other", b.server.commit(t, "acme/other", files{"a": "b\n"}))
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

// What is too large for the machine now holds up nobody else, and ends with the reason when the scan has had its time.
func TestMachineFaultOfOneJob(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	b := newBench(t, Scanner{Command: sh(`[ ! -e large ] || LC_ALL=C cat large >/dev/full || exit 3; ` + clean)})
	large := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"large": "b\n"}))
	b.mustWork(t, true)
	b.waits(t, large, "make room in ")
	small := b.accept(t, "acme/other", b.server.commit(t, "acme/other", files{"a": "b\n"}))
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
	if _, err := b.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if scan, _, _ := b.get(t, large); scan.Status != core.ScanFailed ||
		!strings.Contains(scan.Error, "no result within 1h0m0s: ") || !strings.Contains(scan.Error, "make room in ") {
		t.Errorf("at the deadline: %s, %s", scan.Status, scan.Error)
	}
}

func TestMachineWithoutGit(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "git"), []byte("#!/nowhere/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	for name, dir := range map[string]string{"not installed": t.TempDir(), "cannot be run": broken} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Scanner{Builtin: "gitleaks"})
			reference := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", files{"a": "b\n"}))
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

func TestFaultsOfTheMachine(t *testing.T) {
	t.Parallel()
	plain := errors.New("git said no")
	for name, test := range map[string]struct {
		err  error
		said string
		want string // none when empty
	}{
		"disk":             {fmt.Errorf("writing: %w", syscall.ENOSPC), "", "make room in /work"},
		"quota":            {syscall.EDQUOT, "", "make room in /work"},
		"read-only":        {&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, "", "let Scanhook write to /work"},
		"files":            {syscall.EMFILE, "", "more open files"},
		"fork":             {&os.SyscallError{Syscall: "fork/exec", Err: syscall.EAGAIN}, "", "more memory and processes"},
		"path of a job":    {&os.PathError{Op: "write", Path: "/work/scanhook-job-12/source/a", Err: syscall.ENOSPC}, "", "write source/a: no"},
		"git's disk":       {plain, "fatal: write error: No space left on device\n", "make room in /work"},
		"git's file":       {plain, "error: unable to write file a/b: No space left on device\nfatal: x\n", "make room in /work"},
		"git's quota":      {plain, "fatal: cannot create x: Disk quota exceeded", "make room in /work"},
		"server's disk":    {plain, "remote: fatal: write error: No space left on device\n", ""},
		"name of a file":   {plain, "error: invalid path 'x: No space left on device'\n", ""},
		"scanner's own":    {plain, "Error: config: No such file or directory\n", ""},
		"not found":        {os.ErrNotExist, "", ""},
		"cut":              {io.ErrUnexpectedEOF, "", ""},
		"file too large":   {syscall.EFBIG, "File too large", ""},
		"connection":       {syscall.ECONNREFUSED, "", ""},
		"none of anything": {plain, "", ""},
	} {
		got := faultOf(test.err, "/work")
		if got == nil {
			got = saidFault(test.err, test.said, "/work")
		}
		if (got != nil) != (test.want != "") || got != nil && !strings.Contains(got.Error(), test.want) {
			t.Errorf("%s: want %q, got %v", name, test.want, got)
		}
	}
}
