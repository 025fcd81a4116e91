package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/store/storetest"
)

// A machine that boots starts its database and Scanhook in any order.
func TestServeWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	wire := storetest.NewWire(t)
	w, sample := setup(t, sandboxConfig{kind: "github", database: wire.URL})
	w.release(t)
	time.AfterFunc(3*time.Second, func() { wire.Connect(t) })
	process(t, w)
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)
}

// A database that takes everything and answers nothing: calls are refused before the platform hangs up, all goes on at
// once when it answers again, and Scanhook can be stopped meanwhile.
func TestFrozenDatabase(t *testing.T) {
	t.Parallel()
	wire := storetest.NewWire(t)
	wire.Connect(t)
	w, sample := setup(t, sandboxConfig{kind: "github", database: wire.URL})
	w.release(t)
	cmd := process(t, w)
	pushTo(t, w, "main", "", sample.Before)
	finalOf(t, w, sample.Before)

	wire.Freeze()
	for range 2 {
		refuses(t, w)
	}
	wire.Thaw()
	began := time.Now()
	pushTo(t, w, "main", sample.Before, sample.Head)
	t.Logf("accepts again %s after the thaw", time.Since(began))
	finalOf(t, w, sample.Head)

	wire.Freeze()
	defer wire.Thaw()
	time.Sleep(time.Second) // loops are asking
	stops(t, cmd)
}

// refuses lets many pushes call at once, and wants each refused; the log tells whether that was before a platform would
// have hung up.
func refuses(t *testing.T, w *sandbox) {
	t.Helper()
	began := time.Now()
	var calls sync.WaitGroup
	for range 30 {
		calls.Go(func() {
			push := ordinary(t, w)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.hookURL(), bytes.NewReader(push.Body))
			if err != nil {
				t.Error(err)
				return
			}
			request.Header = push.Header
			if got := answerWithin(request, patience); got != "503" {
				t.Errorf("answered %s", got)
			}
		})
	}
	calls.Wait()
	t.Logf("refused after %s", time.Since(began))
}

// stops wants a process to end when it is told to.
func stops(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	began := time.Now()
	_ = cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	defer kill.Stop()
	err := cmd.Wait()
	t.Logf("stopped after %s: %v", time.Since(began), err)
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() != exitFailed {
		t.Errorf("had to be killed: %v", err)
	}
}
