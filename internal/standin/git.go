package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// gitCommand prepares git with nothing of the machine's or the user's configuration, so that the stand-in behaves the
// same everywhere and a hostile repository cannot make it run anything.
func gitCommand(ctx context.Context, args ...string) *exec.Cmd {
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

// git runs git in dir and returns what it printed without the line end. Errors carry git's own words.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	return output(gitCommand(ctx, append([]string{"-C", dir}, args...)...))
}

func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("git is not installed; install it and try again: %w", err)
	case err != nil:
		return "", fmt.Errorf("running git: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// gitFails tells whether git itself ran and said no, as opposed to not having run at all.
func gitFails(err error) bool { return exitCode(err) > 0 }

// exitCode is the status that git ended with; 0 when it went well or did not run, -1 when it was killed.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
