package runner

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

// The ways to recognise a finding that are measured.
const (
	fileLineRule = iota
	lineHash     // as GitHub documents its primaryLocationLineHash
	oursFromReport
	oursWithCheckout
	numMethods
)

func header() string {
	line := fmt.Sprintf("%-35s %8s %6s", "", "findings", "pairs")
	methods := [numMethods]string{"file+line+rule", "GitHub's line hash", "ours, report alone", "ours, with a checkout"}
	for _, method := range methods {
		line += fmt.Sprintf(" | %-23s", method)
	}
	return line + "\n" + strings.Repeat(" ", 51) + strings.Repeat(" |   kept mistaken hidden ", numMethods)
}

// origin is the line in which git first saw what stands in a line today.
type origin struct {
	commit, file string
	line         int
}

// snapshot are the findings of a commit as each method names them.
type snapshot struct {
	findings []core.Finding
	origins  []origin
	names    [numMethods][]string
}

func newSnapshot(t *testing.T, h history, dir, sha string, scanned, uploaded []core.Finding) *snapshot {
	t.Helper()
	s := &snapshot{findings: scanned}
	byPlace := map[string][]string{}
	for _, f := range uploaded {
		byPlace[placeOf(f)] = append(byPlace[placeOf(f)], f.Fingerprint)
	}
	byFile := map[string][]core.Finding{}
	for _, f := range scanned {
		byFile[f.File] = append(byFile[f.File], f)
	}
	blamed, hashed := map[string]map[int]origin{}, map[string][]string{}
	for file, found := range byFile {
		blamed[file] = blame(t, h, dir, sha, file, found)
		hashed[file] = lineHashes(show(t, dir, sha, file))
	}
	for _, f := range scanned {
		at := placeOf(f)
		s.origins = append(s.origins, blamed[f.File][f.Line])
		s.names[fileLineRule] = append(s.names[fileLineRule], at)
		s.names[lineHash] = append(s.names[lineHash], f.RuleID+" "+f.File+" "+hashed[f.File][f.Line-1])
		s.names[oursWithCheckout] = append(s.names[oursWithCheckout], f.Fingerprint)
		s.names[oursFromReport] = append(s.names[oursFromReport], byPlace[at][0])
		byPlace[at] = byPlace[at][1:]
	}
	return s
}

func placeOf(f core.Finding) string { return fmt.Sprintf("%s %s:%d", f.RuleID, f.File, f.Line) }

func show(t *testing.T, dir, sha, file string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "show", sha+":"+file)
	cmd.Dir = dir
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blame asks git for the origins of a file's findings, through moves, renames and new indentation.
func blame(t *testing.T, h history, dir, sha, file string, found []core.Finding) map[int]origin {
	t.Helper()
	args := []string{"blame", "-w", "-M", "--line-porcelain"}
	if !h.wide {
		args = append(args, "-C")
	}
	for _, f := range found {
		args = append(args, fmt.Sprintf("-L%d,%d", f.Line, f.Line))
	}
	origins := map[int]origin{}
	var at origin
	var line int
	for text := range strings.Lines(run(t, dir, append(args, sha, "--", file)...)) {
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

// score is how a method did.
type score struct {
	pairs    int // findings whose line git blames to the same place as one of the commit before, rule by rule
	kept     int // of those that kept their name
	mistaken int // findings that have the name of one of the commit before which they are not
	hidden   int // findings that share their name with another one of the same commit
}

// tally is how all methods did.
type tally struct {
	name     string
	findings int
	methods  [numMethods]*score
}

func newTally(name string) *tally {
	t := &tally{name: name}
	for i := range t.methods {
		t.methods[i] = &score{}
	}
	return t
}

func (t *tally) add(other *tally) {
	t.findings += other.findings
	for i, s := range other.methods {
		sum := t.methods[i]
		sum.pairs, sum.kept = sum.pairs+s.pairs, sum.kept+s.kept
		sum.mistaken, sum.hidden = sum.mistaken+s.mistaken, sum.hidden+s.hidden
	}
}

func (t *tally) String() string {
	text := fmt.Sprintf("%-17s %8d %6d", t.name, t.findings, t.methods[0].pairs)
	for _, s := range t.methods {
		text += fmt.Sprintf(" | %6.2f%% %8d %6d", 100*float64(s.kept)/float64(max(s.pairs, 1)), s.mistaken, s.hidden)
	}
	return text
}

// same is what identifies a finding by git's word.
type same struct {
	rule string
	origin
}

func (t *tally) compare(before, now *snapshot) {
	t.findings += len(now.findings)
	for method, score := range t.methods {
		names := now.names[method]
		score.hidden += len(names) - len(slices.Compact(slices.Sorted(slices.Values(names))))
		if before == nil {
			continue
		}
		was, is := before.bySame(method), now.bySame(method)
		for origin, list := range is {
			score.pairs += min(len(list), len(was[origin]))
			score.kept += min(common(list, was[origin]), len(was[origin]))
		}
		score.mistaken += len(slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return !slices.Contains(before.names[method], name)
		})) - paired(was, is)
	}
}

func (s *snapshot) bySame(method int) map[same][]string {
	groups := map[same][]string{}
	for i, f := range s.findings {
		key := same{f.RuleID, s.origins[i]}
		groups[key] = append(groups[key], s.names[method][i])
	}
	return groups
}

func common(a, b []string) (n int) {
	left := slices.Clone(b)
	for _, name := range a {
		if at := slices.Index(left, name); at >= 0 {
			left = slices.Delete(left, at, at+1)
			n++
		}
	}
	return n
}

func paired(was, is map[same][]string) (n int) {
	for origin, list := range is {
		n += common(list, was[origin])
	}
	return n
}
