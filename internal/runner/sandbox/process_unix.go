//go:build unix

package sandbox

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
)

func leadGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// limits is a shell script: it bounds the memory of a program and its children, in KiB, and the size of files, in blocks of
// 512 bytes. A lower limit that holds already stays.
const limits = `ulimit -d "$1" 2>/dev/null; ulimit -f "$2" 2>/dev/null; shift 2; exec "$@"`

// Limited returns the command of a program that may use so many bytes of memory, and make files of so many.
func Limited(ctx context.Context, memory, file int64, program string, args []string) *exec.Cmd {
	script := []string{"-c", limits, "sh", fmt.Sprint(memory >> 10), fmt.Sprint(file >> 9), program}
	return exec.CommandContext(ctx, "/bin/sh", append(script, args...)...)
}
