package standin

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// person is an author or committer.
type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// commit is one commit with the files it touches compared with its first parent; a rename is a removal and an addition.
type commit struct {
	ID, Tree                 string
	Parents                  []string
	Author, Committer        person
	AuthoredAt, CommittedAt  time.Time
	Message                  string
	Added, Modified, Removed []string
}

// title is the first line of the message.
func (c commit) title() string {
	title, _, _ := strings.Cut(c.Message, "\n")
	return title
}

// commitFields are the fields of git's log format that parseLog reads, in its order.
var commitFields = []string{"%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B"}

// log lists commits, newest first as git does, for the revisions and options in args.
func (r Repository) log(ctx context.Context, args ...string) ([]commit, error) {
	fixed := []string{
		"log", "-z", "--topo-order", "--no-renames", "--diff-merges=first-parent", "--name-status", "--no-mailmap",
		"--no-show-signature", "--format=" + strings.Join(commitFields, "%x00"),
	}
	out, err := git(ctx, r.Dir, append(fixed, args...)...)
	if err != nil {
		return nil, err
	}
	return parseLog(out)
}

func (r Repository) commit(ctx context.Context, rev string) (commit, error) {
	found, err := r.log(ctx, "-1", "--end-of-options", rev+"^{commit}", "--")
	if err != nil {
		return commit{}, err
	}
	if len(found) != 1 {
		return commit{}, fmt.Errorf("reading commit %s: git printed %d commits", rev, len(found))
	}
	return found[0], nil
}

// parseLog takes NUL-separated tokens: the fields of a commit, then a letter and a path for each file.
func parseLog(out string) ([]commit, error) {
	tokens := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if out == "" {
		return nil, nil
	}
	var commits []commit
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

func parseCommit(f []string) (commit, error) {
	c := commit{
		ID: f[0], Tree: f[1], Parents: strings.Fields(f[2]), Message: strings.TrimSuffix(f[9], "\n"),
		Author: person{f[3], f[4]}, Committer: person{f[6], f[7]},
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

// takeFiles eats the pairs of letter and path; a longer token is the id of the next commit.
func (c *commit) takeFiles(tokens []string) (rest []string) {
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

// size counts the commits that revisions select.
func (r Repository) size(ctx context.Context, revisions ...string) (int, error) {
	out, err := git(ctx, r.Dir, append([]string{"rev-list", "--count"}, revisions...)...)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// mergeBase is the best common ancestor of two revisions, or empty where there is none.
func (r Repository) mergeBase(ctx context.Context, one, other string) (string, error) {
	base, err := git(ctx, r.Dir, "merge-base", "--end-of-options", one, other)
	if gitFails(err) {
		return "", nil
	}
	return base, err
}
