package runner

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// history is the evolution of a module.
type history struct {
	module   string
	versions []string
	scanners []string // that find something in it
	wide     bool     // of so many files that git cannot look for copies among them in time
	small    bool     // it is a part of the short form of the evaluation
}

func (h history) name() string { return path.Base(h.module) }

// version is a commit of a history.
type version struct {
	name, sha string
	dir       string            // of the repository
	edit      *edit             // that made it, of which the script knows what became of each flaw; nil where git tells that
	origins   map[string]string // the files of the commit before, by those of an edit
	moved     bool              // the script only moved the code that was there
	texts     map[string]string // of the files
	flaws     []flaw            // that the linter finds
	before    *version
}

// commit makes a repository of the history and returns its commits, the oldest first; none where the module cannot be downloaded.
// Only of the linter's findings the script knows what became of them.
func (h history) commit(t *testing.T, server *gittest.Server, linted bool) (versions []*version) {
	t.Helper()
	dir := filepath.Join(server.Dir, h.name()+".git")
	server.Commit(t, h.name(), gittest.Files{"README": h.module + "\n"})
	for _, project := range []string{"upload", "alone"} {
		name := filepath.Join(server.Dir, project, h.name()+".git")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	add := func(v version) {
		v.sha, v.dir, v.texts = server.Amend(t, h.name(), v.name), dir, textsIn(t, dir)
		if len(versions) > 0 {
			v.before = versions[len(versions)-1]
		}
		if linted {
			flaws, err := lintDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			v.flaws = flaws
		}
		versions = append(versions, &v)
	}
	for _, release := range h.versions {
		source, err := download(t.Context(), h.module+"@"+release)
		if err != nil {
			t.Logf("%s left out, version %s cannot be downloaded: %v", h.module, release, err)
			return nil
		}
		emptyTree(t, dir)
		copyTree(t, source, dir)
		add(version{name: release})
	}
	edits := slices.Clone(moves)
	if linted {
		edits = append(edits, rewrites...)
	}
	for i := range edits {
		v := version{name: edits[i].name, origins: edits[i].apply(t, dir), moved: i < len(moves) && !edits[i].adds}
		if linted {
			v.edit = &edits[i]
		}
		add(v)
	}
	return versions
}

func emptyTree(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	content := gittest.Files{}
	for name, text := range textsIn(t, from) {
		content[name] = text
	}
	gittest.Write(t, to, content)
}

// textsIn are the files below a directory, without those of git.
func textsIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(file)
		name, _ := filepath.Rel(dir, file)
		texts[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// origin is the line in which git first saw what stands in a line today.
type origin struct {
	commit, file string
	line         int
}

// snapshot are the findings of a commit as each method names them.
type snapshot struct {
	history  history
	version  *version
	findings []core.Finding
	lines    []string // of the findings, without white space
	names    [numMethods][]string
	known    [numMethods][]bool   // whether the method says that the commit before has the finding
	evidence [numMethods][]string // by which it says so
	blamed   map[place]origin
}

type place struct {
	commit, file string
	line         int
}

func placeIn(v *version, f core.Finding) place {
	if f.Commit != "" {
		return place{f.Commit, f.File, f.Line}
	}
	return place{v.sha, f.File, f.Line}
}

func newSnapshot(h history, v *version, scanned []core.Finding) *snapshot {
	s := &snapshot{history: h, version: v, findings: scanned}
	hashes, split := map[string][]string{}, map[string][]string{}
	for _, f := range scanned {
		text := v.textAt(f)
		key := f.Commit + f.File
		if hashes[key] == nil {
			hashes[key], split[key] = lineHashes(text), strings.Split(text, "\n")
		}
		hash, line := "", ""
		if f.Line > 0 && f.Line <= len(split[key]) {
			hash, line = hashes[key][f.Line-1], split[key][f.Line-1]
		}
		s.lines = append(s.lines, strings.Join(strings.Fields(line), ""))
		s.names[fileLineRule] = append(s.names[fileLineRule], placeOf(f))
		s.names[lineHash] = append(s.names[lineHash], f.RuleID+" "+f.File+" "+hash)
		s.evidence[fileLineRule], s.evidence[lineHash] = append(s.evidence[fileLineRule], ""), append(s.evidence[lineHash], "")
		s.put(oursWithCheckout, f)
	}
	return s
}

// textAt is the file of a finding in its commit.
func (v *version) textAt(f core.Finding) string {
	for at := v; at != nil; at = at.before {
		if f.Commit == "" || at.sha == f.Commit {
			return at.texts[f.File]
		}
	}
	return ""
}

func (s *snapshot) put(method int, f core.Finding) {
	s.names[method] = append(s.names[method], f.Fingerprint)
	s.known[method] = append(s.known[method], f.BaselineState == core.Unchanged)
	s.evidence[method] = append(s.evidence[method], f.MatchedBy)
}

// take takes what another entry point says of the findings.
func (s *snapshot) take(t *testing.T, method int, findings []core.Finding) {
	t.Helper()
	at := map[string][]core.Finding{}
	for _, f := range findings {
		at[placeOf(f)+f.Message] = append(at[placeOf(f)+f.Message], f)
	}
	for _, f := range s.findings {
		name := placeOf(f) + f.Message
		if len(at[name]) == 0 {
			t.Fatalf("%s has no finding of %s", methodNames[method], name)
		}
		s.put(method, at[name][0])
		at[name] = at[name][1:]
	}
}

func (s *snapshot) lineOf(i int) string { return s.lines[i] }

func placeOf(f core.Finding) string {
	return fmt.Sprintf("%s %s:%d%s", f.RuleID, f.File, f.Line, strings.TrimSuffix("@"+core.ShortSHA(f.Commit), "@"))
}

// truthOf names the findings of two commits so that those with one name are the same; those without a name are not judged.
func truthOf(t testing.TB, before, now *snapshot) (is, was []string) {
	t.Helper()
	if now.version.edit != nil {
		return now.byScript(before)
	}
	if now.version.moved { // git tells of short lines, such as of a closing call, that they are new
		return now.byText(now.version.origins), before.byText(nil)
	}
	return now.byBlame(t, before), before.byBlame(t, nil)
}

// byText names findings by their code and their file before the edit, whose names are given for those that changed.
func (s *snapshot) byText(origins map[string]string) (names []string) {
	for i, f := range s.findings {
		file := f.File
		if f.Commit == "" {
			file = cmp.Or(origins[file], file)
		}
		names = append(names, fmt.Sprintf("%s %s%s %s", f.RuleID, f.Commit, file, s.lineOf(i)))
	}
	return names
}

// byScript names flaws by what they are, and by their file before the edit.
func (s *snapshot) byScript(before *snapshot) (is, was []string) {
	origins := s.version.origins
	is, twins := s.byFlaw(func(file string) string { return origins[file] })
	was, formerTwins := before.byFlaw(func(file string) string { return file })
	for i, name := range is {
		if formerTwins[name] {
			is[i] = ""
		}
	}
	for i, name := range was {
		if twins[name] {
			was[i] = ""
		}
	}
	return is, was
}

func (s *snapshot) byFlaw(origin func(file string) string) (names []string, twins map[string]bool) {
	at := map[string][]string{}
	twins = map[string]bool{}
	for _, f := range s.version.flaws {
		name := origin(f.File) + " " + f.key()
		if f.twin {
			twins[name] = true
			continue
		}
		place := fmt.Sprintf("%s %s:%d %s", f.Rule, f.File, f.Line, f.Message)
		at[place] = append(at[place], name)
	}
	for _, f := range s.findings {
		place := placeOf(f) + " " + f.Message
		name := ""
		if len(at[place]) > 0 {
			name, at[place] = at[place][0], at[place][1:]
		}
		names = append(names, name)
	}
	return names, twins
}

// byBlame names findings by the line in which git first saw theirs.
func (s *snapshot) byBlame(t testing.TB, before *snapshot) (names []string) {
	t.Helper()
	if s.blamed == nil {
		s.blame(t, before)
	}
	for _, f := range s.findings {
		at := s.blamed[placeIn(s.version, f)]
		names = append(names, fmt.Sprintf("%s %s %s:%d", f.RuleID, at.commit, at.file, at.line))
	}
	return names
}

// blame asks git for the origins of the findings, through moves, renames and new indentation. In a file that did not change they are
// those of before.
func (s *snapshot) blame(t testing.TB, before *snapshot) {
	t.Helper()
	s.blamed = map[place]origin{}
	type blamable struct{ commit, file string }
	lines := map[blamable][]int{}
	for _, f := range s.findings {
		at := placeIn(s.version, f)
		if before != nil && f.Commit == "" && before.version.texts[f.File] == s.version.texts[f.File] {
			if from, known := before.blamed[place{before.version.sha, f.File, f.Line}]; known {
				s.blamed[at] = from
				continue
			}
		}
		key := blamable{at.commit, at.file}
		lines[key] = append(lines[key], f.Line)
	}
	for at, numbers := range lines {
		for line, from := range blame(t, s.history, s.version.dir, at.commit, at.file, numbers) {
			s.blamed[place{at.commit, at.file, line}] = from
		}
	}
}

func blame(t testing.TB, h history, dir, sha, file string, lines []int) map[int]origin {
	t.Helper()
	args := []string{"blame", "-w", "-M", "--line-porcelain"}
	if !h.wide {
		args = append(args, "-C")
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		args = append(args, fmt.Sprintf("-L%d,%d", line, line))
	}
	origins := map[int]origin{}
	var at origin
	var line int
	for text := range strings.Lines(gittest.Git(t, dir, append(args, sha, "--", file)...)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		switch {
		case strings.HasPrefix(text, "\t"):
			origins[line] = at
		case len(word) == 40:
			_, _ = fmt.Sscan(rest, &at.line, &line)
			at.commit = word
		case word == "filename":
			at.file = rest
		}
	}
	return origins
}

// lineHashes names each line by the hundred characters from its begin on, white space left out, and by how often they
// occurred before in the file. A rolling hash of them is only a shorter name.
func lineHashes(text string) (names []string) {
	const window = 100
	var squeezed []rune
	starts := []int{0}
	for _, r := range text {
		if r != '\n' && unicode.IsSpace(r) {
			continue
		}
		squeezed = append(squeezed, r)
		if r == '\n' {
			starts = append(starts, len(squeezed))
		}
	}
	seen := map[string]int{}
	for _, start := range starts {
		block := string(squeezed[start:min(start+window, len(squeezed))])
		seen[block]++
		names = append(names, fmt.Sprintf("%s:%d", block, seen[block]))
	}
	return names
}
