package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/evidence"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/store"
)

const (
	// evaluating must be set for the measurements that take minutes: make eval does. With the value small it takes one.
	evaluating = "SCANHOOK_EVAL"
	// listing names a file in which the disagreements are listed, for those who judge them.
	listing = "SCANHOOK_EVAL_LIST"
)

const gosecModule = "github.com/securego/gosec/v2/cmd/gosec@v2.30.0"

// histories are evolutions of real code, one commit for each released version, then commits that a script makes.
var histories = []history{
	{module: "github.com/go-chi/chi/v5", versions: []string{
		"v5.0.0", "v5.0.1", "v5.0.2", "v5.0.7", "v5.0.8", "v5.0.10", "v5.0.11", "v5.0.12", "v5.1.0", "v5.2.0", "v5.2.1", "v5.2.3", "v5.2.5",
	}, scanners: []string{"lint"}, small: true},
	{module: "github.com/lib/pq", versions: []string{
		"v1.0.0", "v1.1.0", "v1.1.1", "v1.2.0", "v1.3.0", "v1.5.2", "v1.7.0", "v1.8.0", "v1.9.0", "v1.10.0", "v1.10.2", "v1.10.4", "v1.10.9",
	}, scanners: []string{"lint"}},
	{module: "github.com/spf13/cobra", versions: []string{
		"v0.0.5", "v0.0.6", "v1.0.0", "v1.1.1", "v1.1.3", "v1.2.1", "v1.3.0", "v1.4.0", "v1.5.0", "v1.6.0", "v1.6.1", "v1.7.0", "v1.8.0", "v1.9.1", "v1.10.2",
	}, scanners: []string{"lint"}},
	{module: "golang.org/x/crypto", versions: []string{
		"v0.13.0", "v0.14.0", "v0.15.0", "v0.16.0", "v0.17.0", "v0.18.0", "v0.19.0", "v0.20.0", "v0.21.0", "v0.22.0", "v0.23.0", "v0.24.0",
	}, wide: true, scanners: []string{"lint"}},
	{module: "github.com/gin-gonic/gin", versions: []string{
		"v1.7.0", "v1.7.1", "v1.7.2", "v1.7.3", "v1.7.4", "v1.7.7", "v1.8.1", "v1.9.0", "v1.9.1", "v1.10.0", "v1.10.1",
	}, scanners: []string{"lint"}},
	{module: "github.com/sirupsen/logrus", versions: []string{
		"v1.0.4", "v1.0.5", "v1.0.6", "v1.1.1", "v1.2.0", "v1.3.0", "v1.4.0", "v1.4.1", "v1.4.2", "v1.5.0", "v1.6.0", "v1.7.0", "v1.8.1", "v1.9.0",
	}, scanners: []string{"lint"}},
	{module: "github.com/stretchr/testify", versions: []string{
		"v1.5.1", "v1.6.0", "v1.6.1", "v1.7.0", "v1.7.1", "v1.7.2", "v1.7.4", "v1.8.0", "v1.8.1", "v1.8.2", "v1.8.3", "v1.8.4", "v1.9.0",
	}, scanners: []string{"lint"}},
	{module: "golang.org/x/net", versions: []string{
		"v0.10.0", "v0.11.0", "v0.12.0", "v0.13.0", "v0.14.0", "v0.15.0", "v0.16.0", "v0.17.0", "v0.18.0", "v0.19.0", "v0.20.0", "v0.21.0",
	}, wide: true, scanners: []string{"lint"}},
	{module: "github.com/lib/pq", versions: []string{
		"v1.0.0", "v1.3.0", "v1.7.0", "v1.9.0", "v1.10.2", "v1.10.9", "v1.11.0", "v1.12.3",
	}, scanners: []string{"gosec", "gitleaks"}},
	{module: "github.com/spf13/cobra", versions: []string{
		"v0.0.5", "v1.0.0", "v1.1.3", "v1.3.0", "v1.5.0", "v1.7.0", "v1.8.1", "v1.9.1", "v1.10.2",
	}, scanners: []string{"gosec"}},
	{module: "golang.org/x/crypto", versions: []string{"v0.1.0", "v0.24.0", "v0.52.0"}, wide: true, scanners: []string{"gosec", "gitleaks"}},
}

// TestEvalFingerprints scans the commits of histories one by one, through the whole of Scanhook, by both entry points, and holds what
// it calls known to what git blames, and to what a script has done: a finding whose line comes from the same commit as before is the
// same finding.
func TestEvalFingerprints(t *testing.T) {
	if os.Getenv(evaluating) == "" {
		t.Skipf("%s is not set: make eval measures", evaluating)
	}
	small := os.Getenv(evaluating) == "small"
	scanners := map[string]Scanner{"gitleaks": {Builtin: gitleaks.Name}, "lint": linter(t)}
	if program := buildGosec(t); program != "" && !small {
		scanners["gosec"] = gosecScanner(t, program)
	}
	all := newTally("all", readJudged(t))
	fmt.Println(header())
	for _, h := range histories {
		for _, scanner := range h.scanners {
			runnable, built := scanners[scanner]
			if !built || small && !h.small {
				continue
			}
			t.Run(h.name()+" "+scanner, func(t *testing.T) {
				began := time.Now()
				result := evaluate(t, h, scanner, runnable, all.judged)
				fmt.Printf("%s, %s\n%s\n", t.Name(), time.Since(began).Round(time.Second), result)
				all.add(result)
				all.list(t)
			})
		}
	}
	fmt.Printf("all\n%s\n", all)
	all.hold(t, small)
}

// evaluate scans all commits of a history, each compared with the one before.
func evaluate(t *testing.T, h history, name string, scanner Scanner, judged map[string]bool) *tally {
	t.Helper()
	b, result := newBench(t, scanner), newTally(h.name()+" "+name, judged)
	var before *snapshot
	for _, v := range h.commit(t, b.server, name == "lint") {
		now := examineCommit(t, b, h, v, name, before)
		if before != nil {
			result.compare(t, before, now)
		}
		before = now
	}
	return result
}

// examineCommit scans one commit with a checkout, and hands the same findings in as a report that was uploaded, with git's evidence
// and without.
func examineCommit(t *testing.T, b *bench, h history, v *version, scanner string, before *snapshot) *snapshot {
	t.Helper()
	reference := b.acceptAs(t, h.name(), "1", v.sha)
	b.mustWork(t, true)
	s := newSnapshot(h, v, findingsOf(t, b, reference))
	report := func() core.Report {
		if scanner == "lint" {
			parsed, err := reports.ParsePacked(strings.NewReader(newReport(v.flaws)), reports.Limits{
				Verbatim: true, Key: b.key, MaxResults: 1 << 20, MaxBytes: 1 << 30})
			if err != nil {
				t.Fatal(err)
			}
			return parsed[0]
		}
		return uploadOf(s.findings)
	}
	for method, project := range map[int]string{oursFromReport: "alone/", oursUploaded: "upload/"} {
		uploaded, brought := b.acceptAs(t, project+h.name(), fmt.Sprint(method), v.sha), report()
		if method == oursUploaded {
			scan, err := b.Jobs.GetScan(t.Context(), uploaded)
			if err != nil {
				t.Fatal(err)
			}
			git := b.knowing(evidence.Config{Patience: time.Hour})
			git.AddEvidence(t.Context(), scan, map[string]*core.Report{"gitleaks": &brought})(nil)
			git.Close()
		}
		if _, err := b.Jobs.PutReport(t.Context(), uploaded, "gitleaks", brought); err != nil {
			t.Fatal(err)
		}
		if method == oursUploaded && before != nil && brought.Len() > 0 && brought.Changes == nil {
			t.Fatal("the report has no evidence")
		}
		s.take(t, method, findingsOf(t, b, uploaded))
	}
	return s
}

// uploadOf is the report of findings as their tool writes it.
func uploadOf(findings []core.Finding) (report core.Report) {
	for _, f := range findings {
		report.Findings = append(report.Findings, core.Finding{
			Tool: f.Tool, RuleID: f.RuleID, File: f.File, Line: f.Line, EndLine: f.EndLine, Severity: f.Severity, Commit: f.Commit,
			Title: f.Title, Message: f.Message, Snippet: f.Snippet, SecretHash: f.SecretHash,
		})
	}
	return report
}

func findingsOf(t *testing.T, b *bench, reference string) []core.Finding {
	t.Helper()
	scan, err := b.Jobs.GetScan(t.Context(), reference)
	if err != nil || scan.Status != core.ScanCompleted {
		t.Fatalf("want a completed scan, got %s: %s, %v", scan.Status, scan.Error, err)
	}
	findings, err := b.Jobs.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1 << 20, ByAge: true})
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
	command := []string{"env", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB"} {
		command = append(command, name+"="+goEnv(t.Context(), name))
	}
	return Scanner{
		Command: append(command, program, "-quiet", "-no-fail", "-fmt", "sarif", "-out", "{output}", "./..."), Network: true,
		Read:  []string{program, goEnv(t.Context(), "GOROOT")},
		Write: []string{goEnv(t.Context(), "GOMODCACHE"), goEnv(t.Context(), "GOCACHE")},
	}
}

func goEnv(ctx context.Context, name string) string {
	value, _ := exec.CommandContext(ctx, "go", "env", name).Output()
	return strings.TrimSpace(string(value))
}

// download returns the directory of a module in the module cache.
func download(ctx context.Context, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", version)
	cmd.Dir = os.TempDir()
	output, err := cmd.Output()
	var module struct{ Dir string }
	return module.Dir, cmp.Or(err, json.Unmarshal(output, &module))
}

// The ways to recognise a finding that are measured.
const (
	fileLineRule = iota
	lineHash     // as GitHub documents its primaryLocationLineHash
	oursFromReport
	oursUploaded
	oursWithCheckout
	numMethods
)

var methodNames = [numMethods]string{"file+line+rule", "GitHub's line hash", "ours, report alone", "ours, uploaded", "ours, with a checkout"}

// isHeld tells whether a method must keep what is asked for.
func isHeld(method int) bool { return method == oursUploaded || method == oursWithCheckout }

// score is how a method did.
type score struct {
	pairs        int // findings that the commit before had, in lines that are the same
	kept         int // of those that count as known
	wronglyNew   int // the others, without those that were judged
	wronglyKnown int // findings that count as known, and the commit before has not; without those that were judged
	crossed      int // known ones that count as another one than they are
	hidden       int // findings that share their name with another one of the same commit

	edited, joined, misjoined int // findings whose line was edited around the same expression; of these those known, and as another one
	broken, wrong             int // findings whose expression became another one; of these those known
	guessed, guesses          int // known as edited where git cannot tell; of these those with another expression
	red, steps                int // commits with new findings of which all are wrongly new; and all commits
}

func (s *score) add(o *score) {
	s.pairs, s.kept, s.wronglyNew, s.wronglyKnown = s.pairs+o.pairs, s.kept+o.kept, s.wronglyNew+o.wronglyNew, s.wronglyKnown+o.wronglyKnown
	s.crossed, s.hidden, s.edited, s.joined = s.crossed+o.crossed, s.hidden+o.hidden, s.edited+o.edited, s.joined+o.joined
	s.misjoined, s.broken, s.wrong, s.red = s.misjoined+o.misjoined, s.broken+o.broken, s.wrong+o.wrong, s.red+o.red
	s.guessed, s.guesses, s.steps = s.guessed+o.guessed, s.guesses+o.guesses, s.steps+o.steps
}

func header() string {
	return fmt.Sprintf("%-22s %8s %8s %8s %8s %8s %8s | %8s %8s %8s | %8s %8s | %8s %8s | %5s", "", "pairs", "kept", "new", "known", "crossed",
		"hidden", "edited", "joined", "crossed", "broken", "joined", "guessed", "wrong", "red")
}

func (s *score) String() string {
	percent := func(n, of int) string { return fmt.Sprintf("%.3f%%", 100*float64(n)/float64(max(of, 1))) }
	return fmt.Sprintf("%8d %8s %8d %8d %8d %8d | %8d %8s %8d | %8d %8s | %8d %8d | %2d/%2d", s.pairs, percent(s.kept, s.pairs), s.wronglyNew,
		s.wronglyKnown, s.crossed, s.hidden, s.edited, percent(s.joined, s.edited), s.misjoined, s.broken, percent(s.wrong, s.broken),
		s.guessed, s.guesses, s.red, s.steps)
}

// tally is how all methods did.
type tally struct {
	name    string
	methods [numMethods]*score
	judged  map[string]bool // disagreements in which people found the product right
	differ  []disagreement
}

func newTally(name string, judged map[string]bool) *tally {
	t := &tally{name: name, judged: judged}
	for i := range t.methods {
		t.methods[i] = &score{}
	}
	return t
}

func (t *tally) add(other *tally) {
	for i, s := range other.methods {
		t.methods[i].add(s)
	}
	t.differ = append(t.differ, other.differ...)
}

func (t *tally) String() string {
	var text strings.Builder
	for i, s := range t.methods {
		fmt.Fprintf(&text, "%-22s %s\n", methodNames[i], s)
	}
	return text.String()
}

// disagreement is a finding of which a method says something else than git's blame or the script.
type disagreement struct {
	history, step string
	method        int
	known         bool // the method says so
	finding       core.Finding
	code          string
}

// id names it for those who judge it, whatever the entry point.
func (d disagreement) id() string {
	state := "new"
	if d.known {
		state = "known"
	}
	return fmt.Sprintf("%s %s %s %s", strings.ReplaceAll(d.history, " ", "/"), strings.ReplaceAll(d.step, " ", "_"), state,
		strings.ReplaceAll(placeOf(d.finding), " ", "/"))
}

// list writes the disagreements.
func (t *tally) list(tb testing.TB) {
	tb.Helper()
	if os.Getenv(listing) == "" {
		return
	}
	var text strings.Builder
	for _, d := range t.differ {
		fmt.Fprintf(&text, "%s | %s by %s | %s\n", d.id(), methodNames[d.method], d.finding.MatchedBy, d.code)
	}
	if err := os.WriteFile(os.Getenv(listing), []byte(text.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
}

const maxJudged = 50

// readJudged reads the disagreements in which people found the product right: a line for each, with the reason behind it.
func readJudged(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/eval/judged.txt")
	if err != nil {
		t.Fatal(err)
	}
	judged := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		id, reason, found := strings.Cut(strings.TrimSpace(line), " | ")
		switch {
		case id == "" || strings.HasPrefix(id, "#"):
		case !found || strings.TrimSpace(reason) == "":
			t.Errorf("judged without a reason: %s", id)
		default:
			judged[id] = true
		}
	}
	if len(judged) > maxJudged {
		t.Errorf("%d disagreements were judged by hand, more than %d", len(judged), maxJudged)
	}
	return judged
}

// hold holds the entry points to what is asked for.
func (t *tally) hold(tb testing.TB, small bool) {
	tb.Helper()
	for method, s := range t.methods {
		if !isHeld(method) {
			continue
		}
		per100k := func(n int) float64 { return 100_000 * float64(n) / float64(max(s.pairs, 1)) }
		for what, wrong := range map[string]bool{
			"at least 100,000 finding-steps":                      s.pairs < 100_000 && !small,
			"at least 99.99 % kept":                               s.pairs-s.kept > s.pairs/10_000+1,
			"at most 5 wrongly new in 100,000":                    per100k(s.wronglyNew) > 5,
			"at most 20 wrongly known in 100,000":                 per100k(s.wronglyKnown) > 20,
			"no commit red only by findings that are wrongly new": s.red > 0,
			"none hidden": s.hidden > 0,
			"at least 95 % of those edited around their expression": 100*s.joined < 95*s.edited,
			"at most 1 % joined wrongly":                            100*(s.wrong+s.misjoined) > s.broken+s.edited || 100*s.guesses > s.guessed+100,
		} {
			if wrong {
				tb.Errorf("%s: want %s, got %s", methodNames[method], what, s)
			}
		}
	}
}

// compare counts what each method says of the findings of a commit beside what became of those of the one before.
func (t *tally) compare(tb testing.TB, before, now *snapshot) {
	tb.Helper()
	keys, formerKeys := truthOf(tb, before, now)
	was, is := grouped(formerKeys), grouped(keys)
	for method, s := range t.methods {
		names := now.names[method]
		s.hidden += len(names) - len(slices.Compact(slices.Sorted(slices.Values(names))))
		c := comparison{tally: t, score: s, method: method, before: before, now: now}
		if method < oursFromReport {
			now.known[method] = knownIn(before.names[method], names)
		}
		for _, key := range slices.Sorted(maps.Keys(is)) {
			if key != "" {
				c.group(is[key], was[key])
			}
		}
		s.steps++
		if c.wronglyNew > 0 && c.wronglyNew == c.reallyNew {
			s.red++
		}
	}
}

func grouped(keys []string) map[string][]int {
	groups := map[string][]int{}
	for i, key := range keys {
		groups[key] = append(groups[key], i)
	}
	return groups
}

// knownIn tells which names were there before, each as often as it was.
func knownIn(before, names []string) (known []bool) {
	left := map[string]int{}
	for _, name := range before {
		left[name]++
	}
	for _, name := range names {
		known = append(known, left[name] > 0)
		left[name]--
	}
	return known
}

// comparison is that of two commits by one method.
type comparison struct {
	*tally
	*score
	method      int
	before, now *snapshot

	wronglyNew, reallyNew int
}

// group counts the findings that are the same by git's word or the script's: those of now and those of before.
func (c *comparison) group(is, was []int) {
	var known, fresh []int
	for _, i := range is {
		if c.now.known[c.method][i] {
			known = append(known, i)
		} else {
			fresh = append(fresh, i)
		}
	}
	c.reallyNew += len(fresh)
	if len(is) == 1 && len(was) == 1 && c.now.lineOf(is[0]) != c.before.lineOf(was[0]) && !c.isMessageOnly(is[0]) {
		c.editedLine(is[0], was[0], len(known) > 0)
		return
	}
	pairs := min(len(is), len(was))
	c.pairs += pairs
	kept := min(len(known), pairs)
	c.kept += kept
	for n := range pairs - kept {
		if c.disagree(fresh[n], false) {
			c.score.wronglyNew++
			c.wronglyNew++
		} else {
			c.kept++
		}
	}
	for n := range len(known) - kept {
		c.surplus(known[len(known)-1-n])
	}
	c.crossed += kept - min(kept, common(c.named(c.now, known), c.named(c.before, was)))
}

// isMessageOnly is for findings of a whole file or of none, whose lines say nothing.
func (c *comparison) isMessageOnly(i int) bool { return c.now.findings[i].Line == 0 }

// surplus counts a known finding that the commit before has not.
func (c *comparison) surplus(i int) {
	if match.Evidence(c.now.evidence[c.method][i]) == match.ByEdit && c.now.version.edit == nil {
		c.guessed++
		return
	}
	if c.disagree(i, true) {
		c.score.wronglyKnown++
	}
}

// editedLine counts a finding whose line has changed.
func (c *comparison) editedLine(is, was int, known bool) {
	same := c.now.names[c.method][is] == c.before.names[c.method][was]
	switch {
	case c.now.version.edit != nil && c.now.version.edit.breaks:
		c.broken++
		if known {
			c.wrong++
			c.differ = append(c.differ, c.disagreement(is, true))
		}
		return
	case known && same:
		c.joined++
	case known:
		c.joined++
		c.misjoined++
		c.differ = append(c.differ, c.disagreement(is, true))
	default:
		c.differ = append(c.differ, c.disagreement(is, false))
	}
	c.edited++
}

// disagree notes a disagreement, and tells whether it counts.
func (c *comparison) disagree(i int, known bool) bool {
	d := c.disagreement(i, known)
	if c.judged[d.id()] {
		return false
	}
	if c.method >= oursFromReport {
		c.differ = append(c.differ, d)
	}
	return true
}

func (c *comparison) disagreement(i int, known bool) disagreement {
	f := c.now.findings[i]
	f.MatchedBy = c.now.evidence[c.method][i]
	return disagreement{c.name, c.now.version.name, c.method, known, f, c.now.lineOf(i)}
}

func (c *comparison) named(s *snapshot, indexes []int) (names []string) {
	for _, i := range indexes {
		names = append(names, s.names[c.method][i])
	}
	return names
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
