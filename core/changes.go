package core

import "sort"

// Changes is what became of the lines of one commit in another one, as git's diff tells it.
type Changes struct {
	Base  string       // the older commit's id
	Files []FileChange // every file that is not the same in both commits
}

// FileChange is a file that differs between two commits.
type FileChange struct {
	Old, New string // paths; Old is empty for a file that was added, New for one that was deleted
	Hunks    []Hunk // in the order of the file, without lines of context
	Opaque   bool   // it is not known which lines are the same
}

// Hunk is a run of lines that were replaced by others. A count of 0 makes the line the one before the gap, as in a
// diff.
type Hunk struct{ OldLine, OldCount, NewLine, NewCount int }

// place is a line of a file.
type place struct {
	file string
	line int
}

// lineage follows lines from one commit into another, in both directions. Without Changes it knows nothing.
type lineage struct {
	known        bool
	byOld, byNew map[string]*FileChange
}

func newLineage(changes *Changes) lineage {
	if changes == nil {
		return lineage{}
	}
	l := lineage{known: true, byOld: map[string]*FileChange{}, byNew: map[string]*FileChange{}}
	for i := range changes.Files {
		change := &changes.Files[i]
		if change.Old != "" {
			l.byOld[change.Old] = change
		}
		if change.New != "" {
			l.byNew[change.New] = change
		}
	}
	return l
}

// oldFile is the name that a file had; its own where nothing else is known.
func (l lineage) oldFile(file string) string {
	if change := l.byNew[file]; change != nil && change.Old != "" {
		return change.Old
	}
	return file
}

// before finds the line that a line was; ok is false where it is new or not known.
func (l lineage) before(at place) (was place, ok bool) {
	change := l.byNew[at.file]
	switch {
	case !l.known || at.file == "" || at.line < 1:
		return place{}, false
	case change == nil:
		return at, true
	case change.Old == "" || change.Opaque:
		return place{}, false
	}
	line, ok := follow(change.Hunks, at.line, Hunk.reversed)
	return place{change.Old, line}, ok
}

// after finds the line that a line of the older commit became; ok is false where it is gone or not known.
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
	line, ok := follow(change.Hunks, at.line, func(h Hunk) Hunk { return h })
	return place{change.New, line}, ok
}

func (h Hunk) reversed() Hunk { return Hunk{h.NewLine, h.NewCount, h.OldLine, h.OldCount} }

// follow takes a line from the old side of the hunks, as seen through turn, to their new side.
func follow(hunks []Hunk, line int, turn func(Hunk) Hunk) (int, bool) {
	next := sort.Search(len(hunks), func(i int) bool { return firstOf(turn(hunks[i]).old()) > line })
	if next == 0 {
		return line, true
	}
	last := turn(hunks[next-1])
	_, oldEnd := last.old()
	_, newEnd := last.reversed().old()
	return line - oldEnd + newEnd, line >= oldEnd
}

// old is the range of lines on the old side, without its end.
func (h Hunk) old() (begin, end int) {
	if h.OldCount == 0 {
		return h.OldLine + 1, h.OldLine + 1
	}
	return h.OldLine, h.OldLine + h.OldCount
}

func firstOf(begin, _ int) int { return begin }
