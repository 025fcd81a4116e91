//go:build !linux

package cage

import (
	"context"
	"io"
	"runtime"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// Kernel is what the system gives.
func Kernel() Level { return Level{System: runtime.GOOS} }

// Execute has nothing but a process group and the limits that a shell can set. The error tells that the program could not be run.
func (Level) Execute(ctx context.Context, spec Spec, argv []string, stdout, stderr io.Writer) (Result, error) {
	spec = spec.withDefaults()
	cmd := sandbox.Limited(ctx, spec.Memory, spec.File, argv[0], argv[1:])
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = spec.Dir, spec.Env, stdout, stderr
	err := sandbox.RunGroup(cmd)
	switch {
	case err != nil && !sandbox.Exited(err):
		return Result{}, err
	case cmd.ProcessState.ExitCode() < 0:
		return Result{Signal: "killed"}, nil
	}
	return Result{Code: cmd.ProcessState.ExitCode()}, nil
}
