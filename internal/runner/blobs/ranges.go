package blobs

import (
	"context"
	"errors"
	"slices"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// listHistory lists what the commits after the base bring, and then of those that earlier scans left out.
func (s *search) listHistory(ctx context.Context, head string) error {
	if err := s.listPushed(ctx, head); err != nil {
		return err
	}
	for _, left := range s.Left {
		if err := s.listLeft(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// listPushed lists what the commits after the base bring. Where the base is gone nobody knows which these are.
func (s *search) listPushed(ctx context.Context, head string) error {
	if s.Base == "" && !s.Root {
		if s.Branch {
			s.later = append(s.later, core.Stretch{Tips: []string{head}})
		}
		return nil
	}
	pushed, err := s.reachable(ctx, s.Pushed)
	if err != nil {
		return err
	}
	s.result.Coverage.LeaveOut(core.LeftHistory, len(s.Pushed)-len(pushed))
	r := mirror.Range{Heads: append([]string{head}, pushed...), Done: s.Done}
	if s.Base == "" {
		return s.listWithinLimits(ctx, r)
	}
	reached, err := s.mirror.Reach(ctx, s.Base)
	if err != nil {
		return err
	}
	if !reached {
		s.later = append(s.later, core.Stretch{Tips: r.Heads, Commits: 1})
		return nil
	}
	if s.Whole {
		err := s.listTree(ctx, s.Base, func(f mirror.File) { s.changes = append(s.changes, mirror.Change{Commit: s.Base, File: f}) })
		if isTooMuch(err) {
			s.later, err = append(s.later, core.Stretch{Tips: []string{s.Base}, Commits: 1}), nil
		}
		if err != nil {
			return err
		}
	}
	r.Bases = []string{s.Base}
	return s.listWithinLimits(ctx, r)
}

// listWithinLimits lists what the newest commits of a range bring, or leaves them out where one of them is too large for that.
func (s *search) listWithinLimits(ctx context.Context, r mirror.Range) error {
	err := s.listRange(ctx, r)
	if isTooMuch(err) {
		s.later = append(s.later, core.Stretch{Tips: r.Heads, Bases: slices.Concat(r.Bases, r.Done), Commits: 1})
		return nil
	}
	return err
}

// isTooMuch tells whether a commit is larger than can be listed, which it will be for the next scan too.
func isTooMuch(err error) bool { return errors.As(err, new(sandbox.LimitExceeded)) }

// listRange lists what the newest commits of a range bring, as many as may still be searched.
func (s *search) listRange(ctx context.Context, r mirror.Range) error {
	history, err := s.mirror.Between(ctx, r, s.History-s.listed)
	if err != nil {
		return err
	}
	s.changes = append(s.changes, history.Changes...)
	for _, change := range history.Changes {
		s.done[change] = history.Done[change.Commit] // what was left out is listed again, without it
	}
	for _, sha := range history.Commits {
		if !history.Done[sha] { // or a long branch would never go on with what it left out
			s.listed++
		}
	}
	s.result.Commits = append(s.result.Commits, history.Commits...)
	if len(history.Commits) > 0 {
		s.ranges = append(s.ranges, core.Stretch{Tips: r.Heads, Bases: r.Bases, Commits: len(history.Commits) + history.Beyond})
	}
	if len(history.Tips) > 0 {
		s.rest = append(s.rest, core.Stretch{Tips: history.Tips, Bases: slices.Concat(r.Bases, r.Done), Commits: max(history.Beyond, 1)})
	}
	return nil
}

// reachable are those of the commits that the mirror has or the server hands out.
func (s *search) reachable(ctx context.Context, shas []string) (reached []string, err error) {
	for _, sha := range shas {
		known, err := s.mirror.Reach(ctx, sha)
		if err != nil {
			return nil, err
		}
		if known {
			reached = append(reached, sha)
		}
	}
	return reached, nil
}

// isFull tells whether a scan takes no more commits: their number is bounded, and what they bring fills the memory.
func (s *search) isFull() bool {
	return s.listed >= s.History || int64(len(s.changes)) >= s.mirror.PathLimit()
}
