package blobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/store"
)

// Progress is how far a search of all commits is.
type Progress struct {
	Searched int  // commits
	Left     int  // that are known; there may be more
	Found    int  // secrets, those of the tree included
	Skipped  int  // files of these commits that could not be searched though they may hold code
	Waiting  bool // for another scan to end
}

// History searches all commits that some heads reach, some at a time, and keeps in the store which it has searched: it goes on there
// when it was interrupted. All fields but Time must be set.
type History struct {
	Jobs    *store.Store
	Project int64
	Rules   *gitleaks.Rules
	Heads   []string
	Time    time.Duration // for searching some commits; see Scan
	Report  func(Progress)

	Progress
	rest  []core.Stretch
	skip  map[string]bool
	known core.SearchedContents
	found map[sight]core.Finding
}

// Run searches until nothing is left, or what is left cannot be searched. It may be called again after mirror.Damaged: what is kept
// is not read again.
func (h *History) Run(ctx context.Context, m *mirror.Mirror) (err error) {
	if h.skip, h.known, err = h.Jobs.LoadProgress(ctx, h.Project, h.Rules.Version()); err != nil {
		return err
	}
	h.rest, h.found, h.Progress = []core.Stretch{{Tips: h.Heads}}, make(map[sight]core.Finding), Progress{}
	for len(h.rest) > 0 {
		before := len(h.known)
		whole, err := h.some(ctx, m)
		if err != nil {
			return err
		}
		if !whole && len(h.known) == before { // it would come to the same again
			break
		}
	}
	return nil
}

// some searches the next commits, the newest, and keeps that it did.
func (h *History) some(ctx context.Context, m *mirror.Mirror) (whole bool, err error) {
	result, err := Scan{Rules: h.Rules, Known: h.known, Skip: h.skip, Left: h.rest, Time: h.Time}.runPast(ctx, m)
	if err != nil {
		return false, err
	}
	var searched []string
	if result.Whole {
		searched = slices.DeleteFunc(result.Commits, func(sha string) bool { return h.skip[sha] })
		h.count(result)
	}
	for _, sha := range searched {
		h.skip[sha] = true
	}
	for key, contents := range result.Fresh {
		h.known[key] = contents
	}
	for _, f := range result.History { // of older commits than those before
		h.found[sightOf(f)] = f
	}
	h.rest, h.Left, h.Found = result.Coverage.Unread(), 0, len(h.found)
	for _, stretch := range h.rest {
		h.Left += stretch.Commits
	}
	if err := h.Jobs.RecordProgress(ctx, h.Project, h.Rules.Version(), searched, result.Fresh); err != nil {
		return false, err
	}
	h.Report(h.Progress)
	return result.Whole, nil
}

// count counts commits and files of a search that came to its end.
func (h *History) count(result Result) {
	files := core.Coverage{Left: result.Coverage.Left}
	files.PutUnread(nil)
	h.Skipped += files.NotSearched()
	h.Searched += len(result.Commits)
}

// Rest are the commits that were not searched.
func (h *History) Rest() []core.Stretch { return h.rest }

// Findings are what was found, each in the oldest of the commits that have it, by file and line.
func (h *History) Findings() (found []core.Finding) {
	for _, f := range h.found {
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b core.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.RuleID, b.RuleID), cmp.Compare(a.Commit, b.Commit))
	})
	return found
}

// runPast searches the commits of Left alone, and no tree. Its result has no findings but those in history.
func (s Scan) runPast(ctx context.Context, m *mirror.Mirror) (Result, error) {
	run := newSearch(s.withDefaults(), m)
	for _, left := range s.Left {
		if err := run.listLeft(ctx, left); err != nil {
			return Result{}, err
		}
	}
	run.wantAll(make(map[mirror.File]bool))
	if err := run.searchInTime(ctx); err != nil {
		return Result{}, err
	}
	run.place()
	return run.result, nil
}

// listLeft goes on with commits that an earlier scan left out. Those that the server does not hand out are reached by nothing
// any more.
func (s *search) listLeft(ctx context.Context, left core.Stretch) error {
	if s.isFull() {
		s.later = append(s.later, left)
		return nil
	}
	tips, err := s.reachable(ctx, left.Tips)
	if err != nil || len(tips) == 0 {
		return err
	}
	bases, err := s.reachable(ctx, left.Bases)
	if err == nil {
		err = s.listRange(ctx, mirror.Range{Heads: tips, Bases: bases})
	}
	if errors.As(err, new(sandbox.LimitExceeded)) { // the next of them brings too many paths
		s.later = append(s.later, left)
		return nil
	}
	return err
}
