package blobs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/store"
)

// Progress is how far a search of all commits is.
type Progress struct {
	Searched int  // commits
	Left     int  // that are known; there may be more
	Found    int  // secrets, those of the tree included
	Skipped  int  // files of these commits that could not be searched though they may hold code
	Refused  int  // heads that the server does not hand out
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
	heads []string // that were reached, with all before them but for the rest
	lost  []string // that were not, though the server may have them
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
	h.found, h.Progress = make(map[sight]core.Finding), Progress{}
	if err := h.reach(ctx, m); err != nil {
		return err
	}
	for len(h.rest) > 0 {
		known, rest := len(h.known), h.rest
		whole, err := h.some(ctx, m)
		if err != nil {
			return err
		}
		if len(h.known) == known && (!whole || areSame(h.rest, rest)) { // it would come to the same again
			break
		}
	}
	return nil
}

// reach finds out which heads there are to be searched. A tag that names a file or a directory is none.
func (h *History) reach(ctx context.Context, m *mirror.Mirror) error {
	h.heads, h.lost = nil, nil
	for _, sha := range h.Heads {
		reached, err := m.Reach(ctx, sha)
		switch why := m.WhyNot(sha); {
		case err != nil:
			return err
		case reached:
			h.heads = append(h.heads, sha)
		case why == mirror.NoCommit:
		default:
			h.Refused++
			if why == mirror.Refused {
				h.lost = append(h.lost, sha)
			}
		}
	}
	h.rest = []core.Stretch{{Tips: h.heads}}
	return nil
}

func areSame(a, b []core.Stretch) bool {
	return slices.EqualFunc(a, b, func(a, b core.Stretch) bool {
		return slices.Equal(a.Tips, b.Tips) && slices.Equal(a.Bases, b.Bases) && a.Commits == b.Commits
	})
}

// some searches the next commits, the newest, and keeps that it did.
func (h *History) some(ctx context.Context, m *mirror.Mirror) (whole bool, err error) {
	result, err := Scan{Rules: h.Rules, Known: h.known, Skip: h.skip, Left: h.rest, Time: h.Time}.runPast(ctx, m)
	if err != nil {
		return false, err
	}
	rest := result.Coverage.Unread()
	whole = h.keep(result.History) && result.Whole
	var searched []string
	if whole && !areSame(rest, h.rest) {
		searched = slices.DeleteFunc(result.Commits, func(sha string) bool { return h.skip[sha] })
		h.count(result)
	}
	for _, sha := range searched {
		h.skip[sha] = true
	}
	for key, contents := range result.Fresh {
		h.known[key] = contents
	}
	if whole || !result.Whole {
		h.rest = rest
	}
	h.Left, h.Found = 0, len(h.found)
	for _, stretch := range h.rest {
		h.Left += max(stretch.Commits, 1)
	}
	if err := h.Jobs.RecordProgress(ctx, h.Project, h.Rules.Version(), searched, result.Fresh); err != nil {
		return false, err
	}
	h.Report(h.Progress)
	return whole, nil
}

// keep keeps what was found, in older commits than those before. It returns false if there is more than anybody could look at.
func (h *History) keep(found []core.Finding) (all bool) {
	all = true
	for _, f := range found {
		if _, known := h.found[sightOf(f)]; known || len(h.found) < gitleaks.MaxSecrets {
			h.found[sightOf(f)] = f
		} else {
			all = false
		}
	}
	return all
}

// count counts commits and files of a search that came to its end.
func (h *History) count(result Result) {
	files := core.Coverage{Left: result.Coverage.Left, History: result.Coverage.History}
	files.PutUnread(nil)
	h.Skipped += files.NotSearched()
	h.Searched += len(result.Commits)
}

// Reached are the heads that were searched with all that came before them, but for Rest.
func (h *History) Reached() []string { return h.heads }

// Rest are the commits of these heads that were not searched.
func (h *History) Rest() []core.Stretch { return h.rest }

// Lost are the heads that could not be searched, as the server refused them though it may have them.
func (h *History) Lost() []string { return h.lost }

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

// listLeft goes on with commits that an earlier scan left out. Those that the server does not have are reached by nothing any more.
func (s *search) listLeft(ctx context.Context, left core.Stretch) error {
	if s.isFull() {
		s.later = append(s.later, left)
		return nil
	}
	tips, err := s.reachable(ctx, left.Tips)
	if err != nil {
		return err
	}
	if refused := s.refusedOf(left.Tips, tips); len(refused) > 0 {
		left := core.Stretch{Tips: refused, Bases: left.Bases, Commits: left.Commits}
		if len(tips) > 0 {
			left.Commits = 1 // nobody knows how many of them
		}
		s.later = append(s.later, left)
	}
	if len(tips) == 0 {
		return nil
	}
	bases, err := s.reachable(ctx, left.Bases)
	if err == nil {
		err = s.listRange(ctx, mirror.Range{Heads: tips, Bases: bases})
	}
	if isTooMuch(err) {
		s.later = append(s.later, core.Stretch{Tips: tips, Bases: left.Bases, Commits: left.Commits})
		return nil
	}
	return err
}

// refusedOf are those of some commits that were not reached though the server may have them.
func (s *search) refusedOf(shas, reached []string) (refused []string) {
	for _, sha := range shas {
		if !slices.Contains(reached, sha) && s.mirror.WhyNot(sha) == mirror.Refused {
			refused = append(refused, sha)
		}
	}
	return refused
}
