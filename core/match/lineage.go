package match

import (
	"sort"

	"github.com/scanhook/scanhook/core"
)

// lineage maps lines between two commits, in both directions.
type lineage struct {
	known        bool // false without Changes
	reordered    bool // there are files whose lines have only changed places
	byOld, byNew map[string]*core.FileChange
	moved        map[string]string // see movedCheckout
}

func newLineage(changes *core.Changes) lineage {
	if changes == nil {
		return lineage{}
	}
	l := lineage{known: true, byOld: map[string]*core.FileChange{}, byNew: map[string]*core.FileChange{}}
	for i := range changes.Files {
		change := &changes.Files[i]
		l.reordered = l.reordered || change.Reordered
		if change.Old != "" {
			l.byOld[change.Old] = change
		}
		if change.New != "" {
			l.byNew[change.New] = change
		}
	}
	return l
}

// oldFile is the name that a file had; its present one if unknown.
func (l lineage) oldFile(file string) string {
	if was, moved := l.moved[file]; moved {
		return was
	}
	if change := l.byNew[file]; change != nil && change.Old != "" {
		return change.Old
	}
	return file
}

// newFile is the name that a file has now, which is the one that it had if nothing is known.
func (l lineage) newFile(file string) (name string, deleted bool) {
	change := l.byOld[file]
	if change == nil {
		return file, false
	}
	return change.New, change.New == ""
}

// isReordered tells whether the lines of a file have only changed places.
func isReordered(change *core.FileChange) bool { return change != nil && change.Reordered }

// before finds the old place of a line; ok is false for a new line, or if unknown.
func (l lineage) before(at place) (was place, ok bool) {
	change := l.byNew[at.file]
	_, moved := l.moved[at.file]
	switch {
	case !l.known || at.file == "" || at.line < 1 || moved:
		return place{}, false
	case change == nil:
		return at, true
	case change.Old == "" || change.Opaque:
		return place{}, false
	}
	line, ok := follow(change.Hunks, at.line, reversed)
	return place{change.Old, line}, ok
}

// after finds the present place of an old line; ok is false for a deleted line, or if unknown.
func (l lineage) after(at place) (is place, ok bool) {
	change := l.byOld[at.file]
	switch {
	case !l.known || at.file == "" || at.line < 1:
		return place{}, false
	case change == nil:
		return at, true
	case change.New == "" || change.Opaque:
		return place{}, false
	}
	line, ok := follow(change.Hunks, at.line, func(h core.Hunk) core.Hunk { return h })
	return place{change.New, line}, ok
}

func reversed(h core.Hunk) core.Hunk {
	return core.Hunk{OldLine: h.NewLine, OldCount: h.NewCount, NewLine: h.OldLine, NewCount: h.OldCount}
}

// follow maps a line from the old side of the hunks to the new side; turn exchanges the sides.
func follow(hunks []core.Hunk, line int, turn func(core.Hunk) core.Hunk) (int, bool) {
	next := sort.Search(len(hunks), func(i int) bool {
		begin, _ := oldLines(turn(hunks[i]))
		return begin > line
	})
	if next == 0 {
		return line, true
	}
	last := turn(hunks[next-1])
	_, oldEnd := oldLines(last)
	_, newEnd := oldLines(reversed(last))
	return line - oldEnd + newEnd, line >= oldEnd
}

// oldLines is the range of lines on the old side of a hunk, without its end.
func oldLines(h core.Hunk) (begin, end int) {
	if h.OldCount == 0 {
		return h.OldLine + 1, h.OldLine + 1
	}
	return h.OldLine, h.OldLine + h.OldCount
}

// hunkOf is the number of the hunk that a line is in, from 1; 0 for a line that did not change, or if unknown.
func (l lineage) hunkOf(at place) int { return within(l.byNew[at.file], at.line, reversed) }

// oldHunkOf is hunkOf of a line of the older commit.
func (l lineage) oldHunkOf(at place) int {
	return within(l.byOld[at.file], at.line, func(h core.Hunk) core.Hunk { return h })
}

func within(change *core.FileChange, line int, turn func(core.Hunk) core.Hunk) int {
	if change == nil || change.Opaque || line < 1 {
		return 0
	}
	n := sort.Search(len(change.Hunks), func(i int) bool {
		begin, _ := oldLines(turn(change.Hunks[i]))
		return begin > line
	})
	if n == 0 {
		return 0
	}
	if _, end := oldLines(turn(change.Hunks[n-1])); line >= end {
		return 0
	}
	return n
}
