package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/gitproto"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// LayOut lays a commit out in the workspace's source directory, as files and a repository of that one commit. Its objects are
// those of another repository, in a directory of objects that is not written to.
func (r Repo) LayOut(ctx context.Context, sha, objects string) error {
	err := r.initialize(ctx, sha, ".git")
	for name, text := range map[string]string{"objects/info/alternates": objects, "shallow": sha} {
		if err == nil {
			err = r.write(filepath.Join(".git", filepath.FromSlash(name)), text+"\n")
		}
	}
	if err != nil {
		return fmt.Errorf("preparing the files of %s: %w", core.ShortSHA(sha), err)
	}
	if err := r.run(ctx, "checkout", "--quiet", "--force", "--detach", sha); err != nil {
		return fmt.Errorf("laying out %s: %w", core.ShortSHA(sha), err)
	}
	return r.Space.Fits()
}

// InitBare makes an empty repository without a work tree, for the kind of ids that a commit has.
func (r Repo) InitBare(ctx context.Context, sha string) error {
	return r.initialize(ctx, sha, ".", "--bare")
}

func (r Repo) initialize(ctx context.Context, sha, dir string, options ...string) error {
	args := []string{"init", "--quiet", "--template=", "--object-format=" + objectFormat(sha)}
	if err := r.run(ctx, append(args, options...)...); err != nil {
		return err
	}
	return r.neutralizeAttributes(dir)
}

// Fetch runs a git command that fetches a commit, or what it holds, with the credential; git reads from in, which may be nil.
// Errors are sentences without the credential; a FetchError may be gone at the next try.
func (r Repo) Fetch(ctx context.Context, sha string, in io.Reader, args ...string) error {
	if err := fetchable(r.Remote.URL, sha); err != nil {
		return err
	}
	if err := r.runAuthorized(ctx, in, args...); err != nil {
		return r.explain(ctx, sha, err)
	}
	return nil
}

// FetchError is a failed fetch that may succeed at the next try. Unreachable tells that the server cannot be reached or
// is broken. Otherwise it refuses: a fresh commit may not have reached all of its replicas. Gone tells that it says it has no such
// commit.
type FetchError struct {
	Err         error
	Unreachable bool
	Gone        bool
}

func (e FetchError) Error() string { return e.Err.Error() }
func (e FetchError) Unwrap() error { return e.Err }

// fetchable refuses what git could take for something else than a web address and a commit.
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

// attributes override every .gitattributes of a commit: its files are laid out and compared as they are. An encoding cannot
// be "none", so it is unspecified.
const attributes = "* -text -crlf !eol -ident !filter !working-tree-encoding !diff !merge\n"

// neutralizeAttributes writes them into the repository itself, whose directory it is given.
func (r Repo) neutralizeAttributes(dir string) error {
	return r.write(filepath.Join(dir, "info", "attributes"), attributes)
}

// write writes a file of the repository itself.
func (r Repo) write(name, text string) error {
	path := filepath.Join(r.Space.Source, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// notThere is what git's server says of a commit that it does not have, or that nothing reaches.
const notThere = "not our ref"

// explain turns a failed fetch into a sentence. Git's exit code is always the same, so a harmless request tells whether the
// server is out of reach or does not hand the commit out. After a broken transfer it would prove nothing: small answers
// may come while packs do not.
func (r Repo) explain(ctx context.Context, sha string, failure error) error {
	if ctx.Err() != nil || errors.As(failure, new(sandbox.HostFault)) || errors.As(failure, new(sandbox.LimitExceeded)) {
		return failure
	}
	if errors.As(failure, new(brokenTransfer)) {
		return FetchError{fmt.Errorf("%s cannot be fetched: it is too slow, or broke off before the end; check how it does and "+
			"that it can be reached from here, through every proxy: %w", r.Remote.URL, failure), true, false}
	}
	if r.runAuthorized(ctx, nil, "ls-remote", "--quiet", "--", r.Remote.URL, "HEAD") == nil {
		return FetchError{fmt.Errorf("%s does not hand out commit %s: it is gone after a force push, holds what git refuses, "+
			"or the server lets no commit be fetched by its id (uploadpack.allowAnySHA1InWant): %w",
			r.Remote.URL, core.ShortSHA(sha), failure), false, strings.Contains(failure.Error(), notThere)}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return FetchError{fmt.Errorf("%s cannot be fetched: check that it can be reached from here and that the platform's "+
		"token may read the project: %w", r.Remote.URL, failure), gitproto.Unavailable(ctx, r.Remote), false}
}
