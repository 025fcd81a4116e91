package mirror

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git"
)

const (
	maxCommit  = 32 << 20       // bytes of a commit with its message
	maxHistory = 500_000        // commits that are looked at
	maxLinks   = 2 * maxHistory // to their parents: each merge can have thousands
	maxBeside  = 50             // directories before a commit that are compared with its own: what only others have counts as brought

	// lateCommits are how many commits are still looked at after all that are left seem to be known: clocks differ.
	lateCommits = 5
)

// commit is what is read of a commit.
type commit struct {
	id, tree string
	parents  []string // those that were fetched
	hidden   []string // those that were not
	date     int64
	number   int  // in the order in which they were met
	known    bool // the base has it
	waits    bool // to be looked at
}

// commit reads a commit, or what a tag names.
func (m *Mirror) commit(ctx context.Context, sha string) (*commit, error) {
	o, err := m.reader(ctx)
	if err != nil {
		return nil, err
	}
	found, err := o.askOne(ctx, askContents, sha+"^{commit}", maxCommit)
	switch {
	case errors.Is(err, errTooLarge):
		return m.outline(ctx, sha)
	case err != nil:
		return nil, err
	case found.kind != "commit":
		return nil, Damaged{fmt.Errorf("%w: the commit %s", ErrMissing, sha)}
	}
	return parseCommit(found.id, found.data)
}

// outline is what git tells of a commit whose message is too large to be read: all but its date, which is of 1970.
func (m *Mirror) outline(ctx context.Context, sha string) (*commit, error) {
	o, err := m.reader(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{sha + "^{commit}", sha + "^{tree}"}
	for n := range maxBeside + 1 {
		names = append(names, fmt.Sprintf("%s^%d", sha, n+1))
	}
	var ids []string // git answers that there is no further parent
	err = o.askAll(ctx, askInfo, names, 0, func(_ int, a answer) error {
		if a.id != "" {
			ids = append(ids, a.id)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(ids) < 2:
		return nil, Damaged{fmt.Errorf("%w: the commit %s", ErrMissing, sha)}
	}
	ends, err := m.ends()
	switch {
	case err != nil:
		return nil, err
	case ends[ids[0]] || len(ids) == len(names): // there are parents that git does not tell, or was not asked for
		return nil, tooMany("a message of more than 32 megabytes in its history")
	}
	return &commit{id: ids[0], tree: ids[1], parents: distinct(ids[2:])}, nil
}

// parseCommit reads the head of a commit. As with git, one without a readable date is of 1970.
func parseCommit(id string, data []byte) (*commit, error) {
	c := &commit{id: id}
	head, _, _ := bytes.Cut(data, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch {
		case key == "tree" && c.tree == "":
			c.tree = value
		case key == "parent":
			c.parents = append(c.parents, value)
		case key == "committer" && c.date == 0:
			c.date = dateOf(value)
		}
	}
	if len(c.tree) != len(id) {
		return nil, Damaged{fmt.Errorf("the commit %s cannot be read", id)}
	}
	c.parents = distinct(c.parents)
	return c, nil
}

// distinct are ids without those that come again.
func distinct(ids []string) (some []string) {
	if len(ids) < 2 {
		return ids
	}
	met := make(map[string]bool)
	for _, id := range ids {
		if !met[id] {
			met[id], some = true, append(some, id)
		}
	}
	return some
}

// dateOf is the time, in seconds, behind a name and an address.
func dateOf(committer string) int64 {
	text := strings.Fields(committer[strings.LastIndexByte(committer, '>')+1:])
	if len(text) == 0 {
		return 0
	}
	date, err := strconv.ParseInt(text[0], 10, 64)
	if err != nil {
		return 0
	}
	return date
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

// Absence is why a commit cannot be reached.
type Absence int

const (
	Refused  Absence = iota // the server fails to hand it out, which it may not at the next try
	Gone                    // the server does not have it
	NoCommit                // it is a file or a directory, which a tag may name
)

// Reach makes sure that a commit is in the mirror, and fetches it if need be. It returns false if the server does not hand
// it out, or if it is none; WhyNot tells which.
func (m *Mirror) Reach(ctx context.Context, sha string) (bool, error) {
	sha = strings.ToLower(sha)
	if !core.IsCommitSHA(sha) {
		return false, nil
	}
	kind, err := m.kindOf(ctx, sha)
	if err == nil && kind == "" && !m.Has(sha) { // what was fetched and is not there any more is damage
		if err = m.Fetch(ctx, sha); err == nil {
			kind, err = m.kindOf(ctx, sha)
		}
	}
	refusal := new(git.FetchError)
	switch {
	case errors.As(err, refusal) && !refusal.Unreachable:
		if refusal.Gone {
			return false, m.miss(ctx, sha, Gone)
		}
		return false, m.miss(ctx, sha, Refused)
	case err != nil:
		return false, err
	case kind == kindBlob || kind == "tree":
		return false, m.miss(ctx, sha, NoCommit)
	}
	return true, nil
}

// WhyNot tells why Reach has not reached a commit.
func (m *Mirror) WhyNot(sha string) Absence { return m.absent[strings.ToLower(sha)] }

// miss notes why a commit is not there, unless the mirror is damaged, which may be the reason.
func (m *Mirror) miss(ctx context.Context, sha string, why Absence) error {
	if m.absent == nil {
		m.absent = make(map[string]Absence)
	}
	m.absent[sha] = why
	return m.prove(ctx)
}

// kindOf is of what kind an object is, or what a tag names; empty where the mirror does not have it.
func (m *Mirror) kindOf(ctx context.Context, sha string) (string, error) {
	o, err := m.reader(ctx)
	if err != nil {
		return "", err
	}
	found, err := o.askOne(ctx, askInfo, sha+"^{}", 0)
	return found.kind, err
}

// ancestry finds the commits that some heads reach and a base does not, the newest first, as git's log does.
type ancestry struct {
	mirror  *Mirror
	ends    map[string]bool // commits whose parents were not fetched
	met     map[string]*commit
	waiting queue
	unknown int       // of those that wait
	links   int       // from those that were met to parents
	found   []*commit // that were looked at and were not known then
	cut     bool      // there is more than was looked at
}

// since finds the commits that heads reach and bases do not, as far as they were fetched.
func (m *Mirror) since(ctx context.Context, bases, heads []string) (*ancestry, error) {
	ends, err := m.ends()
	if err != nil {
		return nil, err
	}
	a := &ancestry{mirror: m, ends: ends, met: make(map[string]*commit)}
	for n, sha := range slices.Concat(heads, bases) {
		if err := a.meet(ctx, sha, n >= len(heads)); err != nil {
			return nil, err
		}
	}
	if err := a.follow(ctx); err != nil {
		return nil, err
	}
	a.found = slices.DeleteFunc(a.found, func(c *commit) bool { return c.known }) // what turned out to be
	return a, nil
}

// follow takes commits by their date until all that wait are known and older than those that are listed.
func (a *ancestry) follow(ctx context.Context) error {
	late, oldest := lateCommits, int64(math.MaxInt64)
	for len(a.waiting) > 0 {
		c := a.take()
		for _, parent := range c.parents {
			if err := a.meet(ctx, parent, c.known); err != nil {
				return err
			}
		}
		if a.cut = len(a.met) > maxHistory; a.cut {
			return nil
		}
		switch {
		case !c.known:
			a.found, oldest = append(a.found, c), c.date
		case a.unknown > 0 || len(a.waiting) > 0 && a.waiting[0].date >= oldest:
			late = lateCommits
		default:
			if late--; late == 0 {
				return nil
			}
		}
	}
	return nil
}

// byDate is what was found with the newest first, but no commit before its children.
func (a *ancestry) byDate() iter.Seq2[int, *commit] {
	return func(yield func(int, *commit) bool) {
		children := make(map[*commit]int)
		for _, c := range a.found {
			for _, parent := range c.parents {
				children[a.met[parent]]++
			}
		}
		isListed := make(map[*commit]bool)
		var next queue
		number := 0 // those of one time come in the order in which they are met
		for _, c := range a.found {
			number++
			isListed[c], c.number = true, number
			if children[c] == 0 {
				heap.Push(&next, c)
			}
		}
		for n := 0; len(next) > 0; n++ {
			c := heap.Pop(&next).(*commit)
			if !yield(n, c) {
				return
			}
			for _, parent := range c.parents {
				p := a.met[parent]
				if children[p]--; children[p] == 0 && isListed[p] {
					number++
					p.number = number
					heap.Push(&next, p)
				}
			}
		}
	}
}

// take is the newest that waits.
func (a *ancestry) take() *commit {
	c := heap.Pop(&a.waiting).(*commit)
	c.waits = false
	if !c.known {
		a.unknown--
	}
	return c
}

// meet lets a commit wait when it is met for the first time, and notes whether the base has it.
func (a *ancestry) meet(ctx context.Context, sha string, known bool) error {
	c := a.met[sha]
	if c == nil {
		var err error
		if c, err = a.load(ctx, sha); err != nil {
			return err
		}
	}
	if known {
		a.mark(c)
	}
	return nil
}

func (a *ancestry) load(ctx context.Context, sha string) (*commit, error) {
	c, err := a.mirror.commit(ctx, sha)
	if err != nil {
		return nil, err
	}
	if a.links += len(c.parents); a.links > maxLinks {
		return nil, tooMany("merges of more parents in its history than are followed")
	}
	if same := a.met[c.id]; same != nil { // a tag names it
		c = same
	} else {
		if a.ends[c.id] {
			c.parents, c.hidden = nil, c.parents
		}
		c.number, c.waits = len(a.met), true
		heap.Push(&a.waiting, c)
		a.unknown++
	}
	a.met[sha], a.met[c.id] = c, c
	return c, nil
}

// mark notes that the base has a commit, and all before it that were met.
func (a *ancestry) mark(c *commit) {
	for left := []*commit{c}; len(left) > 0; {
		c, left = left[len(left)-1], left[:len(left)-1]
		if c == nil || c.known {
			continue
		}
		if c.known = true; c.waits {
			a.unknown--
		}
		for _, parent := range c.parents {
			left = append(left, a.met[parent])
		}
	}
}

// treesBefore are the directories of the parents of a commit.
func (a *ancestry) treesBefore(c *commit) (trees []string) {
	for _, parent := range c.parents {
		trees = append(trees, a.met[parent].tree)
	}
	trees = distinct(trees)
	return trees[:min(len(trees), maxBeside)]
}

// queue is a heap of commits: the newest first, and among those of one time the one that was met first.
type queue []*commit

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[j].date, q[i].date), q[i].number-q[j].number) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(c any)   { *q = append(*q, c.(*commit)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}
