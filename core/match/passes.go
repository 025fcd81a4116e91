package match

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// matchTrees pairs findings in the trees of two commits.
func (m *matcher) matchTrees() {
	m.matchLines()
	m.matchSecretsInFile()
	m.matchMoved()
	m.matchTelling()
	m.matchReordered()
	m.matchPrints()
	alike := m.toldApart()
	m.matchMessages(alike)
	m.matchWords()
	m.matchRenamed(alike)
	m.matchElsewhere()
	m.matchCopied()
	m.matchSecrets()
	m.matchEdited()
}

// matchLines pairs findings of one rule whose line is the same according to the diff. A finding in such a line cannot have
// a partner elsewhere.
func (m *matcher) matchLines() {
	if !m.lines.known {
		return
	}
	m.now = ByLine
	at := func(c candidate) group { return group{file: c.file, line: c.line, key: uint64(c.anchor.rule)} }
	m.match(func(c candidate) (group, bool) {
		was, same := m.lines.before(c.place)
		c.place = was
		return at(c), same
	}, func(c candidate) (group, bool) { return at(c), true }, sameLine)
	for i := range m.fresh {
		if m.by[i] == ByLine && m.lines.byNew[m.fresh[i].file] == nil {
			m.by[i] = ByPlace
		}
		_, same := m.lines.before(m.fresh[i].place)
		m.fresh[i].ended = m.fresh[i].ended || same
	}
	for i := range m.old {
		_, same := m.lines.after(m.old[i].place)
		m.old[i].ended = m.old[i].ended || same
	}
}

// sameLine accepts findings of one rule in one line that have the same code or the same message: some tools report
// everything about a file in its first line.
func sameLine(a, b anchor) (rate int, ok bool) {
	rate, _ = a.likeness(b)
	if a.key == b.key {
		rate += 2 * len(a.around)
	}
	return rate, (a.key == b.key || a.message == b.message) && !a.parted(b)
}

// named is a fingerprint of the tool, with its rule and the file that it is about.
type named struct {
	file  string
	rule  uint16
	print uint32
}

// sighted are the findings with each fingerprint of the tool: an index, or none where there are several.
type sighted map[named]int

func (s sighted) see(i int, file string, a anchor) {
	for _, one := range a.prints {
		if one == 0 {
			continue
		}
		name := named{file, a.rule, one}
		if _, twice := s[name]; twice {
			i = none
		}
		s[name] = i
	}
}

// matchPrints pairs findings of one rule and file that have a fingerprint of the tool in common which no others have. A tool that
// writes the same for all joins nothing, and one that writes another joins nothing either. Places and code come before it: when one
// of two findings in equal lines is gone, many tools give its fingerprint to the other.
func (m *matcher) matchPrints() {
	m.now = ByTool
	came, went := sighted{}, sighted{}
	for _, i := range m.order {
		if !m.fresh[i].ended {
			came.see(i, m.lines.oldFile(m.fresh[i].file), m.fresh[i].anchor)
		}
	}
	if len(came) == 0 {
		return
	}
	for _, i := range m.oldOrder {
		if !m.old[i].ended {
			went.see(i, m.old[i].file, m.old[i].anchor)
		}
	}
	for _, i := range m.order {
		a := m.fresh[i].anchor
		for _, one := range a.prints {
			name := named{m.lines.oldFile(m.fresh[i].file), a.rule, one}
			old, found := went[name]
			if found && old != none && came[name] == i && one != 0 && !m.fresh[i].ended && !m.old[old].ended && !a.parted(m.old[old].anchor) {
				m.join(i, old)
			}
		}
	}
}

// matchWords pairs findings of one rule with the same message in one file where one report has the code and the other has not: a
// scanner may keep it for users who have logged in. Of secrets the message says too little.
func (m *matcher) matchWords() {
	m.now = ByMessage
	spoken := func(c candidate, file string) (group, bool) {
		return group{file: file, key: uint64(c.anchor.rule)<<16 | uint64(c.anchor.message)}, c.anchor.kind&ofSecret == 0
	}
	m.match(
		func(c candidate) (group, bool) { return spoken(c, m.lines.oldFile(c.file)) },
		func(c candidate) (group, bool) { return spoken(c, c.file) },
		func(a, b anchor) (rate int, ok bool) {
			rate, ok = a.likeness(b)
			return rate, ok && (a.kind^b.kind)&ofCode != 0
		})
}

// matchMoved pairs findings in equal lines of one file.
func (m *matcher) matchMoved() {
	m.now = ByCode
	m.match(m.movedInFile(ofCode), inFile, anchor.likeness)
}

// matchTelling pairs findings whose code says much, and stands once in their file before and now: it was moved, whatever is around it.
func (m *matcher) matchTelling() {
	m.now = ByCode
	m.matchAlone(ofMuch, m.lines.oldFile, func(file string) string { return file })
}

// matchCopied pairs findings whose code says most, and which git's diff removed from the only file of a directory that had it and added
// to the only one that has it now. Between tests and other code nothing is paired: what may stand in a test may not stand elsewhere.
func (m *matcher) matchCopied() {
	if !m.lines.known {
		return
	}
	m.now = ByCode
	m.matchAlone(ofMost, neighbourhood, neighbourhood)
}

// neighbourhood is the directory of a file, with a mark for tests.
func neighbourhood(file string) string {
	dir, name := path.Split(file)
	if name = strings.ToLower(name); strings.Contains(name, "test") || strings.Contains(name, "spec") {
		return dir + "test"
	}
	return dir
}

// matchAlone pairs findings whose code says enough and stands once before and now among the files that have one name.
func (m *matcher) matchAlone(enough kind, newName, oldName func(file string) string) {
	count := func(side []candidate, name func(string) string) map[group]int {
		times := map[group]int{}
		for i := range side {
			if c := &side[i]; c.commit == "" && c.anchor.kind&enough != 0 {
				times[group{file: name(c.file), key: c.anchor.key}]++
			}
		}
		return times
	}
	is, was := count(m.fresh, newName), count(m.old, oldName)
	alone := func(c candidate, file string) (group, bool) {
		g := group{file: file, key: c.anchor.key}
		return g, c.anchor.kind&(enough|ofSecret) == enough && is[g] == 1 && was[g] == 1
	}
	m.match(
		func(c candidate) (group, bool) { return alone(c, newName(c.file)) },
		func(c candidate) (group, bool) { return alone(c, oldName(c.file)) },
		sameCode)
}

// matchReordered pairs findings in equal lines of a file whose lines have only changed places: nothing in it is new, whatever git's
// diff makes of lines that are there several times.
func (m *matcher) matchReordered() {
	if !m.lines.reordered {
		return
	}
	m.now = ByCode
	moved := m.movedInFile(ofCode)
	m.match(func(c candidate) (group, bool) {
		g, ok := moved(c)
		return g, ok && isReordered(m.lines.byNew[c.file])
	}, inFile, sameCode)
}

// matchMessages pairs findings without code that have the same message in one file. The tool's fingerprints tell them apart, but in
// a line of the same number as before, unless git's diff tells that it is another one.
func (m *matcher) matchMessages(alike rating) {
	m.now = ByMessage
	m.match(m.movedInFile(0), inFile, alike)
	if m.lines.known {
		return
	}
	is := m.movedInFile(0)
	inLine := func(c candidate, g group) group {
		g.line = c.line
		return g
	}
	m.match(func(c candidate) (group, bool) {
		g, ok := is(c)
		return inLine(c, g), ok && c.line > 0
	}, func(c candidate) (group, bool) {
		g, ok := inFile(c)
		return inLine(c, g), ok
	}, anchor.likeness)
}

// toldApart rates findings by their likeness, and tells those apart of which nothing but the message is the same while the tool
// gave them other fingerprints. Those of a tool that gives new ones each time tell nothing.
func (m *matcher) toldApart() rating {
	if !m.keepsPrints() {
		return anchor.likeness
	}
	return func(a, b anchor) (rate int, ok bool) {
		rate, ok = a.likeness(b)
		return rate, ok && !a.printedApart(b)
	}
}

// minPrinted is how many findings a side must have before it tells whether a tool's fingerprints are new each time.
const minPrinted = 3

// keepsPrints tells whether some of the tool's fingerprints are in both reports, or these have too few to tell.
func (m *matcher) keepsPrints() bool {
	is, was := printsIn(m.fresh), printsIn(m.old)
	if min(len(is), len(was)) < minPrinted {
		return true
	}
	for one := range is {
		if was[one] {
			return true
		}
	}
	return false
}

func printsIn(side []candidate) map[uint32]bool {
	prints := map[uint32]bool{}
	for i := range side {
		for _, one := range side[i].anchor.prints {
			if one != 0 {
				prints[one] = true
			}
		}
	}
	return prints
}

// movedInFile groups findings of one identity in one file, those with code or those without.
func (m *matcher) movedInFile(code kind) func(candidate) (group, bool) {
	return func(c candidate) (group, bool) {
		return group{file: m.lines.oldFile(c.file), key: c.anchor.key}, c.anchor.kind&ofCode == code
	}
}

func inFile(c candidate) (group, bool) { return group{file: c.file, key: c.anchor.key}, true }

// minElsewhere is how many surrounding lines must agree for code that moved to another file.
const minElsewhere = 2

// matchElsewhere pairs findings in equal lines between equal lines, in any file.
func (m *matcher) matchElsewhere() {
	m.now = ByContext
	anywhere := func(c candidate) (group, bool) { return group{key: c.anchor.key}, hasLines(c.anchor.around) }
	m.match(anywhere, anywhere, func(a, b anchor) (rate int, ok bool) {
		rate, ok = a.likeness(b)
		return rate, ok && commonLines(a.around, b.around) >= minElsewhere
	})
}

// matchEdited pairs findings of one rule inside one hunk of git's diff, in their order, where the flagged expression has the same
// shape: the line was edited in place. Secrets are never paired so: another value is another secret.
func (m *matcher) matchEdited() {
	if !m.lines.known {
		return
	}
	m.now = ByEdit
	in := func(c candidate, file string, hunk int) (group, bool) {
		key := uint64(c.anchor.rule)<<32 | uint64(c.anchor.shape)
		return group{file: file, line: hunk, key: key}, hunk > 0 && c.anchor.shape != 0 && c.anchor.kind&ofSecret == 0 && !c.anchor.secret.known()
	}
	m.match(
		func(c candidate) (group, bool) { return in(c, m.lines.oldFile(c.file), m.lines.hunkOf(c.place)) },
		func(c candidate) (group, bool) { return in(c, c.file, m.lines.oldHunkOf(c.place)) },
		func(anchor, anchor) (rate int, ok bool) { return 0, true })
}

// inHistory tells whether a side has findings in history.
func inHistory(side []candidate) bool {
	for i := range side {
		if side[i].commit != "" {
			return true
		}
	}
	return false
}

// matchAll pairs vulnerable packages by what they are, findings in trees by all that is known of lines, and those in history by commit and code alone: their line
// is in no tree that git's diff maps.
func (m *matcher) matchAll() {
	m.matchAdvisories()
	if !inHistory(m.fresh) && !inHistory(m.old) {
		m.matchTrees()
		return
	}
	m.matchCommits()
	m.withoutHistory(m.matchTrees)
	m.matchHistory()
}

// matchCommits pairs findings in history whose commit, file, line and code are the same.
func (m *matcher) matchCommits() {
	m.now = ByCommit
	at := func(c candidate) (group, bool) {
		return group{file: c.commit + "\x00" + c.file, line: c.line, key: c.anchor.key}, c.commit != ""
	}
	m.match(at, at, sameCode)
}

// withoutHistory lets match see only findings in trees. Those without a partner are open again afterwards.
func (m *matcher) withoutHistory(match func()) {
	freshEnded, oldEnded := setAside(m.fresh), setAside(m.old)
	match()
	for i := range m.old {
		m.old[i].ended = oldEnded[i]
	}
	for i, old := range m.pair {
		m.fresh[i].ended = freshEnded[i] || old != none
		if old != none {
			m.old[old].ended = true
		}
	}
}

// setAside ends findings in history, and returns what had ended before.
func setAside(side []candidate) (ended []bool) {
	ended = make([]bool, len(side))
	for i := range side {
		ended[i] = side[i].ended
		side[i].ended = ended[i] || side[i].commit != ""
	}
	return ended
}

// matchHistory pairs findings of equal code of which at least one is in history: first in one file, then in any.
func (m *matcher) matchHistory() {
	m.now = ByHistory
	either := func(candidate) bool { return true }
	past := func(c candidate) bool { return c.commit != "" }
	tree := func(c candidate) bool { return c.commit == "" }
	for _, file := range []func(candidate) string{func(c candidate) string { return c.file }, func(candidate) string { return "" }} {
		grouped := func(counts func(candidate) bool) func(candidate) (group, bool) {
			return func(c candidate) (group, bool) { return group{file: file(c), key: c.anchor.key}, counts(c) }
		}
		m.match(grouped(past), grouped(either), sameCode)
		m.match(grouped(tree), grouped(past), sameCode)
	}
}

// sameCode accepts all findings of a group. What is around them in another commit says little.
func sameCode(a, b anchor) (rate int, ok bool) {
	rate, _ = a.likeness(b)
	return rate, !a.parted(b)
}

// matchRenamed pairs findings in renamed files where git's diff is unknown: a file with findings only before and a file
// with findings only now are the same file if distinctive code is in both. Ambiguous files are not paired.
func (m *matcher) matchRenamed(alike rating) {
	if m.lines.known {
		return
	}
	renamed := renamedFiles(m.fresh, m.old)
	if len(renamed) == 0 {
		return
	}
	m.now = ByRename
	m.match(func(c candidate) (group, bool) {
		was, moved := renamed[c.file]
		return group{file: was, key: c.anchor.key}, moved
	}, inFile, alike)
}

// entry is an id that is listed for a package in a manifest.
type entry struct {
	file string
	key  uint64
	id   uint32
	line int
	rule uint16 // or 0 for that of any
}

// entries are the earlier advisories without a partner, in the order of their lines.
type entries map[entry][]int

// matchAdvisories pairs vulnerable packages that have any id in common, in one manifest: those of one rule and those in the same
// line first, as others may have that rule's id for an alias. Where either report does not name the package, the id counts alone.
func (m *matcher) matchAdvisories() {
	m.now = ByAdvisory
	if m.hasOpenAdvisories() {
		m.joinAdvisories(m.lines.oldFile)
	}
	if !m.lines.known && m.hasOpenAdvisories() {
		if renamed := renamedManifests(m.fresh, m.old); len(renamed) > 0 {
			m.joinAdvisories(func(file string) string { return cmp.Or(renamed[file], file) })
		}
	}
	for _, side := range [][]candidate{m.fresh, m.old} {
		for i := range side {
			side[i].ended = side[i].ended || side[i].anchor.kind&ofAdvisory != 0
		}
	}
}

// hasOpenAdvisories tells whether both sides have any.
func (m *matcher) hasOpenAdvisories() bool {
	return slices.ContainsFunc(m.fresh, isOpenAdvisory) && slices.ContainsFunc(m.old, isOpenAdvisory)
}

// joinAdvisories pairs those in a manifest that had the name that oldFile tells.
func (m *matcher) joinAdvisories(oldFile func(string) string) {
	for _, alike := range []func(candidate) (entry, bool){
		func(c candidate) (entry, bool) {
			return entry{key: c.anchor.key, rule: c.anchor.rule, line: c.line}, true
		},
		func(c candidate) (entry, bool) { return entry{key: c.anchor.key, rule: c.anchor.rule}, true },
		func(c candidate) (entry, bool) { return entry{key: c.anchor.key, line: c.line}, true },
		func(c candidate) (entry, bool) { return entry{key: c.anchor.key}, true },
	} {
		m.joinEntries(oldFile, alike, alike)
	}
	unnamed := func(c candidate) (entry, bool) { return entry{}, c.anchor.key == 0 }
	either := func(candidate) (entry, bool) { return entry{}, true }
	m.joinEntries(oldFile, unnamed, either)
	m.joinEntries(oldFile, either, unnamed)
}

func isOpenAdvisory(c candidate) bool { return !c.ended && c.anchor.kind&ofAdvisory != 0 }

func (m *matcher) joinEntries(oldFile func(string) string, freshEntry, oldEntry func(candidate) (entry, bool)) {
	known := entries{}
	for _, i := range m.oldOrder {
		known.each(m.old[i], m.old[i].file, oldEntry, func(e entry) { known[e] = append(known[e], i) })
	}
	for _, i := range m.order {
		known.each(m.fresh[i], oldFile(m.fresh[i].file), freshEntry, func(e entry) {
			if old := known.next(e, m.old); old != none && !m.fresh[i].ended {
				m.join(i, old)
			}
		})
	}
}

// each visits the entries of an open advisory.
func (entries) each(c candidate, file string, of func(candidate) (entry, bool), visit func(entry)) {
	e, ok := of(c)
	if !ok || !isOpenAdvisory(c) {
		return
	}
	for _, id := range c.anchor.ids() {
		visit(entry{file, e.key, id, e.line, e.rule})
	}
}

// next is the first earlier advisory of an entry that has no partner, or none.
func (known entries) next(e entry, old []candidate) int {
	list := known[e]
	if len(list) == 0 {
		return none
	}
	for len(list) > 0 && old[list[0]].ended {
		list = list[1:]
	}
	if known[e] = list; len(list) == 0 {
		return none
	}
	return list[0]
}

// bySecret groups findings of one rule and one secret.
func bySecret(file string, c candidate) (group, bool) {
	return group{file: file, key: c.anchor.key}, c.anchor.secret.exact()
}

// matchSecretsInFile pairs equal secrets in one file, whatever their lines are now.
func (m *matcher) matchSecretsInFile() {
	if !m.exact {
		return
	}
	m.now = BySecret
	m.match(func(c candidate) (group, bool) { return bySecret(m.lines.oldFile(c.file), c) },
		func(c candidate) (group, bool) { return bySecret(c.file, c) }, sameCode)
}

// matchSecrets pairs equal secrets in all files.
func (m *matcher) matchSecrets() {
	if !m.exact {
		return
	}
	m.now = BySecret
	anywhere := func(c candidate) (group, bool) { return bySecret("", c) }
	m.match(anywhere, anywhere, sameCode)
}
