package runner

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// fetchCommit checks sha out into the workspace's source directory, without history, tags, submodules and LFS objects.
// Errors are sentences without the credential; they are passing where another try may help.
func fetchCommit(ctx context.Context, space workspace, remote platforms.Remote, sha string) error {
	if err := fetchable(remote.URL, sha); err != nil {
		return err
	}
	sha = strings.ToLower(sha)
	git := gitRunner{space: space, remote: remote}
	if err := git.run(ctx, "init", "--quiet", "--template=", "--object-format="+objectFormat(sha)); err != nil {
		return fmt.Errorf("preparing the checkout: %w", err)
	}
	err := git.runAuthorized(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
		"--no-auto-maintenance", "--", remote.URL, sha)
	if err != nil {
		return git.explain(ctx, sha, err)
	}
	if err := git.run(ctx, "checkout", "--quiet", "--force", "--detach", sha); err != nil {
		return fmt.Errorf("checking out %s: %w", core.ShortSHA(sha), err)
	}
	return space.fits()
}

// fetchable refuses what git could take for something else than an address on the web and a commit.
func fetchable(address, sha string) error {
	if !core.IsCommitSHA(sha) {
		return fmt.Errorf("%.80q is not a full commit id", sha)
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return errors.New("the project's address is not an http(s) URL: check the url of its platform")
	}
	if parsed.User != nil {
		return errors.New("the project's address holds a user or password: put a token into the platform's token instead")
	}
	return nil
}

func objectFormat(sha string) string {
	if len(sha) == 64 {
		return "sha256"
	}
	return "sha1"
}

// explain makes a sentence of a failed fetch. Git exits alike whatever went wrong, so the difference between a server
// that is out of reach and one that does not hand the commit out is found by asking it something harmless. That proves
// nothing of one that was cut off in the middle: small answers may come while packs do not.
func (g gitRunner) explain(ctx context.Context, sha string, failure error) error {
	if ctx.Err() != nil || errors.Is(failure, exec.ErrNotFound) {
		return failure
	}
	if errors.As(failure, new(cut)) {
		return passing{fmt.Errorf("%s cannot be fetched: it is too slow, or broke off before the end; check how it does and "+
			"that it can be reached from here, through every proxy: %w", g.remote.URL, failure), true}
	}
	if g.runAuthorized(ctx, "ls-remote", "--quiet", "--", g.remote.URL, "HEAD") == nil {
		return passing{fmt.Errorf("%s does not hand out commit %s: it is gone after a force push, holds what git refuses, "+
			"or the server lets no commit be fetched by its id (uploadpack.allowAnySHA1InWant): %w",
			g.remote.URL, core.ShortSHA(sha), failure), false}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return passing{fmt.Errorf("%s cannot be fetched: check that it can be reached from here and that the platform's "+
		"token may read the project: %w", g.remote.URL, failure), isAway(ctx, g.remote)}
}

// passedOn are the variables of our environment that git needs behind proxies and private certificate authorities.
var passedOn = []string{
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// gitEnvironment is all that git gets to see: nothing of the machine's or a user's configuration.
func gitEnvironment(space workspace) []string {
	environment := append(space.environment(),
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ALLOW_PROTOCOL=http:https",
		"GIT_LFS_SKIP_SMUDGE=1",
		"GIT_CEILING_DIRECTORIES="+space.root,
	)
	for _, name := range passedOn {
		if value, set := os.LookupEnv(name); set {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}
