package gitrepo

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// HasCommit tells whether sha is the full id of a commit, as opposed to a tag object, a tree or nothing.
func (d Dir) HasCommit(ctx context.Context, sha string) (bool, error) {
	if !core.IsCommitSHA(sha) {
		return false, nil
	}
	kind, err := d.Output(ctx, "cat-file", "-t", sha)
	if Failed(err) {
		return false, nil
	}
	return kind == "commit", err
}

// HasRef tells whether a full ref exists.
func (d Dir) HasRef(ctx context.Context, ref string) (bool, error) {
	_, err := d.Output(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref)
	if Failed(err) {
		return false, nil
	}
	return err == nil, err
}

// BranchWith is the first branch that contains sha, or empty.
func (d Dir) BranchWith(ctx context.Context, sha string) (string, error) {
	refs, err := d.Output(ctx, "for-each-ref", "--format=%(refname:lstrip=2)", "--contains="+sha, "refs/heads")
	first, _, _ := strings.Cut(refs, "\n")
	return first, err
}

// MergeBase is the best common ancestor of two revisions, or empty where there is none.
func (d Dir) MergeBase(ctx context.Context, one, other string) (string, error) {
	base, err := d.Output(ctx, "merge-base", "--end-of-options", one, other)
	if Failed(err) {
		return "", nil
	}
	return base, err
}

// Resolve is the full id of the commit that an id, the beginning of one or a branch names.
func (d Dir) Resolve(ctx context.Context, name string) (string, error) {
	sha, err := d.Output(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if Failed(err) {
		return "", fmt.Errorf("%w: no commit or branch %q here", core.ErrNotFound, name)
	}
	return sha, err
}

// Person is an author or committer.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Commit is one commit with the files that it changes compared with its first parent. A rename is a removal and an
// addition.
type Commit struct {
	ID, Tree                 string
	Parents                  []string
	Author, Committer        Person
	AuthoredAt, CommittedAt  time.Time
	Message                  string
	Added, Modified, Removed []string
}

// Title is the first line of the message.
func (c Commit) Title() string {
	title, _, _ := strings.Cut(c.Message, "\n")
	return title
}

// Commit reads one commit.
func (d Dir) Commit(ctx context.Context, rev string) (Commit, error) {
	found, err := d.Log(ctx, "-1", "--end-of-options", rev+"^{commit}", "--")
	if err != nil {
		return Commit{}, err
	}
	if len(found) != 1 {
		return Commit{}, fmt.Errorf("reading commit %s: git printed %d commits", rev, len(found))
	}
	return found[0], nil
}

// Count counts the commits that revisions select.
func (d Dir) Count(ctx context.Context, revisions ...string) (int, error) {
	out, err := d.Output(ctx, append([]string{"rev-list", "--count"}, revisions...)...)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// Log lists commits, newest first as git does, for the revisions and options in args.
func (d Dir) Log(ctx context.Context, args ...string) ([]Commit, error) {
	fixed := []string{
		"log", "-z", "--topo-order", "--no-renames", "--diff-merges=first-parent", "--name-status", "--no-mailmap",
		"--no-show-signature", "--format=" + strings.Join(commitFields, "%x00"),
	}
	out, err := d.Output(ctx, append(fixed, args...)...)
	if err != nil {
		return nil, err
	}
	return parseLog(out)
}

// commitFields are the fields of git's log format that parseLog reads, in its order.
var commitFields = []string{"%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B"}

// parseLog reads NUL-separated tokens: the fields of a commit, then a letter and a path for each file.
func parseLog(out string) ([]Commit, error) {
	tokens := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if out == "" {
		return nil, nil
	}
	var commits []Commit
	for len(tokens) > 0 {
		if len(tokens) < len(commitFields) {
			return nil, fmt.Errorf("reading git's log: it ends after %d of %d fields", len(tokens), len(commitFields))
		}
		c, err := parseCommit(tokens)
		if err != nil {
			return nil, err
		}
		tokens = c.takeFiles(tokens[len(commitFields):])
		commits = append(commits, c)
	}
	return commits, nil
}

func parseCommit(f []string) (Commit, error) {
	c := Commit{
		ID: f[0], Tree: f[1], Parents: strings.Fields(f[2]), Message: strings.TrimSuffix(f[9], "\n"),
		Author: Person{f[3], f[4]}, Committer: Person{f[6], f[7]},
		Added: []string{}, Modified: []string{}, Removed: []string{},
	}
	var err error
	if c.AuthoredAt, err = time.Parse(time.RFC3339, f[5]); err != nil {
		return c, fmt.Errorf("reading commit %s: %w", c.ID, err)
	}
	if c.CommittedAt, err = time.Parse(time.RFC3339, f[8]); err != nil {
		return c, fmt.Errorf("reading commit %s: %w", c.ID, err)
	}
	return c, nil
}

// takeFiles consumes the pairs of letter and path. A longer token is the id of the next commit.
func (c *Commit) takeFiles(tokens []string) (rest []string) {
	for len(tokens) > 1 {
		path := tokens[1]
		switch strings.TrimPrefix(tokens[0], "\n") {
		case "A":
			c.Added = append(c.Added, path)
		case "D":
			c.Removed = append(c.Removed, path)
		case "M", "T":
			c.Modified = append(c.Modified, path)
		default:
			return tokens
		}
		tokens = tokens[2:]
	}
	return tokens
}
