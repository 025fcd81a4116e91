// Package blobs is the built-in search of a commit: it reads git's objects from a mirror instead of files, and each contents
// once in its life. So what a commit says about its files, by attributes, links or names, has no hold on the search.
package blobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const (
	defaultHistory = 1000
	defaultWorkers = 2
	worthProcess   = 20 // contents to read, for which one more process of git is worth its start
)

// Scan says how commits are searched. The zero value of every field but Rules is its default.
type Scan struct {
	Rules   *gitleaks.Rules
	Known   core.SearchedContents // what earlier scans of the project came to with the same rules
	Trees   []string              // commits whose trees were searched with the same rules: what they have needs no search
	Base    string                // the commits after it are searched; empty to search the tree alone
	Whole   bool                  // nothing that came before the base counts: the base brings its tree
	Root    bool                  // without a base, all commits before the head are searched
	Pushed  []string              // further heads to be searched, that the present one may not reach
	Past    []core.Finding        // of an earlier scan, with their commits: what these had stays in history
	History int                   // commits after the base that are searched, the newest; 1,000 by default
	Workers int                   // contents that are searched at the same time; 2 by default
}

// Result is what a scan came to. It holds no secret.
type Result struct {
	Findings []core.Finding        // in the tree, by file and line
	History  []core.Finding        // in commits and not in the tree, each in the first commit that is known to have it
	Coverage core.Coverage         // searched now; left out of tree and commits, but for exempt files that were searched before
	Files    []mirror.File         // of the tree that have findings
	Fresh    core.SearchedContents // to be kept for later scans
}

// search is one run of a scan.
type search struct {
	Scan
	mirror  *mirror.Mirror
	tree    []mirror.File
	past    []mirror.Change // where findings were before
	lost    []core.Finding  // whose places the mirror does not have
	changes []mirror.Change
	wanted  map[core.ContentsKey]string // contents to be searched, and a path of theirs
	placed  map[core.ContentsKey]bool   // contents whose findings are reported
	found   atomic.Int64
	mu      sync.Mutex // guards the result while contents are searched
	result  Result
}

// Run searches the tree of a commit and the commits after the base. Errors are those of the mirror, the end of the context,
// and gitleaks.ErrTooManySecrets. It may be called again after mirror.Damaged.
func (s Scan) Run(ctx context.Context, m *mirror.Mirror, head string) (Result, error) {
	s.History, s.Workers = cmp.Or(s.History, defaultHistory), cmp.Or(s.Workers, defaultWorkers)
	run := &search{Scan: s, mirror: m, wanted: make(map[core.ContentsKey]string), placed: make(map[core.ContentsKey]bool), result: Result{Fresh: core.SearchedContents{}}}
	if err := run.list(ctx, head); err != nil {
		return Result{}, err
	}
	if err := run.searchAll(ctx); err != nil {
		return Result{}, err
	}
	if err := run.place(); err != nil {
		return Result{}, err
	}
	return run.result, nil
}

// list finds out which contents the head and the commits before it have that are not searched yet.
func (s *search) list(ctx context.Context, head string) error {
	submodules, err := s.mirror.Files(ctx, head, func(f mirror.File) { s.tree = append(s.tree, f) })
	if err != nil {
		return err
	}
	s.result.Coverage.LeaveOut(core.LeftSubmodule, submodules)
	before := make(map[mirror.File]bool)
	for _, sha := range s.Trees {
		if err := s.listTree(ctx, sha, func(f mirror.File) { before[f] = true }); err != nil {
			return err
		}
	}
	if err := s.listHistory(ctx, head); err != nil {
		return err
	}
	if err := s.listPast(ctx); err != nil {
		return err
	}
	s.wantAll(before)
	return nil
}

// listTree lists the files of a commit, unless the server does not hand it out.
func (s *search) listTree(ctx context.Context, sha string, each func(mirror.File)) error {
	reached, err := s.mirror.Reach(ctx, sha)
	if err == nil && reached {
		_, err = s.mirror.Files(ctx, sha, each)
	}
	return err
}

// listHistory lists what the commits after the base bring. Where the base is gone nobody knows which these are.
func (s *search) listHistory(ctx context.Context, head string) error {
	if s.Base == "" && !s.Root {
		return nil
	}
	if s.Base != "" {
		if reached, err := s.reach(ctx, s.Base); !reached {
			return err
		}
	}
	heads := []string{head}
	for _, sha := range s.Pushed {
		reached, err := s.reach(ctx, sha)
		if err != nil {
			return err
		}
		if reached {
			heads = append(heads, sha)
		}
	}
	if s.Whole {
		err := s.listTree(ctx, s.Base, func(f mirror.File) { s.changes = append(s.changes, mirror.Change{Commit: s.Base, File: f}) })
		if err != nil {
			return err
		}
	}
	history, err := s.mirror.Between(ctx, s.Base, heads, s.History)
	if err != nil {
		return err
	}
	s.changes = append(s.changes, history.Changes...)
	beyond := history.Beyond
	if history.Open { // at least one
		beyond = max(beyond, 1)
	}
	s.result.Coverage.LeaveOut(core.LeftHistory, beyond)
	return nil
}

// reach makes sure that a commit is there, or tells that at least one is not searched.
func (s *search) reach(ctx context.Context, sha string) (bool, error) {
	reached, err := s.mirror.Reach(ctx, sha)
	if err == nil && !reached {
		s.result.Coverage.LeaveOut(core.LeftHistory, 1)
	}
	return reached, err
}

// listPast lists the files in which findings were before: today's rules decide what is in them.
func (s *search) listPast(ctx context.Context) error {
	places := make([]mirror.Place, len(s.Past))
	for i, f := range s.Past {
		places[i] = mirror.Place{Commit: f.Commit, Path: f.File}
	}
	files, err := s.mirror.Find(ctx, places)
	if err != nil {
		return err
	}
	for i, file := range files {
		if file.Blob == "" {
			s.lost = append(s.lost, s.Past[i])
		} else {
			s.past = append(s.past, mirror.Change{Commit: s.Past[i].Commit, File: file})
		}
	}
	return nil
}

// wantAll notes what is to be searched, each file once, and tells what is exempt.
func (s *search) wantAll(before map[mirror.File]bool) {
	want := func(file mirror.File, tell bool) {
		if !before[file] {
			s.want(file, tell)
		}
		before[file] = true
	}
	for _, file := range s.tree {
		want(file, true)
	}
	for _, change := range s.changes {
		want(change.File, true)
	}
	for _, place := range s.past {
		want(place.File, false)
	}
}

// want notes a file whose contents are to be searched, unless they were before or the rules exempt it.
func (s *search) want(file mirror.File, tell bool) {
	if s.Rules.Allowed(file.Path) {
		if tell {
			s.result.Coverage.LeaveOut(core.LeftAllowed, 1, core.Printable(file.Path))
		}
		return
	}
	key := core.ContentsKey{Blob: file.Blob, Class: s.Rules.ClassOf(file.Path)}
	_, known := s.Known[key]
	if _, wanted := s.wanted[key]; !known && !wanted {
		s.wanted[key] = file.Path
	}
}

// searchAll reads and searches the wanted contents, with one git process for each worker.
func (s *search) searchAll(ctx context.Context) error {
	if len(s.wanted) == 0 {
		return nil
	}
	blobs := make([]string, 0, len(s.wanted))
	for key := range s.wanted {
		blobs = append(blobs, key.Blob)
	}
	slices.Sort(blobs)
	objects, err := s.mirror.Objects(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = objects.Close() }()
	if err := objects.Ensure(ctx, slices.Compact(blobs)); err != nil {
		return err
	}
	workers, working := errgroup.WithContext(ctx)
	keys := make(chan core.ContentsKey)
	workers.Go(func() error {
		defer close(keys)
		for key := range s.wanted {
			select {
			case keys <- key:
			case <-working.Done():
				return nil
			}
		}
		return nil
	})
	workers.Go(func() error { return s.searchEach(working, objects, keys) })
	for range min(s.Workers-1, len(s.wanted)/worthProcess) {
		workers.Go(func() error { return s.work(working, keys) })
	}
	err = workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// work is a further worker.
func (s *search) work(ctx context.Context, keys <-chan core.ContentsKey) error {
	objects, err := s.mirror.Objects(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = objects.Close() }()
	return s.searchEach(ctx, objects, keys)
}

func (s *search) searchEach(ctx context.Context, objects *mirror.Objects, keys <-chan core.ContentsKey) error {
	for key := range keys {
		if err := s.searchOne(ctx, objects, key); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) searchOne(ctx context.Context, objects *mirror.Objects, key core.ContentsKey) error {
	data, size, err := objects.Blob(ctx, key.Blob, gitleaks.MaxBlob)
	if errors.Is(err, mirror.ErrMissing) { // it was there a moment ago
		return mirror.Damaged{Err: err}
	}
	if err != nil {
		return err
	}
	var contents core.Contents
	if size > gitleaks.MaxBlob {
		contents.Coverage.LeaveOut(core.LeftSize, 1, "")
	} else if contents, err = s.Rules.Search(ctx, s.wanted[key], data); err != nil {
		return err
	}
	if s.found.Add(int64(len(contents.Findings))) > gitleaks.MaxSecrets {
		return gitleaks.ErrTooManySecrets
	}
	withoutPath(contents.Coverage, s.wanted[key])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Coverage.Searched += contents.Coverage.Searched
	if len(contents.Findings) > 0 || len(contents.Coverage.Left) > 0 {
		contents.Coverage.Searched = 0 // only this scan did
		s.result.Fresh[key] = contents
	}
	return nil
}

// withoutPath makes names relative to the path at which contents were searched: they may stand at others too.
func withoutPath(c core.Coverage, path string) {
	path = core.Printable(path)
	for _, left := range c.Left {
		for i, name := range left.Names {
			left.Names[i] = strings.TrimPrefix(name, path)
		}
	}
}

// contentsOf is what is known of a file now.
func (s *search) contentsOf(file mirror.File, remarkable map[string]bool) (core.ContentsKey, core.Contents) {
	if !remarkable[file.Blob] || s.Rules.Allowed(file.Path) {
		return core.ContentsKey{}, core.Contents{}
	}
	key := core.ContentsKey{Blob: file.Blob, Class: s.Rules.ClassOf(file.Path)}
	if contents, fresh := s.result.Fresh[key]; fresh {
		return key, contents
	}
	return key, s.Known[key]
}

// remarkable are the blobs of which anything is kept: the others need no look at their paths.
func (s *search) remarkable() map[string]bool {
	blobs := make(map[string]bool)
	for _, kept := range []core.SearchedContents{s.Known, s.result.Fresh} {
		for key := range kept {
			blobs[key.Blob] = true
		}
	}
	return blobs
}

// place reports what is known of the contents at all paths that have them.
func (s *search) place() error {
	remarkable := s.remarkable()
	if err := s.placeInTree(remarkable); err != nil {
		return err
	}
	return s.placeInHistory(remarkable)
}

func (s *search) placeInTree(remarkable map[string]bool) error {
	for _, file := range s.tree {
		key, contents := s.contentsOf(file, remarkable)
		s.placed[key] = true
		findings, err := s.at(file.Path, contents)
		if err != nil {
			return err
		}
		s.result.Coverage.Add(contents.CoverageAt(file.Path))
		if len(findings) > 0 {
			s.result.Files = append(s.result.Files, file)
		}
		s.result.Findings = append(s.result.Findings, findings...)
	}
	slices.SortStableFunc(s.result.Findings, func(a, b core.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.RuleID, b.RuleID))
	})
	return nil
}

// sight is what a secret looks like wherever it is: many contents have the same one. The mask alone would not tell enough, as
// it has few digits.
type sight struct{ rule, mask, snippet, file string }

func sightOf(f core.Finding) sight {
	if f.Snippet == "" { // it is encoded in the file
		return sight{f.RuleID, f.PartialFingerprint, "", f.File}
	}
	return sight{f.RuleID, f.PartialFingerprint, f.Snippet, ""}
}

// placeInHistory reports what only former commits have, in the oldest of them. What the tree has too, at whatever path and
// in whatever contents, is a finding of the tree.
func (s *search) placeInHistory(remarkable map[string]bool) error {
	seen := make(map[sight]bool)
	for _, f := range s.result.Findings {
		seen[sightOf(f)] = true
	}
	for n, change := range slices.Concat(s.past, s.changes) {
		key, contents := s.contentsOf(change.File, remarkable)
		if s.placed[key] {
			continue
		}
		s.placed[key] = true
		if n >= len(s.past) {
			s.result.Coverage.Add(contents.CoverageAt(change.Path))
		}
		if err := s.placeInCommit(change, contents, seen); err != nil {
			return err
		}
	}
	for _, f := range s.lost {
		if look := sightOf(f); !seen[look] {
			seen[look] = true
			s.result.History = append(s.result.History, f)
		}
	}
	return s.bounded(0)
}

func (s *search) placeInCommit(change mirror.Change, contents core.Contents, seen map[sight]bool) error {
	findings, err := s.at(change.Path, contents)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if look := sightOf(f); !seen[look] {
			seen[look] = true
			f.Commit = change.Commit
			s.result.History = append(s.result.History, f)
		}
	}
	return nil
}

// at returns the findings of contents at a path. Few contents may stand at so many paths that their findings would fill the
// memory, so these are counted first.
func (s *search) at(path string, contents core.Contents) ([]core.Finding, error) {
	if err := s.bounded(len(contents.Findings)); err != nil {
		return nil, err
	}
	return contents.At(path), nil
}

// bounded fails if so many more findings are too many.
func (s *search) bounded(more int) error {
	if len(s.result.Findings)+len(s.result.History)+more > gitleaks.MaxSecrets {
		return gitleaks.ErrTooManySecrets
	}
	return nil
}

// LayOut writes files of the mirror below a directory, plain ones whatever they are in the commit, for those who show the code
// around findings. A file whose path the system does not take is left out.
func LayOut(ctx context.Context, m *mirror.Mirror, files []mirror.File, dir string) error {
	if len(files) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("laying out files: %w", err)
	}
	defer func() { _ = root.Close() }()
	var ids []string
	for _, file := range files {
		ids = append(ids, file.Blob)
	}
	objects, err := m.Objects(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = objects.Close() }()
	if err := objects.Ensure(ctx, ids); err != nil {
		return err
	}
	for _, file := range files {
		data, _, err := objects.Blob(ctx, file.Blob, gitleaks.MaxBlob)
		if err != nil {
			return err
		}
		if err := write(root, file.Path, data); err != nil {
			return fmt.Errorf("laying out files: %w", err)
		}
	}
	return nil
}

// write writes a file unless the system does not take its path. It fails for faults of the host only.
func write(root *os.Root, path string, data []byte) error {
	name := filepath.FromSlash(path)
	err := root.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = root.WriteFile(name, data, 0o600)
	}
	return sandbox.Place{Dir: filepath.Dir(root.Name())}.FaultOf(err)
}
