package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// fetchCommit checks sha out into the workspace's source directory, without history, tags, submodules and LFS objects.
// Errors are sentences without the credential; they are retryable where another try may help.
func fetchCommit(ctx context.Context, space workspace, remote platforms.Remote, sha string) error {
	if err := fetchable(remote.URL, sha); err != nil {
		return err
	}
	sha = strings.ToLower(sha)
	git := gitRunner{space: space, remote: remote}
	if err := git.run(ctx, "init", "--quiet", "--template=", "--object-format="+objectFormat(sha)); err != nil {
		return fmt.Errorf("preparing the checkout: %w", err)
	}
	if err := git.neutralizeAttributes(); err != nil {
		return fmt.Errorf("preparing the checkout: %w", err)
	}
	err := git.runAuthorized(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
		"--no-auto-maintenance", "--", remote.URL, sha)
	if err != nil {
		return git.explain(ctx, sha, err)
	}
	if err := git.countPaths(ctx, sha); err != nil {
		return fmt.Errorf("checking out %s: %w", core.ShortSHA(sha), err)
	}
	if err := git.run(ctx, "checkout", "--quiet", "--force", "--detach", sha); err != nil {
		return fmt.Errorf("checking out %s: %w", core.ShortSHA(sha), err)
	}
	return space.fits()
}

// attributes beat every .gitattributes of a commit: its files are laid out and compared as they are, whatever it wishes.
// An encoding has no "none", so that it is unspecified.
const attributes = "* -text -crlf !eol -ident !filter !working-tree-encoding !diff !merge\n"

func (g gitRunner) neutralizeAttributes() error {
	dir := filepath.Join(g.space.source, ".git", "info")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "attributes"), []byte(attributes), 0o600)
}

// countPaths refuses a commit with more paths than may be laid out, before git holds them all in memory: a dozen objects
// can name more than any disk has room for. Directories count, for empty ones can be as many.
func (g gitRunner) countPaths(ctx context.Context, sha string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	count := &pathCounter{max: g.space.maxPaths, full: func(what string) {
		cancel(fmt.Errorf("the commit has more than %s: take generated files out of the repository, or raise "+
			"runner.max_paths", what))
	}}
	return g.start(ctx, gitEnvironment(g.space), count, []string{"ls-tree", "-r", "-t", "-z", "--name-only", sha})
}

// pathCounter counts paths that end with NUL, and gives up when there are too many.
type pathCounter struct {
	max, paths, bytes int64
	full              func(what string)
}

func (c *pathCounter) Write(p []byte) (int, error) {
	c.paths += int64(bytes.Count(p, []byte{0}))
	c.bytes += int64(len(p))
	switch {
	case c.paths > c.max:
		c.full(humanize.Comma(c.max) + " paths")
	case c.bytes > maxPathName*c.max:
		c.full(humanize.Comma(maxPathName*c.max) + " bytes in the names of its paths")
	default:
		return len(p), nil
	}
	return 0, io.ErrShortWrite
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
	if ctx.Err() != nil || errors.As(failure, new(machineFault)) || errors.As(failure, new(overrun)) {
		return failure
	}
	if errors.As(failure, new(cut)) {
		return retryable{fmt.Errorf("%s cannot be fetched: it is too slow, or broke off before the end; check how it does and "+
			"that it can be reached from here, through every proxy: %w", g.remote.URL, failure), true}
	}
	if g.runAuthorized(ctx, "ls-remote", "--quiet", "--", g.remote.URL, "HEAD") == nil {
		return retryable{fmt.Errorf("%s does not hand out commit %s: it is gone after a force push, holds what git refuses, "+
			"or the server lets no commit be fetched by its id (uploadpack.allowAnySHA1InWant): %w",
			g.remote.URL, core.ShortSHA(sha), failure), false}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return retryable{fmt.Errorf("%s cannot be fetched: check that it can be reached from here and that the platform's "+
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
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_NO_REPLACE_OBJECTS=1",
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
