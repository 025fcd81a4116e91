package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/storetest"
)

// process starts `scanhook serve` as a process of its own and waits until it answers.
func process(t *testing.T, w *sandbox) *exec.Cmd { return processOf(t, w, os.Args[0]) }

func processOf(t *testing.T, w *sandbox, program string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(w.yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "--config", file)
	cmd.Env = append(os.Environ(), beMain+"=1")
	for name, value := range w.secrets {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = &testWriter{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get(w.scanhook + "/readyz"); err == nil {
			_ = response.Body.Close()
			return cmd
		}
	}
	t.Fatal("scanhook serve did not come up")
	return nil
}

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

// release frees Scanhook's address for a process.
func (w *sandbox) release(t *testing.T) {
	t.Helper()
	if err := w.listeners[len(w.listeners)-1].Close(); err != nil {
		t.Fatal(err)
	}
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
