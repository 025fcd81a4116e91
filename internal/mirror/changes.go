package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git"
)

// Git's modes of what is no file.
const (
	modeTree      = "040000"
	modeSubmodule = "160000"
	modeNone      = "000000"
)

// File is a file of a commit. Links are files with their target as contents.
type File struct {
	Path string
	Blob string // id of its contents
}

// Files calls each for every file of a commit, in git's order. Submodules are not files: how many there are is returned.
func (m *Mirror) Files(ctx context.Context, sha string, each func(File)) (submodules int, err error) {
	// Directories are listed and counted too, because there can be endless empty ones.
	err = m.records(ctx, nil, func(record string) error {
		head, path, _ := strings.Cut(record, "\t")
		fields := strings.Fields(head)
		switch {
		case len(fields) != 3 || path == "":
			return Damaged{fmt.Errorf("git listed %.80q", record)}
		case fields[0] == modeSubmodule:
			submodules++
		case fields[0] != modeTree:
			each(File{Path: path, Blob: fields[2]})
		}
		return nil
	}, "ls-tree", "-r", "-t", "-z", "--full-tree", sha)
	return submodules, err
}

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

func (r Range) args(not ...[]string) []string {
	args := slices.Clone(r.Heads)
	for _, sha := range slices.Concat(not...) {
		args = append(args, "^"+sha)
	}
	return append(args, "--")
}

// History is what the commits of a range bring.
type History struct {
	Commits []string // the oldest first
	Changes []Change // each contents of a path once, in the first commit that brings it
	Beyond  int      // how many more commits there are, older than these, which were left out
	Open    bool     // some of them have parents that were not fetched: there are more
	Tips    []string // from which the commits that were left out are reached
}

// maxTips bounds the commits from which others are reached. Where there would be more, it is the heads of the range.
const maxTips = 1000

// Between lists what the commits of a range bring, at most so many of them, the newest. A merge brings only what differs
// from all its parents.
func (m *Mirror) Between(ctx context.Context, r Range, most int) (h History, err error) {
	ends, err := m.ends()
	if err != nil {
		return History{}, err
	}
	// The newest come first and children before their parents, so that what is too much is older.
	p := &changeParser{most: m.repo.PathLimit()}
	listing := *m
	listing.repo.MaxPaths = 4*p.most + 2*int64(most) + 2 // records: the parser counts paths
	err = listing.records(ctx, nil, p.read, append([]string{"log", fmt.Sprintf("--max-count=%d", most), "--date-order", "--format=tformat:%H %P",
		"-z", "--raw", "--no-abbrev", "-r", "-t", "-c", "--root", "--no-renames"}, r.args(r.Bases)...)...)
	if err != nil && !p.full {
		return History{}, err
	}
	h = p.history()
	if h.Tips, err = m.hiddenParents(ctx, h.Commits, ends); err != nil {
		return History{}, err
	}
	h.Open = len(h.Tips) > 0
	if len(h.Commits) == most || p.full {
		err = m.countRest(ctx, r, p, &h, ends)
	}
	if len(h.Tips) > maxTips {
		h.Tips = r.Heads
	}
	return h, err
}

// countRest counts the commits of a range that were not listed, and finds out from where they are reached.
func (m *Mirror) countRest(ctx context.Context, r Range, p *changeParser, h *History, ends map[string]bool) error {
	listed, next := make(map[string]bool), make(map[string]bool)
	for _, sha := range h.Commits {
		listed[sha] = true
	}
	for _, sha := range slices.Concat(r.Heads, slices.Concat(p.parents...)) {
		next[sha] = true
	}
	return m.lines(ctx, nil, func(commit string) error {
		if listed[commit] {
			return nil
		}
		h.Beyond, h.Open = h.Beyond+1, h.Open || ends[commit]
		if next[commit] {
			h.Tips = append(h.Tips, commit)
		}
		return nil
	}, append([]string{"rev-list"}, r.args(r.Bases, r.Done)...)...)
}

// hiddenParents are the parents of commits at the ends that were not fetched. Git tells of them only in the commit as it is
// stored.
func (m *Mirror) hiddenParents(ctx context.Context, commits []string, ends map[string]bool) (parents []string, err error) {
	var at []string
	for _, sha := range commits {
		if ends[sha] {
			at = append(at, sha)
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	err = m.records(ctx, []byte(strings.Join(at, "\n")+"\n"), func(record string) error {
		header, _, _ := strings.Cut(record, "\n\n")
		for line := range strings.SplitSeq(header, "\n") {
			if sha, is := strings.CutPrefix(line, "parent "); is && !slices.Contains(parents, sha) {
				parents = append(parents, sha)
			}
		}
		return nil
	}, "rev-list", "--header", "--no-walk=unsorted", "--stdin")
	return parents, err
}

// ends are the commits whose parents were not fetched.
func (m *Mirror) ends() (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(m.repo.Space.Source, "shallow"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, Damaged{err}
	}
	ends := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		ends[strings.TrimSpace(line)] = true
	}
	return ends, nil
}

// changeParser reads the records of git log -z --raw: the ids of a commit and its parents, and for each of its files ":MODE MODE ID ID STATUS"
// and then the path; of a merge "::", a mode and an id of each parent and then its own. Before the first file of a commit stands
// a line break or, of a merge, an empty record.
//
// It reads at most as many paths as one commit may have, and stops where there are more: at the commit before, or, where the
// first commit alone has too many, with the error that tells of it.
type changeParser struct {
	most, paths int64
	full        bool   // it stopped before the end
	blob        string // of the file whose path comes next; empty if it is none that the commit brings
	inFile      bool
	commits     []string   // the newest first
	parents     [][]string // of each of them, as the next
	changes     [][]File
}

var errFull = errors.New("the commits bring more than is listed")

func (p *changeParser) read(record string) error {
	if p.inFile {
		return p.readPath(record)
	}
	record = strings.TrimPrefix(record, "\n")
	switch {
	case strings.HasPrefix(record, ":"):
		return p.readHead(record)
	case record != "":
		return p.readCommit(strings.Fields(record))
	}
	return nil
}

func (p *changeParser) readCommit(ids []string) error {
	if !core.IsCommitSHA(ids[0]) {
		return Damaged{fmt.Errorf("git listed %.80q", ids)}
	}
	p.commits, p.parents, p.changes = append(p.commits, ids[0]), append(p.parents, ids[1:]), append(p.changes, nil)
	return nil
}

func (p *changeParser) readHead(record string) error {
	parents := len(record) - len(strings.TrimLeft(record, ":"))
	fields := strings.Fields(record[parents:])
	if len(fields) != 2*(parents+1)+1 || len(p.commits) == 0 {
		return Damaged{fmt.Errorf("git listed %.80q", record)}
	}
	mode, blob := fields[parents], fields[2*parents+1]
	if mode == modeTree || mode == modeSubmodule || strings.Trim(blob, "0") == "" { // the last: it was deleted
		blob = ""
	}
	p.blob, p.inFile = blob, true
	return nil
}

func (p *changeParser) readPath(path string) error {
	p.inFile = false
	last := len(p.commits) - 1
	if p.paths++; p.paths > p.most && last == 0 {
		return git.TooManyPaths(p.most)
	} else if p.paths > p.most {
		p.commits, p.parents, p.changes, p.full = p.commits[:last], p.parents[:last], p.changes[:last], true
		return errFull
	}
	if p.blob != "" {
		p.changes[last] = append(p.changes[last], File{path, p.blob})
	}
	return nil
}

// history is what was read, the oldest first.
func (p *changeParser) history() (h History) {
	seen := make(map[File]bool)
	for n, commit := range slices.Backward(p.commits) {
		h.Commits = append(h.Commits, commit)
		for _, file := range p.changes[n] {
			if !seen[file] {
				seen[file] = true
				h.Changes = append(h.Changes, Change{commit, file})
			}
		}
	}
	return h
}

// Diff compares two commits of the mirror line by line, after it fetched the contents in which they differ. White space does
// not count, and renamed files are followed. Not every failure of it tells of damage: commits may differ in too much.
func (m *Mirror) Diff(ctx context.Context, base, head string) (*core.Changes, error) {
	var blobs []string
	err := m.differences(ctx, base, head, func(before, now side, _ string) {
		for _, s := range []side{before, now} {
			if s.isFile() {
				blobs = append(blobs, s.id)
			}
		}
	})
	if err == nil {
		err = m.Ensure(ctx, blobs)
	}
	if err != nil {
		return nil, err
	}
	return m.repo.Compare(ctx, base, head)
}

// side is what one of two commits has at a path.
type side struct{ mode, id string }

func (s side) isFile() bool { return s.mode != modeNone && s.mode != modeSubmodule }

// differences calls each for every path at which two commits differ.
func (m *Mirror) differences(ctx context.Context, base, head string, each func(before, now side, path string)) error {
	var fields []string // of the record before the path: ":MODE MODE ID ID STATUS"
	return m.records(ctx, nil, func(record string) error {
		if fields != nil {
			each(side{fields[0][1:], fields[2]}, side{fields[1], fields[3]}, record)
			fields = nil
			return nil
		}
		if fields = strings.Fields(record); len(fields) != 5 || !strings.HasPrefix(record, ":") {
			return Damaged{fmt.Errorf("git listed %.80q", record)}
		}
		return nil
	}, "diff-tree", "-r", "-z", "--raw", "--no-renames", base, head)
}

// Reach makes sure that a commit is in the mirror, and fetches it if need be. It returns false if the server does not hand
// it out.
func (m *Mirror) Reach(ctx context.Context, sha string) (bool, error) {
	sha = strings.ToLower(sha)
	if m.Has(sha) {
		return true, nil
	}
	known := false
	err := m.lines(ctx, []byte(sha+"\n"), func(line string) error {
		known = strings.HasPrefix(line, sha+" commit ")
		return nil
	}, "cat-file", "--batch-check")
	if err != nil || known {
		return known, err
	}
	err = m.Fetch(ctx, sha)
	if refusal := new(git.FetchError); errors.As(err, refusal) && !refusal.Unreachable {
		return false, nil
	}
	return err == nil, err
}
