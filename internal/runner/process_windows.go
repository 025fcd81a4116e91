package runner

import (
	"context"
	"os/exec"
	"syscall"
)

// Windows ends no group of processes at once: children of a process that was stopped end by themselves.

func leadGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }

// limited has no limits to set here; what is laid out is watched and counted all the same.
func limited(ctx context.Context, _, _ int64, program string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, program, args...)
}
