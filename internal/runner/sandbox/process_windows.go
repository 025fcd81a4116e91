package sandbox

import (
	"context"
	"os/exec"
	"syscall"
)

// Windows cannot kill a group of processes: children of a process that was killed end by themselves.

func leadGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }

// Limited sets no limits on Windows; the size of the workspace is bounded all the same.
func Limited(ctx context.Context, _, _ int64, program string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, program, args...)
}
