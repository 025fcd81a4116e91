package mirror

import (
	"context"
	"errors"
	"slices"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// Change is a file as a commit brings it.
type Change struct {
	Commit string
	File
}

// Range are the commits that the heads reach and the bases do not. All must be in the mirror, as Reach tells.
type Range struct {
	Heads, Bases []string
	Done         []string // what they reach was searched before: it does not count as left out
}

// History is what the commits of a range bring.
type History struct {
	Commits []string // the oldest first
	Changes []Change // each contents of a path once, in the first commit that brings it
	Beyond  int      // how many more commits there are, older than these, which were left out
	Open    bool     // some of them have parents that were not fetched: there are more
	Tips    []string // from which the commits that were left out are reached

	Done map[string]bool // the commits that what was searched before reaches
}

// maxTips bounds the commits from which others are reached. Where there would be more, it is the heads of the range.
const maxTips = 1000

// Between lists what the commits of a range bring, at most so many of them, the newest. A merge brings only what differs
// from all its parents.
//
// It lists at most as many paths as one commit may have, and stops where there are more: at the commit before, or, where the
// first commit alone has too many, with the error that tells of it.
func (m *Mirror) Between(ctx context.Context, r Range, most int) (h History, err error) {
	after, err := m.since(ctx, r.Bases, r.Heads)
	if err != nil {
		return History{}, err
	}
	// The newest come first and children before their parents, so that what is too much is older.
	listed, changes, err := m.listChanges(ctx, after, most)
	if err != nil {
		return History{}, err
	}
	h.Changes = firstOf(changes)
	for _, c := range slices.Backward(listed) {
		h.Commits = append(h.Commits, c.id)
	}
	h.Tips = hiddenParents(listed)
	h.Open = len(h.Tips) > 0 || after.cut
	if len(listed) < len(after.found) {
		err = m.countRest(ctx, r, listed, &h)
	}
	if err == nil && len(r.Done) > 0 {
		h.Done, err = m.reached(ctx, r)
	}
	if len(h.Tips) > maxTips || after.cut {
		h.Tips = r.Heads
	}
	return h, err
}

// listChanges lists what commits bring, as far as so many of them and the paths go.
func (m *Mirror) listChanges(ctx context.Context, after *ancestry, most int) (listed []*commit, changes [][]Change, err error) {
	w := m.walk(nil)
	for n, c := range after.byDate() {
		if n == most {
			break
		}
		var brought []Change
		w.each = func(path string, e item) {
			if e.isFile() {
				brought = append(brought, Change{c.id, File{path, e.object()}})
			}
		}
		err := w.through(ctx, "", c.tree, after.treesBefore(c))
		if n > 0 && errors.As(err, new(sandbox.LimitExceeded)) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		listed, changes = append(listed, c), append(changes, brought)
	}
	return listed, changes, nil
}

// countRest counts the commits of a range that were not listed, and finds out from where they are reached.
func (m *Mirror) countRest(ctx context.Context, r Range, listed []*commit, h *History) error {
	rest, err := m.since(ctx, slices.Concat(r.Bases, r.Done), r.Heads)
	if err != nil {
		return err
	}
	known, next := make(map[string]bool), make(map[string]bool)
	for _, sha := range r.Heads {
		next[sha] = true
	}
	for _, c := range listed {
		known[c.id] = true
		for _, parent := range c.parents {
			next[parent] = true
		}
	}
	for _, c := range rest.found {
		if known[c.id] {
			continue
		}
		h.Beyond, h.Open = h.Beyond+1, h.Open || len(c.hidden) > 0
		if next[c.id] {
			h.Tips = append(h.Tips, c.id)
		}
	}
	return nil
}

// reached are the commits that what was searched before reaches.
func (m *Mirror) reached(ctx context.Context, r Range) (map[string]bool, error) {
	done, err := m.since(ctx, r.Bases, r.Done)
	if err != nil {
		return nil, err
	}
	commits := make(map[string]bool)
	for _, c := range done.found {
		commits[c.id] = true
	}
	return commits, nil
}

// hiddenParents are the parents of commits that were not fetched.
func hiddenParents(commits []*commit) (parents []string) {
	for _, c := range commits {
		parents = append(parents, c.hidden...)
	}
	return distinct(parents)
}

// firstOf are changes without those that an older commit brings, the oldest first. They are given newest commit first.
func firstOf(changes [][]Change) (first []Change) {
	seen := make(map[File]bool)
	for _, some := range slices.Backward(changes) {
		for _, change := range some {
			if !seen[change.File] {
				seen[change.File] = true
				first = append(first, change)
			}
		}
	}
	return first
}

// differing calls each for what a commit has, below its directories too, and another one has not in the same place.
func (m *Mirror) differing(ctx context.Context, sha, other string, each func(path string, e item)) error {
	tree, err := m.treeOf(ctx, sha)
	if err != nil {
		return err
	}
	without, err := m.treeOf(ctx, other)
	if err != nil {
		return err
	}
	return m.walk(each).through(ctx, "", tree, []string{without})
}

// Changed are the files of a commit that differ from those of another one, and those that are gone since, by their exact paths.
func (m *Mirror) Changed(ctx context.Context, base, head string) (changed, gone []string, err error) {
	now := make(map[string]bool)
	err = m.differing(ctx, head, base, func(path string, e item) {
		if e.isFile() {
			changed, now[path] = append(changed, path), true
		}
	})
	if err != nil {
		return nil, nil, err
	}
	err = m.differing(ctx, base, head, func(path string, e item) {
		if !e.isTree() && !now[path] {
			gone = append(gone, path)
		}
	})
	return changed, gone, err
}

// Diff compares two commits of the mirror line by line, after it fetched the contents in which they differ, unless they differ
// in no file that matters: then it tells of none. White space does not count, and renamed files are followed. Not every failure
// of it tells of damage: commits may differ in too much.
func (m *Mirror) Diff(ctx context.Context, base, head string, matters func(path string) bool) (*core.Changes, error) {
	var blobs []string
	wanted := false
	add := func(path string, e item) {
		wanted = wanted || !e.isTree() && matters(path)
		if e.isFile() {
			blobs = append(blobs, e.object())
		}
	}
	err := m.differing(ctx, head, base, add)
	if err == nil {
		err = m.differing(ctx, base, head, add)
	}
	if err == nil && !wanted {
		return &core.Changes{Base: base}, nil
	}
	if err == nil {
		err = m.Ensure(ctx, blobs)
	}
	if err != nil {
		return nil, err
	}
	return m.repo.Compare(ctx, base, head)
}
