package runner

import (
	"os/exec"
	"syscall"
)

// Windows ends no group of processes at once: children of a process that was stopped end by themselves.

func leadGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
