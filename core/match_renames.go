package core

import "path"

// matchRenamed recognises renamed files where nobody could ask git: a file without findings now and a file without
// findings before, whose findings are in equal lines, are the same file. Where several could be it, none is.
func (m *matcher) matchRenamed() {
	if m.lines.known {
		return
	}
	renamed := m.renames()
	if len(renamed) == 0 {
		return
	}
	m.match(func(c candidate) (group, bool) {
		was, moved := renamed[c.file]
		return group{file: was, key: c.anchor.key}, moved
	}, inFile, anchor.likeness)
}

// clue is what may occur once among the vanished and once among the appeared files: a finding by itself, with the last
// part of its file's name, or with its line.
type clue struct {
	key  uint64
	name string
	line int
}

// renames maps new names to old ones.
func (m *matcher) renames() map[string]string {
	isFile, wasFile := files(m.fresh), files(m.old)
	came := clues(m.fresh, wasFile)
	went := clues(m.old, isFile)
	votes := map[[2]string]int{}
	for c, file := range came {
		if old := went[c]; file != "" && old != "" {
			votes[[2]string{file, old}]++
		}
	}
	return elect(votes)
}

func files(side []candidate) map[string]bool {
	names := map[string]bool{"": true}
	for _, c := range side {
		names[c.file] = true
	}
	return names
}

// clues maps what occurs in one file only, of those that the other side does not have, to the file.
func clues(side []candidate, elsewhere map[string]bool) map[clue]string {
	found := map[clue]string{}
	for _, c := range side {
		if c.ended || elsewhere[c.file] {
			continue
		}
		key := c.anchor.key
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

// elect keeps the pairs of files in which each has more votes for the other than for any third.
func elect(votes map[[2]string]int) map[string]string {
	most, tied := map[[2]string]int{}, map[[2]string]bool{}
	sides := func(pair [2]string) [][2]string { return [][2]string{{"new", pair[0]}, {"old", pair[1]}} }
	for pair, n := range votes {
		for _, side := range sides(pair) {
			switch {
			case n > most[side]:
				most[side], tied[side] = n, false
			case n == most[side]:
				tied[side] = true
			}
		}
	}
	elected := map[string]string{}
	for pair, n := range votes {
		wins := true
		for _, side := range sides(pair) {
			wins = wins && n == most[side] && !tied[side]
		}
		if wins {
			elected[pair[0]] = pair[1]
		}
	}
	return elected
}
