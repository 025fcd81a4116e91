package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/store"
)

// evaluating must be set for the measurements that take minutes: make eval does.
const evaluating = "SCANHOOK_EVAL"

const gosecModule = "github.com/securego/gosec/v2/cmd/gosec@v2.30.0"

var both = []string{"gosec", "gitleaks"}

// histories are evolutions of real code, one commit for each released version, then commits that only move code about.
var histories = []history{
	{module: "golang.org/x/crypto", versions: []string{"v0.1.0", "v0.24.0", "v0.52.0"}, wide: true, scanners: both},
	{module: "github.com/lib/pq", versions: []string{
		"v1.0.0", "v1.3.0", "v1.7.0", "v1.9.0", "v1.10.2", "v1.10.9", "v1.11.0", "v1.12.3",
	}, scanners: both},
	{module: "github.com/spf13/cobra", versions: []string{
		"v0.0.5", "v1.0.0", "v1.1.3", "v1.3.0", "v1.5.0", "v1.7.0", "v1.8.1", "v1.9.1", "v1.10.2",
	}, scanners: both[:1]},
}

// TestEvalFingerprints scans the commits of histories one by one, through the whole of Scanhook, and holds fingerprints
// to what git blames: a finding whose line comes from the same commit as before is the same finding.
func TestEvalFingerprints(t *testing.T) {
	if os.Getenv(evaluating) == "" {
		t.Skipf("%s is not set: make eval measures", evaluating)
	}
	scanners := map[string]Scanner{"gitleaks": {Builtin: gitleaks.Name}}
	if program := buildGosec(t); program != "" {
		scanners["gosec"] = gosecScanner(t, program)
	}
	fmt.Println(header())
	var all [2]*tally
	for kind, name := range []string{"releases", "code moved about"} {
		all[kind] = newTally(name)
	}
	for _, h := range histories {
		for _, scanner := range h.scanners {
			if runnable, built := scanners[scanner]; built {
				for kind, result := range evaluate(t, h, runnable) {
					fmt.Printf("%-7s %-9s %s\n", h.name(), scanner, result)
					all[kind].add(result)
				}
			}
		}
	}
	for _, result := range all {
		fmt.Printf("%-17s %s\n", "all", result)
		ours := result.methods[oursWithCheckout]
		if ours.hidden != 0 || ours.kept*100 < ours.pairs*95 {
			t.Errorf("%s: want at least 95 %% kept and none hidden, got %+v", result.name, *ours)
		}
	}
}

// evaluate scans all commits of a history, each compared with the one before: the releases of its module, and those
// that only move code about.
func evaluate(t *testing.T, h history, scanner Scanner) [2]*tally {
	t.Helper()
	b := newBench(t, scanner)
	results := [2]*tally{newTally("releases"), newTally("code moved about")}
	var before *snapshot
	for i, sha := range h.commit(t, b.server) {
		now := examineCommit(t, b, h, sha)
		kind := 0
		if i >= len(h.versions) {
			kind = 1
		}
		results[kind].compare(before, now)
		before = now
	}
	return results
}

// examineCommit scans one commit with a checkout, and hands the same findings in as a report that was uploaded.
func examineCommit(t *testing.T, b *bench, h history, sha string) *snapshot {
	t.Helper()
	reference := b.accept(t, h.name(), sha)
	b.mustWork(t, true)
	scanned := findingsOf(t, b, reference)
	uploaded := b.accept(t, "upload/"+h.name(), sha)
	report := core.Report{}
	for _, f := range scanned {
		report.Findings = append(report.Findings, core.Finding{
			Tool: f.Tool, RuleID: f.RuleID, File: f.File, Line: f.Line, EndLine: f.EndLine, Severity: f.Severity,
			Title: f.Title, Message: f.Message, Snippet: f.Snippet,
		})
	}
	if _, err := b.Jobs.PutReport(t.Context(), uploaded, "gitleaks", report); err != nil {
		t.Fatal(err)
	}
	return newSnapshot(t, h, filepath.Join(b.server.Dir, h.name()+".git"), sha, scanned, findingsOf(t, b, uploaded))
}

func findingsOf(t *testing.T, b *bench, reference string) []core.Finding {
	t.Helper()
	scan, err := b.Jobs.GetScan(t.Context(), reference)
	if err != nil || scan.Status != core.ScanCompleted {
		t.Fatalf("want a completed scan, got %s: %s, %v", scan.Status, scan.Error, err)
	}
	findings, err := b.Jobs.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// buildGosec builds gosec once for all evaluations of this machine; it returns "" where that is not possible.
func buildGosec(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "scanhook-eval", "gosec-v2.30.0")
	program := filepath.Join(dir, "gosec")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	cmd := exec.CommandContext(t.Context(), "go", "install", gosecModule)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "GOBIN="+dir)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Logf("gosec left out, it cannot be built: %v\n%s", err, output)
		return ""
	}
	return program
}

// gosecScanner lends gosec the module and build caches, which the runner keeps from scanners.
func gosecScanner(t *testing.T, program string) Scanner {
	t.Helper()
	command := []string{"env", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local"}
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB"} {
		command = append(command, name+"="+goEnv(t.Context(), name))
	}
	return Scanner{Command: append(command, program, "-quiet", "-no-fail", "-fmt", "sarif", "-out", "{output}", "./...")}
}

func goEnv(ctx context.Context, name string) string {
	value, _ := exec.CommandContext(ctx, "go", "env", name).Output()
	return strings.TrimSpace(string(value))
}

// history is the evolution of a module.
type history struct {
	module   string
	versions []string
	scanners []string // that find something in it
	wide     bool     // of so many gittest.Files that git cannot look for copies among them in time
}

func (h history) name() string { return path.Base(h.module) }

// commit makes a repository of the history and returns its commits, the oldest first; none where the module cannot be
// downloaded.
func (h history) commit(t *testing.T, server *gittest.Server) (commits []string) {
	t.Helper()
	dir := filepath.Join(server.Dir, h.name()+".git")
	commits = append(commits, server.Commit(t, h.name(), gittest.Files{"README": h.module + "\n"}))
	for _, version := range h.versions {
		source, err := download(t.Context(), h.module+"@"+version)
		if err != nil {
			t.Logf("%s left out, version %s cannot be downloaded: %v", h.module, version, err)
			return nil
		}
		emptyTree(t, dir)
		copyTree(t, source, dir)
		commits = append(commits, server.Amend(t, h.name(), version))
	}
	for _, p := range plants {
		p.plant(t, dir)
		commits = append(commits, server.Amend(t, h.name(), p.name))
	}
	return commits[1:]
}

// download returns the directory of a module in the module cache.
func download(ctx context.Context, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", version)
	cmd.Dir = os.TempDir()
	output, err := cmd.Output()
	var module struct{ Dir string }
	return module.Dir, cmp.Or(err, json.Unmarshal(output, &module))
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
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(from, path)
		content[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	gittest.Write(t, to, content)
}

// plants are commits that change no code, or add some that is equal to what is there.
var plants = []plant{
	{"every file renamed", func(name, text string) (string, string) {
		return path.Join(path.Dir(name), "z_"+path.Base(name)), text
	}},
	{"re-indented with spaces", func(name, text string) (string, string) {
		return name, strings.ReplaceAll(text, "\t", "    ")
	}},
	{"a header of ten lines above", func(name, text string) (string, string) {
		return name, strings.Repeat("// This program comes without any warranty.\n", 9) + "\n" + text
	}},
	{"functions in reverse order", func(name, text string) (string, string) { return name, reverseFunctions(text) }},
	{"a copy of every function above it", func(name, text string) (string, string) { return name, copyFunctions(text) }},
	{"renamed, with a line more in every function", func(name, text string) (string, string) {
		opened := regexp.MustCompile(`(?m)^(func .*\{)$`).ReplaceAllString(text, "$1\n    _ = 0")
		return path.Join(path.Dir(name), "y"+path.Base(name)), opened
	}},
}

type plant struct {
	name   string
	change func(name, text string) (newName, newText string)
}

func (p plant) plant(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasPrefix(name, ".git") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || os.Remove(path) != nil {
			return err
		}
		newName, newText := p.change(name, string(text))
		gittest.Write(t, dir, gittest.Files{newName: newText})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// chunk is a function with its comment.
type chunk struct {
	name, text string
	begin, end int
}

func chunksOf(text string) (chunks []chunk) {
	set := gotoken.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ParseComments)
	if err != nil {
		return nil
	}
	for _, declared := range file.Decls {
		function, is := declared.(*ast.FuncDecl)
		if !is || function.Body == nil {
			continue
		}
		begin := set.Position(function.Pos()).Offset
		if function.Doc != nil {
			begin = set.Position(function.Doc.Pos()).Offset
		}
		end := set.Position(function.End()).Offset
		chunks = append(chunks, chunk{function.Name.Name, text[begin:end], begin, end})
	}
	return chunks
}

// rewrite puts other text into the places of the chunks.
func rewrite(text string, chunks []chunk, with func(i int) string) string {
	var out strings.Builder
	at := 0
	for i, c := range chunks {
		out.WriteString(text[at:c.begin] + with(i))
		at = c.end
	}
	return out.String() + text[at:]
}

func reverseFunctions(text string) string {
	chunks := chunksOf(text)
	return rewrite(text, chunks, func(i int) string { return chunks[len(chunks)-1-i].text })
}

func copyFunctions(text string) string {
	chunks := chunksOf(text)
	return rewrite(text, chunks, func(i int) string {
		c := chunks[i]
		declared := regexp.MustCompile(`(?m)^(func (\([^)]*\) )?` + regexp.QuoteMeta(c.name) + `)\b`)
		renamed := declared.ReplaceAllString(c.text, "${1}Copied")
		if renamed == c.text || c.name == "_" || strings.Contains(c.text, "//go:") {
			return c.text
		}
		return renamed + "\n\n" + c.text
	})
}

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
