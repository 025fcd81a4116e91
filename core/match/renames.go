package match

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// clue is a sign of a rename if it occurs in one file on each side: the code of a finding alone, with the base name of its
// file, or with its line. An advisory's is its package and id.
type clue struct {
	key  uint64
	name string
	line int
}

// files are a pair of names, the new one and the old one.
type files struct{ now, was string }

// signs are what two files have in common.
type signs struct {
	votes       int
	key         uint64
	line        int
	distinctive bool // the code of two findings, or the code of one rule in two lines
}

func (s *signs) add(c clue) {
	if s.votes == 0 {
		s.key = c.key
	}
	s.distinctive = s.distinctive || c.key != s.key || c.line > 0 && s.line > 0 && c.line != s.line
	if c.line > 0 {
		s.line = c.line
	}
	s.votes++
}

// renamedFiles maps new names to old ones. One line of code is no evidence, because an equal one may have been removed there and
// added here: it takes distinctive code, or several files whose names changed alike. What these show holds for all files.
func renamedFiles(fresh, old []candidate) map[string]string {
	isFile, wasFile := names(fresh), names(old)
	came := clues(fresh, wasFile)
	went := clues(old, isFile)
	votes := map[files]*signs{}
	for c, now := range came {
		if was := went[c]; now != "" && was != "" {
			pair := files{now, was}
			if votes[pair] == nil {
				votes[pair] = new(signs)
			}
			votes[pair].add(c)
		}
	}
	elected, alike := elect(votes), map[alteration]int{}
	for _, pair := range elected {
		if change, regular := alterationOf(pair); regular {
			alike[change]++
		}
	}
	maps.DeleteFunc(alike, func(_ alteration, files int) bool { return files < 2 })
	renamed, taken := map[string]string{}, map[string]bool{}
	for _, pair := range elected {
		if change, regular := alterationOf(pair); votes[pair].distinctive || regular && alike[change] > 0 {
			renamed[pair.now], taken[pair.was] = pair.was, true
		}
	}
	for _, now := range slices.Sorted(maps.Keys(isFile)) {
		if wasFile[now] || renamed[now] != "" || len(alike) > maxAlterations {
			continue
		}
		was := undo(alike, now, func(was string) bool { return wasFile[was] && !isFile[was] && !taken[was] })
		if was != "" {
			renamed[now], taken[was] = was, true
		}
	}
	return renamed
}

// alteration is how the names of files changed: the directories in which they are, or a part of their own names.
type alteration struct {
	dirs     files // of files that kept their names
	now, was string
}

const (
	minCommon      = 3   // letters and digits of a name that stay, its extension left out, where another part of it changes
	maxAlterations = 100 // of the names of several files each; more tell nothing
)

// alterationOf is how a name changed. Names that have little in common are not of one kind.
func alterationOf(pair files) (a alteration, regular bool) {
	now, was := path.Base(pair.now), path.Base(pair.was)
	if now == was {
		return alteration{dirs: rootsOf(pair.now, pair.was)}, true
	}
	head := 0
	for head < min(len(now), len(was)) && now[head] == was[head] {
		head++
	}
	tail := 0
	for tail < min(len(now), len(was))-head && now[len(now)-1-tail] == was[len(was)-1-tail] {
		tail++
	}
	stays := strings.TrimSuffix(now[:head]+now[len(now)-tail:], path.Ext(now))
	a.now, a.was = now[head:len(now)-tail], was[head:len(was)-tail]
	return a, path.Dir(pair.now) == path.Dir(pair.was) && len(stays) >= minCommon
}

// undo is the name that a file had before the one of the alterations by which it had one; empty where several may be meant.
func undo(alike map[alteration]int, now string, isName func(string) bool) (was string) {
	for a := range alike {
		for _, name := range a.undo(now) {
			if !isName(name) || name == was {
				continue
			}
			if was != "" {
				return ""
			}
			was = name
		}
	}
	return was
}

// undo lists the names that a file may have had.
func (a alteration) undo(now string) (names []string) {
	if a.dirs != (files{}) {
		if rest, below := strings.CutPrefix(path.Join("/", now), path.Join("/", a.dirs.now)+"/"); below || a.dirs.now == "" {
			names = append(names, path.Join(a.dirs.was, strings.TrimPrefix(rest, "/")))
		}
		return names
	}
	dir, base := path.Split(now)
	for at := range len(base) + 1 {
		if rest, found := strings.CutPrefix(base[at:], a.now); found {
			names = append(names, dir+base[:at]+a.was+rest)
		}
	}
	return names
}

func names(side []candidate) map[string]bool {
	names := map[string]bool{"": true}
	for i := range side {
		if side[i].commit == "" {
			names[side[i].file] = true
		}
	}
	return names
}

// clues maps each clue to its file, among the files that the other side does not have; to "" if it occurs in several.
func clues(side []candidate, elsewhere map[string]bool) map[clue]string {
	found := map[clue]string{}
	for i := range side {
		c := &side[i]
		if c.ended || c.commit != "" || elsewhere[c.file] || c.anchor.kind&(ofCode|ofAdvisory) == 0 && c.version != secondVersion {
			continue
		}
		key := c.anchor.clueKey()
		for _, hint := range []clue{{key: key}, {key: key, name: path.Base(c.file)}, {key: key, line: c.line}} {
			if at, known := found[hint]; known && at != c.file {
				found[hint] = ""
				continue
			}
			found[hint] = c.file
		}
	}
	return found
}

// clueKey is the key of an anchor in clues. An advisory has one, whatever the number of its ids: one finding is no evidence.
func (a anchor) clueKey() uint64 {
	if ids := a.ids(); a.kind&ofAdvisory != 0 && len(ids) > 0 {
		return a.key ^ uint64(ids[0])<<32
	}
	return a.key
}

// renamedManifests are the renamed files that kept their names in another directory, as manifests do.
func renamedManifests(fresh, old []candidate) map[string]string {
	renamed := renamedFiles(fresh, old)
	maps.DeleteFunc(renamed, func(now, was string) bool { return path.Base(now) != path.Base(was) })
	return renamed
}

// elect returns the pairs of files of which each has more votes for the other than for any third file.
func elect(votes map[files]*signs) (elected []files) {
	most, tied := map[[2]string]int{}, map[[2]string]bool{}
	sides := func(pair files) [2][2]string { return [2][2]string{{"now", pair.now}, {"was", pair.was}} }
	for pair, s := range votes {
		for _, side := range sides(pair) {
			switch {
			case s.votes > most[side]:
				most[side], tied[side] = s.votes, false
			case s.votes == most[side]:
				tied[side] = true
			}
		}
	}
	for pair, s := range votes {
		wins := true
		for _, side := range sides(pair) {
			wins = wins && s.votes == most[side] && !tied[side]
		}
		if wins {
			elected = append(elected, pair)
		}
	}
	return elected
}

const (
	minEnd  = 3 // directories and file that absolute paths in two checkouts have in common
	maxEnds = 8 // files with the same end; more tell nothing

	maxRoots = 8 // checkouts that a report names; more tell nothing
)

// machineRoots are directories below which each user, machine or job has one of its own.
var machineRoots = []string{"builds", "home", "Users", "users", "tmp", "private", "runner", "agent", "buildkite", "data", "mnt"}

// movedCheckout maps files that a report names by absolute paths to the names that they had in another checkout. It is one that
// has moved: none of these files was known by its path, and each side is below a directory of a machine's own.
func movedCheckout(fresh, old []candidate) map[string]string {
	was := names(old)
	known := map[string][]string{}
	for file := range was {
		end := ending(file)
		known[end] = append(known[end], file)
	}
	votes, absolute := map[files]*signs{}, map[string]bool{}
	for i := range fresh {
		file := fresh[i].file
		if !fresh[i].absolute || absolute[file] {
			continue
		}
		if was[file] {
			return nil
		}
		absolute[file] = true
		voteForRoots(votes, file, known[ending(file)])
	}
	moved, roots := map[string]string{}, elect(votes)
	if len(roots) > maxRoots {
		return nil
	}
	for _, root := range roots {
		for file := range absolute {
			if rest, below := strings.CutPrefix(file, root.now+"/"); below && was[path.Join(root.was, rest)] {
				moved[file] = path.Join(root.was, rest)
			}
		}
	}
	return moved
}

// ending are the last parts of a path, or empty where it has not so many.
func ending(file string) string {
	parts := strings.Split(file, "/")
	if len(parts) < minEnd || file == "" {
		return ""
	}
	return path.Join(parts[len(parts)-minEnd:]...)
}

func voteForRoots(votes map[files]*signs, file string, known []string) {
	if ending(file) == "" || len(known) > maxEnds {
		return
	}
	for _, was := range known {
		roots := rootsOf(file, was)
		if !roots.areMachines() {
			continue
		}
		if votes[roots] == nil {
			votes[roots] = new(signs)
		}
		votes[roots].votes++
	}
}

// rootsOf are the directories in which two paths have their longest end in common.
func rootsOf(file, was string) files {
	a, b := strings.Split(file, "/"), strings.Split(was, "/")
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return files{strings.Join(a, "/"), strings.Join(b, "/")}
}

// areMachines tells whether two directories are those of machines, users or jobs, not two of one repository: they part where such
// directories do, or by a mere number.
func (roots files) areMachines() bool {
	a, b := strings.Split(roots.now, "/"), strings.Split(roots.was, "/")
	if len(a) < 2 || len(b) < 2 || !slices.Contains(machineRoots, a[0]) || !slices.Contains(machineRoots, b[0]) {
		return false
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	return same <= 1 || same <= 3 && same < min(len(a), len(b)) && isNumber(a[same]) && isNumber(b[same])
}

func isNumber(text string) bool { return strings.Trim(text, "0123456789") == "" }
