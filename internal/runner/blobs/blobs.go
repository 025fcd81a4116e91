// Package blobs is the built-in search of a commit: it reads git's objects from a mirror instead of files, and each contents
// once in its life. So what a commit says about its files, by attributes, links or names, has no hold on the search.
package blobs

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
)

const (
	defaultHistory = 1000
	defaultWorkers = 2
	defaultTime    = 10 * time.Minute
	defaultPerFile = 30 * time.Second
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
	Branch  bool                  // without a base, the head is of a branch whose beginning nobody knows, which is told
	Pushed  []string              // further heads to be searched, that the present one may not reach
	Past    []core.Finding        // of an earlier scan, with their commits: what these had stays in history
	Left    []core.Stretch        // commits that earlier scans left out: it goes on with them as far as History goes
	Done    []string              // commits that were searched with all before them but for Left
	Skip    map[string]bool       // commits whose contents were searched: they need no search
	History int                   // commits that are searched, the newest; 1,000 by default
	Time    time.Duration         // for searching contents: what is not searched by then is left out; 10 minutes by default
	PerFile time.Duration         // for searching the contents of one file: those that take longer are left out; 30 seconds by default
	Workers int                   // contents that are searched at the same time; 2 by default
}

// Result is what a scan came to. It holds no secret.
type Result struct {
	Findings []core.Finding        // in the tree, by file and line
	History  []core.Finding        // in commits and not in the tree, each in the first commit that is known to have it
	Coverage core.Coverage         // searched now; left out of tree and commits, but for exempt files that were searched before
	Files    []mirror.File         // of the tree that have findings
	Fresh    core.SearchedContents // to be kept for later scans
	Commits  []string              // that were looked at
	Whole    bool                  // everything was searched but for the commits that Coverage.History tells
}

// search is one run of a scan.
type search struct {
	Scan
	mirror  *mirror.Mirror
	tree    []mirror.File
	past    []mirror.Change // where findings were before
	pastAt  []int           // which of Past these are
	lost    []core.Finding  // whose places the mirror does not have
	changes []mirror.Change
	done    map[mirror.Change]bool      // of these, what was searched: contents of which nothing is known are clean
	listed  int                         // commits whose changes these are
	ranges  []core.Stretch              // in which these are
	rest    []core.Stretch              // of these ranges, what is left out
	later   []core.Stretch              // commits of which none was looked at
	wanted  map[core.ContentsKey]string // contents to be searched, and a path of theirs; in the end those that were not
	placed  map[core.ContentsKey]bool   // contents whose findings are reported
	found   atomic.Int64
	slow    atomic.Bool  // contents took longer than PerFile
	mu      sync.Mutex   // guards the result while contents are searched
	stopped core.LeftOut // why contents are left that were not searched; empty while there is no reason
	result  Result
}

// Run searches the tree of a commit and the commits after the base. What the time or gitleaks.MaxSecrets leave out is
// coverage. Errors are those of the mirror and the end of the context. It may be called again after mirror.Damaged.
func (s Scan) Run(ctx context.Context, m *mirror.Mirror, head string) (Result, error) {
	run := newSearch(s.withDefaults(), m)
	if err := run.list(ctx, head); err != nil {
		return Result{}, err
	}
	if err := run.searchInTime(ctx); err != nil {
		return Result{}, err
	}
	run.place()
	return run.result, nil
}

func (s Scan) withDefaults() Scan {
	s.History, s.Workers, s.Time = cmp.Or(s.History, defaultHistory), cmp.Or(s.Workers, defaultWorkers), cmp.Or(s.Time, defaultTime)
	s.PerFile = cmp.Or(s.PerFile, defaultPerFile)
	return s
}

func newSearch(s Scan, m *mirror.Mirror) *search {
	return &search{
		Scan: s, mirror: m, wanted: make(map[core.ContentsKey]string), placed: make(map[core.ContentsKey]bool),
		done:   make(map[mirror.Change]bool),
		result: Result{Fresh: core.SearchedContents{}},
	}
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
		err := s.listTree(ctx, sha, func(f mirror.File) { before[f] = true })
		if err != nil && !isTooMuch(err) {
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
			s.past, s.pastAt = append(s.past, mirror.Change{Commit: s.Past[i].Commit, File: file}), append(s.pastAt, i)
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
		if !s.done[change] && !s.Skip[change.Commit] {
			want(change.File, true)
		}
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

// searchInTime searches the wanted contents. What was searched counts also if the time was too short for the rest, or more
// was found than anybody could look at: the next scan goes on from there.
func (s *search) searchInTime(ctx context.Context) error {
	searching, cancel := context.WithTimeout(ctx, s.Time)
	defer cancel()
	err := s.searchAll(searching)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, gitleaks.ErrTooManySecrets):
		s.stopped = core.LeftSecrets
	case errors.Is(searching.Err(), context.DeadlineExceeded) && err != nil:
		s.stopped = core.LeftTime
	case s.slow.Load() && err == nil:
		s.stopped = core.LeftTime
	default:
		s.result.Whole = true
		return err
	}
	return nil
}

// source is where a worker reads contents of files.
type source interface {
	Blob(ctx context.Context, id string, most int64) (data []byte, size int64, err error)
}

// searchAll reads and searches the wanted contents, with one git process for each worker, of which the mirror has the first.
func (s *search) searchAll(ctx context.Context) error {
	if len(s.wanted) == 0 {
		return nil
	}
	blobs := make([]string, 0, len(s.wanted))
	for key := range s.wanted {
		blobs = append(blobs, key.Blob)
	}
	slices.Sort(blobs)
	if err := s.mirror.Ensure(ctx, slices.Compact(blobs)); err != nil {
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
	workers.Go(func() error { return s.searchEach(working, s.mirror, keys) })
	for range min(s.Workers-1, len(s.wanted)/worthProcess) {
		workers.Go(func() error { return s.work(working, keys) })
	}
	err := workers.Wait()
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
	defer objects.Close()
	return s.searchEach(ctx, objects, keys)
}

func (s *search) searchEach(ctx context.Context, from source, keys <-chan core.ContentsKey) error {
	for key := range keys {
		if err := s.searchOne(ctx, from, key); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) searchOne(ctx context.Context, from source, key core.ContentsKey) error {
	data, size, err := from.Blob(ctx, key.Blob, gitleaks.MaxBlob)
	if errors.Is(err, mirror.ErrMissing) { // it was there a moment ago
		return mirror.Damaged{Err: err}
	}
	if err != nil {
		return err
	}
	var contents core.Contents
	if size > gitleaks.MaxBlob {
		contents.Coverage.LeaveOut(core.LeftSize, 1, "")
	} else {
		searching, cancel := context.WithTimeout(ctx, s.PerFile)
		defer cancel()
		contents, err = s.Rules.Search(searching, s.wanted[key], data)
		if err != nil && ctx.Err() == nil { // the next scan tries it again
			s.slow.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
	}
	if s.found.Add(int64(len(contents.Findings))) > gitleaks.MaxSecrets {
		return gitleaks.ErrTooManySecrets
	}
	path := core.Printable(s.wanted[key])
	contents.Coverage.Rename(func(name string) string { return strings.TrimPrefix(name, path) }) // they may stand at other paths too
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Coverage.Searched += contents.Coverage.Searched
	contents.Coverage.Searched = 0 // only this scan did
	s.result.Fresh[key] = contents
	return nil
}

// contentsOf is what is known of a file now. It is not searched yet where the search stopped before.
func (s *search) contentsOf(file mirror.File, remarkable map[string]bool) (key core.ContentsKey, contents core.Contents, searched bool) {
	if !remarkable[file.Blob] || s.Rules.Allowed(file.Path) {
		return core.ContentsKey{}, core.Contents{}, true
	}
	key = core.ContentsKey{Blob: file.Blob, Class: s.Rules.ClassOf(file.Path)}
	if contents, fresh := s.result.Fresh[key]; fresh {
		return key, contents, true
	}
	_, wanted := s.wanted[key]
	return key, s.Known[key], !wanted
}

// remarkable are the blobs of which anything is known but that they are clean, or that were not searched: the others need no
// look at their paths.
func (s *search) remarkable() map[string]bool {
	blobs := make(map[string]bool)
	for _, kept := range []core.SearchedContents{s.Known, s.result.Fresh} {
		for key, contents := range kept {
			if !contents.IsClean() {
				blobs[key.Blob] = true
			}
		}
	}
	for key := range s.wanted {
		blobs[key.Blob] = true
	}
	return blobs
}

// place reports what is known of the contents at all paths that have them.
func (s *search) place() {
	maps.DeleteFunc(s.wanted, func(key core.ContentsKey, _ string) bool {
		_, searched := s.result.Fresh[key]
		return searched
	})
	remarkable := s.remarkable()
	s.placeInTree(remarkable)
	if !s.placeInHistory(remarkable) { // the next scan looks at all these commits again
		s.rest, s.result.Whole = s.ranges, false
	}
	for _, left := range slices.Concat(s.rest, s.later) {
		s.result.Coverage.LeaveCommits(left)
	}
	if s.result.Whole { // contents of a commit that was searched are clean if nothing is kept of them
		maps.DeleteFunc(s.result.Fresh, func(_ core.ContentsKey, c core.Contents) bool { return c.IsClean() })
	}
}

// placeInTree reports the findings of the tree.
func (s *search) placeInTree(remarkable map[string]bool) {
	s.putFirst(remarkable)
	for _, file := range s.tree {
		s.placeFile(file, remarkable)
	}
	slices.SortStableFunc(s.result.Findings, func(a, b core.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.RuleID, b.RuleID))
	})
}

// putFirst puts the files first that the commits brought, where the tree has more findings than are reported: the others are
// known.
func (s *search) putFirst(remarkable map[string]bool) {
	all := 0
	for _, file := range s.tree {
		_, contents, _ := s.contentsOf(file, remarkable)
		all += len(contents.Findings)
	}
	if all <= gitleaks.MaxSecrets {
		return
	}
	brought := make(map[mirror.File]bool)
	for _, change := range s.changes {
		brought[change.File] = true
	}
	rank := func(f mirror.File) int {
		if brought[f] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(s.tree, func(a, b mirror.File) int { return rank(a) - rank(b) })
}

func (s *search) placeFile(file mirror.File, remarkable map[string]bool) {
	key, contents, searched := s.contentsOf(file, remarkable)
	s.placed[key] = true
	s.result.Coverage.Add(contents.CoverageAt(file.Path))
	switch {
	case !searched:
		s.result.Coverage.LeaveOut(s.stopped, 1, core.Printable(file.Path))
	case !s.hasRoom(contents):
		s.result.Coverage.LeaveOut(core.LeftSecrets, 1, core.Printable(file.Path))
	case len(contents.Findings) > 0:
		s.result.Files = append(s.result.Files, file)
		s.result.Findings = append(s.result.Findings, contents.At(file.Path)...)
	}
}

// sight is what a secret is wherever it is: many contents have the same one.
type sight struct{ rule, hash string }

func sightOf(f core.Finding) sight { return sight{f.RuleID, f.SecretHash} }

// sights are the secrets that are reported.
type sights struct {
	seen   map[sight]bool
	former map[formerSight]bool // what those that are in the tree looked like before secrets had hashes
}

// formerSight is what a secret looked like, wherever it was. The mask alone would not tell enough, as it has few digits.
type formerSight struct{ rule, mask, snippet, file string }

func formerSightOf(f *core.Finding) formerSight {
	f = f.Formerly()
	if f.Snippet == "" { // it is encoded in the file
		return formerSight{f.RuleID, f.PartialFingerprint, "", f.File}
	}
	return formerSight{f.RuleID, secrets.MaskIn(f.Snippet), f.Snippet, ""}
}

// isNew tells whether a finding in history is to be reported: nothing is that is reported already, or was before as what is in the tree.
func (s sights) isNew(f core.Finding) bool {
	known := s.seen[sightOf(f)]
	s.seen[sightOf(f)] = true
	if f.SecretHash == "" {
		former := formerSightOf(&f)
		known = s.former[former]
		s.former[former] = true
	}
	return !known
}

func sightsOf(tree []core.Finding) sights {
	s := sights{make(map[sight]bool), make(map[formerSight]bool)}
	for i := range tree {
		s.seen[sightOf(tree[i])], s.former[formerSightOf(&tree[i])] = true, true
	}
	return s
}

// placeInHistory reports what only former commits have, in the oldest of them. What the tree has too, at whatever path and
// in whatever contents, is a finding of the tree. What was in history before stays there, however much it is. It returns
// false if not everything that the commits brought is searched and reported.
func (s *search) placeInHistory(remarkable map[string]bool) (whole bool) {
	seen := sightsOf(s.result.Findings)
	whole = true
	for n, change := range slices.Concat(s.past, s.changes) {
		key, contents, searched := s.contentsOf(change.File, remarkable)
		isPast := n < len(s.past)
		switch {
		case s.placed[key] && (searched || isPast):
		case !searched && isPast:
			s.lost = append(s.lost, s.Past[s.pastAt[n]])
		case !searched, !isPast && !s.hasRoom(contents):
			whole = false
		default:
			s.placed[key] = true
			if !isPast {
				s.result.Coverage.Add(contents.CoverageAt(change.Path))
			}
			s.placeInCommit(change, contents, seen)
		}
	}
	for _, f := range s.lost {
		if seen.isNew(f) {
			s.result.History = append(s.result.History, f)
		}
	}
	return whole
}

func (s *search) placeInCommit(change mirror.Change, contents core.Contents, seen sights) {
	for _, f := range contents.At(change.Path) {
		if seen.isNew(f) {
			f.Commit = change.Commit
			s.result.History = append(s.result.History, f)
		}
	}
}

// hasRoom tells whether a scan may have these findings too. Few contents may stand at so many paths that their findings would
// fill the memory, so it is asked before they are made.
func (s *search) hasRoom(contents core.Contents) bool {
	return len(contents.Findings) == 0 || len(s.result.Findings)+len(s.result.History)+len(contents.Findings) <= gitleaks.MaxSecrets
}
