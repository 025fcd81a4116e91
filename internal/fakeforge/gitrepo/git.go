// Package gitrepo reads git repositories on disk, which may be hostile: git runs without any configuration and within bounds.
// It also makes the sample repository.
package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// The bounds of one git command that only reads. A hostile repository, such as a tree that names itself many times over,
// exceeds them.
const (
	timeout   = 30 * time.Second
	maxOutput = 64 << 20 // bytes
)

// Command prepares git without the machine's and the user's configuration, so that it behaves the same everywhere and
// a hostile repository cannot make it run anything.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	hardened := []string{
		"-c", "core.hooksPath=/dev/null",
		"-c", "core.fsmonitor=false",
		"-c", "safe.directory=*", // the repository at PATH may belong to another user: it is only read
	}
	cmd := exec.CommandContext(ctx, "git", append(hardened, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=/nonexistent",
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1",     // a partial clone must not call its origin
		"GIT_ALLOW_PROTOCOL=none", // the same for git older than 2.44
	}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Dir is the path of a repository, bare or not.
type Dir string

// Output runs git and returns what it printed, without the line end. Errors carry git's own message; they are
// core.ErrInvalid where the repository exceeds the bounds.
func (d Dir) Output(ctx context.Context, args ...string) (string, error) {
	text, cut, err := d.OutputUpTo(ctx, maxOutput, args...)
	if cut {
		return "", fmt.Errorf("%w: git %s prints more than %d MiB: the repository is too large for the fake forge",
			core.ErrInvalid, args[0], maxOutput>>20)
	}
	return strings.TrimSuffix(text, "\n"), err
}

// OutputUpTo returns the first limit bytes of what git prints, and whether there was more.
func (d Dir) OutputUpTo(ctx context.Context, limit int, args ...string) (text string, cut bool, err error) {
	slow := fmt.Errorf("%w: git %s takes longer than %s: the repository is too large for the fake forge",
		core.ErrInvalid, args[0], timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, slow)
	defer cancel()
	out := prefix{limit: limit}
	cmd := Command(ctx, append([]string{"-C", string(d)}, args...)...)
	cmd.Stdout = &out
	err = run(cmd)
	switch {
	case out.cut:
		return out.text.String(), true, nil
	case ctx.Err() != nil:
		return "", false, context.Cause(ctx)
	}
	return out.text.String(), false, err
}

// prefix keeps the first limit bytes. Its error for further ones ends the command that writes them.
type prefix struct {
	text  bytes.Buffer
	limit int
	cut   bool
}

func (p *prefix) Write(text []byte) (int, error) {
	left := p.limit - p.text.Len()
	if len(text) <= left {
		return p.text.Write(text)
	}
	p.cut = true
	p.text.Write(text[:left])
	return left, errors.New("the output is too long")
}

// run runs a git command to its end. The error has what git wrote to its standard error.
func run(cmd *exec.Cmd) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("git is not installed; install it and try again: %w", err)
	case err != nil:
		return fmt.Errorf("running git: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// Failed tells whether git itself ran and failed, as opposed to not having run at all.
func Failed(err error) bool { return ExitCode(err) > 0 }

// ExitCode is the status that git ended with; 0 when it succeeded or did not run, -1 when it was killed.
func ExitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
