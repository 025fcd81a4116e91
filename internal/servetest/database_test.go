//go:build linux

package servetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A server that makes processes all the time loses those as well that it makes while it is being crashed.
func TestCrashLeavesNoProcess(t *testing.T) {
	t.Parallel()
	leader := exec.Command("sh", "-c", `while :; do sleep 60 & sleep 0.001; done`)
	leader.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	group := leader.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
	server := &Postgres{Dir: t.TempDir()}
	if err := os.Mkdir(server.Data(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.Data(), "postmaster.pid"), []byte(strconv.Itoa(group)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for len(childrenOf(group)) < 5 {
		time.Sleep(time.Millisecond)
	}
	if err := server.Crash(); err != nil {
		t.Fatal(err)
	}
	_ = leader.Wait()
	for range 100 {
		if len(livingIn(group)) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d processes outlive the server", len(livingIn(group)))
}

// livingIn lists the processes of a group that have not ended.
func livingIn(group int) []int {
	return slices.DeleteFunc(Processes(), func(pid int) bool {
		s := StatOf(pid)
		return s.Group != group || s.State == "Z"
	})
}
