package remote

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
)

// Commit says which commit a command is about.
type Commit struct {
	Platform  string // key in the server's configuration
	Project   string // full path
	SHA       string // full
	Branch    string // short; empty when unknown
	ProjectID string // the platform's numeric id; empty when unknown
}

// complete fills what is empty from the variables of the CI system, else the commit from git.
func (c *Commit) complete(ctx context.Context, env Env, ci CI) (err error) {
	if found, ok := ci(env.get); ok {
		if found.Err != nil && c.SHA == "" {
			return cli.WrongUse("%w; give it with --commit", found.Err)
		}
		if c.Project == "" { // otherwise the id may be that of another one
			c.ProjectID = cmp.Or(c.ProjectID, found.ProjectID)
		}
		*c = Commit{
			ProjectID: c.ProjectID, Platform: cmp.Or(c.Platform, found.Platform), Project: cmp.Or(c.Project, found.Project),
			SHA: cmp.Or(c.SHA, found.SHA), Branch: cmp.Or(c.Branch, found.Branch),
		}
	}
	if c.SHA == "" {
		if c.SHA, err = headCommit(ctx); err != nil {
			return err
		}
	}
	switch {
	case c.Platform == "":
		return cli.WrongUse("the platform is not known here: give its key in Scanhook's configuration with --platform")
	case c.Project == "":
		return cli.WrongUse("the project is not known here: give its full path, such as acme/shop, with --project")
	case !core.IsCommitSHA(c.SHA):
		return cli.WrongUse("--commit must be a full commit id of 40 or 64 hexadecimal digits, not %q", c.SHA)
	}
	return nil
}

// gitTimeout bounds a question to git that it answers from one file.
const gitTimeout = 10 * time.Second

// CheckoutRoot is the root of the checkout that the working directory is in, by which a report may name its files; empty where that is
// not known.
func CheckoutRoot(ctx context.Context) string {
	out, _ := askGit(ctx, "rev-parse", "--show-toplevel")
	return out
}

// headCommit is the commit that is checked out in the working directory. The directory may belong to another user, as
// in most containers; the question runs nothing of it.
func headCommit(ctx context.Context) (string, error) {
	out, err := askGit(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", cli.WrongUse("the commit is not known, and git is not installed to ask: give it with --commit")
	case err != nil:
		return "", cli.WrongUse("the commit is not known: run this inside the git repository, or give it with --commit")
	}
	return out, nil
}

func askGit(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*"}, args...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}
