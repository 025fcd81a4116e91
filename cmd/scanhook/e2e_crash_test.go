package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/storetest"
)

// kill -9 after a 202: what was acknowledged is there after the restart, and its status is posted.
func TestKillAfterAcknowledging(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for _, kind := range kinds {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				w, sample := setup(t, sandboxConfig{kind: kind, database: e.URL(t)})
				w.release(t)
				w.platform.Fail(fakeforge.Hang(5*time.Second), fakeforge.Hang(5*time.Second))
				first := process(t, w)
				pushTo(t, w, "main", "", sample.Before)
				pushTo(t, w, "main", sample.Before, sample.Head)
				if err := first.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = first.Wait()
				process(t, w)
				finalOf(t, w, sample.Head)
				if refused := w.platform.Refused(); len(refused) > 0 {
					t.Errorf("the platform refused %+v", refused)
				}
			})
		}
	})
}

// SIGTERM ends the process by itself, with nothing half done.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	w.release(t)
	cmd := process(t, w)
	pushTo(t, w, "main", "", sample.Head)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
	process(t, w)
	finalOf(t, w, sample.Head)
}

// SIGHUP, which a closed terminal sends, ends nothing.
func TestHangup(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	w.release(t)
	cmd := process(t, w)
	for range 3 {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)
	stops(t, cmd)
}
