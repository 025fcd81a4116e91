package mirror

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const (
	maxPathName = 256      // bytes of a path, on average over those of a commit
	maxPath     = 1 << 20  // bytes of one
	maxKept     = 16 << 20 // bytes of directories that are remembered
	maxDepth    = 4096     // directories in each other; newer versions of git lay out no more
	maxAhead    = 200      // entries whose directories are read together
	maxCompared = 16 << 10 // bytes of directories that are compared, on average over the paths of a commit
)

// Git's kinds of entries, in their modes. What is neither is a submodule.
const (
	modeKind = 0o170000
	modeTree = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
)

// File is a file of a commit. Links are files with their target as contents.
type File struct {
	Path string
	Blob string // id of its contents
}

// Files calls each for every file of a commit, in git's order. Submodules are not files: how many there are is returned.
func (m *Mirror) Files(ctx context.Context, sha string, each func(File)) (submodules int, err error) {
	tree, err := m.treeOf(ctx, sha)
	if err != nil {
		return 0, err
	}
	err = m.walk(func(path string, e item) {
		if e.isFile() {
			each(File{path, e.object()})
		} else if e.isSubmodule() {
			submodules++
		}
	}).through(ctx, "", tree, nil)
	return submodules, err
}

// treeOf is the id of the directory of a commit, or of what a tag names.
func (m *Mirror) treeOf(ctx context.Context, sha string) (string, error) {
	o, err := m.reader(ctx)
	if err != nil {
		return "", err
	}
	found, err := o.askOne(ctx, askInfo, sha+"^{tree}", 0)
	if err == nil && found.kind != "tree" {
		err = Damaged{fmt.Errorf("%w: %s", ErrMissing, sha)}
	}
	return found.id, err
}

// item is what a directory has by a name.
type item struct {
	mode     uint64
	name, id []byte
}

func (e item) isTree() bool       { return e.mode&modeKind == modeTree }
func (e item) isFile() bool       { return e.mode&modeKind == modeFile || e.mode&modeKind == modeLink }
func (e item) isSubmodule() bool  { return !e.isTree() && !e.isFile() }
func (e item) object() string     { return hex.EncodeToString(e.id) }
func (e item) equals(o item) bool { return bytes.Equal(e.id, o.id) && e.mode == o.mode }

// compare is git's order of names in a directory, in which those of directories end with a slash. It tells a directory from a
// file of the same name.
func (e item) compare(o item) int {
	common := min(len(e.name), len(o.name))
	if c := bytes.Compare(e.name[:common], o.name[:common]); c != 0 {
		return c
	}
	return e.at(common) - o.at(common)
}

// at is the byte of the name at a place up to its end.
func (e item) at(n int) int {
	switch {
	case n < len(e.name):
		return int(e.name[n])
	case e.isTree():
		return '/'
	}
	return 0
}

// kept is the item without the directory that it was read from, which may be large.
func (e item) kept() item {
	both := slices.Concat(e.name, e.id)
	return item{e.mode, both[:len(e.name):len(e.name)], both[len(e.name):]}
}

// tree is the rest of a directory that is being read.
type tree struct {
	rest []byte
	all  int64 // bytes of the whole
	size int   // bytes of an id
	next item
	more bool
}

// advance reads the next item: "MODE NAME", a zero byte and the id.
func (t *tree) advance() error {
	if t.more = len(t.rest) > 0; !t.more {
		return nil
	}
	mode, rest, spaced := bytes.Cut(t.rest, []byte{' '})
	name, rest, ended := bytes.Cut(rest, []byte{0})
	bits, err := strconv.ParseUint(string(mode), 8, 32)
	if !spaced || !ended || err != nil || len(name) == 0 || len(rest) < t.size {
		return Damaged{errors.New("a directory cannot be read")}
	}
	t.next, t.rest = item{bits, name, rest[:t.size]}, rest[t.size:]
	return nil
}

// find goes on to an item, which comes after those that were looked for before, and tells whether it is there.
func (t *tree) find(e item) (found item, ok bool, err error) {
	for t.more {
		switch c := t.next.compare(e); {
		case c == 0:
			return t.next, true, nil
		case c > 0:
			return item{}, false, nil
		}
		if err := t.advance(); err != nil {
			return item{}, false, err
		}
	}
	return item{}, false, nil
}

// walk lists what a directory has, and all below it, that others do not have in its place. Equal directories are not read.
type walk struct {
	mirror      *Mirror
	most        int64
	paths, size int64 // that may still come; a dozen objects can name more than fits on any disk
	compared    int64 // bytes that may still be compared: what others have too is no path, but takes its time
	each        func(path string, e item)
}

func (m *Mirror) walk(each func(path string, e item)) *walk {
	most := m.repo.PathLimit()
	return &walk{mirror: m, most: most, paths: most, size: maxPathName * most, compared: maxCompared * most, each: each}
}

// step is what a directory has that others do not have, and what these have in its place if it is a directory.
type step struct {
	item
	others []string
}

// through walks through a directory with an id, by a path that ends with a slash, beside others in its place.
func (w *walk) through(ctx context.Context, path, id string, others []string) error {
	if slices.Contains(others, id) {
		return nil
	}
	if len(others) == 0 {
		if err := w.foresee(ctx, path, id); err != nil {
			return err
		}
	}
	steps, err := w.compare(ctx, path, id, others)
	if err != nil {
		return err
	}
	ahead := 0
	for n, s := range steps {
		w.each(path+string(s.name), s.item)
		if !s.isTree() {
			continue
		}
		if n >= ahead {
			ahead = min(n+maxAhead, len(steps))
			if err := w.readAhead(ctx, steps[n:ahead]); err != nil {
				return err
			}
		}
		if err := w.through(ctx, path+string(s.name)+"/", s.object(), s.others); err != nil {
			return err
		}
	}
	return nil
}

// compare are the entries of a directory that none of the others has.
func (w *walk) compare(ctx context.Context, path, id string, others []string) (steps []step, err error) {
	now, olds, err := w.open(ctx, id, others)
	for err == nil && now.more {
		s, known, failed := stepOf(now.next, olds)
		if err = failed; err == nil && !known {
			steps, err = append(steps, s), w.count(len(path)+len(s.name), len(s.others))
		}
		if err == nil {
			err = now.advance()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return steps, err
}

// open begins to read a directory and the others in its place, which are in memory at once.
func (w *walk) open(ctx context.Context, id string, others []string) (now *tree, olds []*tree, err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if now, err = w.mirror.tree(ctx, id); err != nil {
		return nil, nil, err
	}
	open := now.all
	for _, other := range others {
		old, err := w.mirror.tree(ctx, other)
		if err != nil {
			return nil, nil, err
		}
		olds, open = append(olds, old), open+old.all
		w.compared -= now.all + old.all // each entry is looked for in each of them
		if err := w.weigh(open); err != nil {
			return nil, nil, err
		}
	}
	return now, olds, nil
}

// weigh fails where more is compared than a commit may have, in all or at once.
func (w *walk) weigh(open int64) error {
	if w.compared < 0 || open > maxPathName*w.most {
		return tooMany("directories that are too large to be compared with those of the commits before")
	}
	return nil
}

// stepOf looks for an item in other directories, and tells whether one has it.
func stepOf(e item, olds []*tree) (s step, known bool, err error) {
	for _, old := range olds {
		was, ok, err := old.find(e)
		if err != nil || ok && was.equals(e) {
			return s, ok, err
		}
		if ok && e.isTree() && (len(s.others) == 0 || !slices.Contains(s.others, was.object())) {
			s.others = append(s.others, was.object())
		}
	}
	s.item = e.kept()
	return s, false, nil
}

// count fails where there are more paths than a commit may have. Others in the place of one count as well: they fill the memory.
func (w *walk) count(length, others int) error {
	w.paths, w.size = w.paths-1-int64(max(others-1, 0)), w.size-int64(length)
	if length > maxPath {
		return tooMany("a path of more than a megabyte")
	}
	return extent{w.most - w.paths, maxPathName*w.most - w.size}.check(w.most)
}

// extent is how many paths are below a directory, and how long they are together from there on, in bytes.
type extent struct{ paths, bytes int64 }

// check fails where it is more than a commit may have.
func (e extent) check(most int64) error {
	switch {
	case e.paths > most:
		return tooMany("more than " + humanize.Comma(most) + " paths")
	case e.bytes > maxPathName*most:
		return tooMany("more than " + humanize.Comma(maxPathName*most) + " bytes in the names of its paths")
	}
	return nil
}

// foresee fails where a directory that is new as a whole has more than may still come. It reads each directory below it once, wherever
// else it stands, so it finds out in no time and without memory what the walk would take both for.
func (w *walk) foresee(ctx context.Context, path, id string) error {
	s := &survey{mirror: w.mirror, most: w.most}
	below, err := s.of(ctx, id, strings.Count(path, "/"))
	if err != nil {
		return err
	}
	return extent{
		w.most - w.paths + below.paths, maxPathName*w.most - w.size + below.bytes + below.paths*int64(len(path)),
	}.check(w.most)
}

// survey measures directories.
type survey struct {
	mirror *Mirror
	most   int64
	read   int64 // entries of all directories that were read
}

func (s *survey) of(ctx context.Context, id string, depth int) (all extent, err error) {
	if known, measured := s.mirror.extents[id]; measured {
		return extent{known[0], known[1]}, nil
	}
	if depth > maxDepth {
		return all, tooMany(fmt.Sprintf("directories more than %s deep in each other", humanize.Comma(maxDepth)))
	}
	if ctx.Err() != nil {
		return all, context.Cause(ctx)
	}
	now, err := s.mirror.tree(ctx, id)
	for err == nil && now.more {
		var some []item
		if some, err = now.take(maxAhead); err == nil {
			err = s.add(ctx, &all, some, depth)
		}
	}
	if err == nil {
		if s.mirror.extents == nil {
			s.mirror.extents = make(map[string][2]int64)
		}
		s.mirror.extents[id] = [2]int64{all.paths, all.bytes}
	}
	return all, err
}

// add adds some entries of a directory to its extent.
func (s *survey) add(ctx context.Context, all *extent, some []item, depth int) error {
	var ids []string
	for _, e := range some {
		if _, measured := s.mirror.extents[e.object()]; e.isTree() && !measured {
			ids = append(ids, e.object())
		}
	}
	if err := s.mirror.readMissing(ctx, ids); err != nil {
		return err
	}
	s.read += int64(len(some))
	for _, e := range some {
		var below extent
		if e.isTree() {
			var err error
			if below, err = s.of(ctx, e.object(), depth+1); err != nil {
				return err
			}
		}
		all.paths += 1 + below.paths
		all.bytes += int64(len(e.name)) + below.bytes + below.paths*int64(len(e.name)+1)
		if err := all.check(s.most); err != nil {
			return err
		}
	}
	return extent{s.read, 0}.check(s.most) // the paths of what is not measured to its end
}

// take reads up to so many entries.
func (t *tree) take(most int) (some []item, err error) {
	for err == nil && t.more && len(some) < most {
		some = append(some, t.next)
		err = t.advance()
	}
	return some, err
}

func tooMany(what string) error {
	return sandbox.LimitExceeded{Err: errors.New("the commit has " + what + ": take generated files out of the repository, or raise " +
		"runner.max_paths")}
}

// readAhead reads the directories below that will be needed, together.
func (w *walk) readAhead(ctx context.Context, steps []step) error {
	var ids []string
	for _, s := range steps {
		if s.isTree() {
			ids = append(append(ids, s.object()), s.others...)
		}
	}
	return w.mirror.readMissing(ctx, ids)
}

// readMissing reads those directories that are not remembered, together.
func (m *Mirror) readMissing(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return m.trees[id] != nil })
	if len(ids) < 2 {
		return nil
	}
	return m.readTrees(ctx, ids[:min(len(ids), 2*maxAhead)])
}

// tree begins to read a directory.
func (m *Mirror) tree(ctx context.Context, id string) (*tree, error) {
	if m.trees[id] == nil {
		if err := m.readTrees(ctx, []string{id}); err != nil {
			return nil, err
		}
	}
	t := &tree{rest: m.trees[id], all: int64(len(m.trees[id])), size: len(id) / 2}
	return t, t.advance()
}

// readTrees reads directories and remembers them, the last one in any case.
func (m *Mirror) readTrees(ctx context.Context, ids []string) error {
	o, err := m.reader(ctx)
	if err != nil {
		return err
	}
	err = o.askAll(ctx, askContents, ids, maxPathName*m.repo.PathLimit(), func(n int, a answer) error {
		if a.kind != "tree" {
			return Damaged{fmt.Errorf("%w: the directory %s", ErrMissing, ids[n])}
		}
		if m.kept += a.size; m.kept > maxKept || m.trees == nil {
			m.trees, m.kept = make(map[string][]byte), a.size
		}
		m.trees[a.id] = a.data
		return nil
	})
	if errors.Is(err, errTooLarge) {
		return tooMany("a directory of more than its paths may have")
	}
	return err
}
