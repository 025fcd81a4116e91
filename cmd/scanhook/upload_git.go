package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"
)

// gitTimeout bounds a question to git that it answers from one file.
const gitTimeout = 10 * time.Second

// headCommit is the commit that is checked out in the working directory. The directory may belong to another user, as
// in most containers; the question runs nothing of it.
func headCommit(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", wrongUpload("the commit is not known, and git is not installed to ask: give it with --commit")
	case err != nil:
		return "", wrongUpload("the commit is not known: run this inside the git repository, or give it with --commit")
	}
	return strings.TrimSpace(string(out)), nil
}
