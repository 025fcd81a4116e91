package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// codeLine is a line of a file. Those with a rule are findings.
type codeLine struct {
	text, rule string
	severity   core.Severity
}

// tree are the files of a commit.
type tree map[string][]codeLine

func (t tree) clone() tree {
	copied := tree{}
	for file, lines := range t {
		copied[file] = slices.Clone(lines)
	}
	return copied
}

// report is what a scanner says of a tree. Its findings come with the lines around them, as from a checkout.
func (t tree) report() (report core.Report) {
	for file, lines := range t {
		digest := func(i int) uint16 {
			if i < 0 || i >= len(lines) {
				return 0
			}
			return match.DigestLine(lines[i].text)
		}
		for i, line := range lines {
			if line.rule == "" {
				continue
			}
			report.Findings = append(report.Findings, core.Finding{
				RuleID: line.rule, File: file, Line: i + 1, Severity: line.severity, Message: "found " + line.rule, Snippet: line.text,
				Surroundings: match.SurroundingsOf([]uint16{digest(i - 1), digest(i - 2), digest(i - 3)}, []uint16{digest(i + 1), digest(i + 2), digest(i + 3)}),
			})
		}
	}
	slices.SortFunc(report.Findings, func(a, b core.Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) })
	return report
}

// author edits trees.
type author struct {
	*rand.Rand
	births int
}

// line is a line that often equals others.
func (a *author) line() codeLine {
	a.births++
	line := codeLine{text: fmt.Sprint("step ", a.IntN(40))}
	if a.IntN(3) == 0 {
		line.rule = fmt.Sprint("rule", a.IntN(3))
		line.text, line.severity = line.rule+"(input)", core.Severities[a.IntN(4)]
		if a.IntN(4) == 0 {
			line.text = fmt.Sprintf("%s(input%d)", line.rule, a.births) // no other line is like it
		}
	}
	return line
}

// edit changes a few lines: some come, go, move or change their text.
func (a *author) edit(t tree) tree {
	edited := t.clone()
	for range 1 + a.IntN(3) {
		file := fmt.Sprintf("f%d.go", a.IntN(3))
		lines := edited[file]
		at := a.IntN(len(lines) + 1)
		switch kind := a.IntN(6); {
		case kind < 2 || len(lines) < 6:
			lines = slices.Insert(lines, at, a.line(), a.line())
		case at == len(lines):
		case kind == 2:
			lines = slices.Delete(lines, at, at+1)
		case kind == 3:
			moved := lines[at]
			lines = slices.Insert(slices.Delete(lines, at, at+1), a.IntN(len(lines)), moved)
		case lines[at].rule == "":
			lines[at].text = fmt.Sprint("step ", a.IntN(40))
		default: // what is flagged becomes another one
			lines[at] = a.line()
		}
		edited[file] = lines
	}
	return edited
}

// pushedTree is a commit as it is pushed.
type pushedTree struct {
	n      int
	branch string // empty for main
	before int    // commit onto which it is pushed, or 0
	base   int    // commit where the branch left main
	tree   tree
}

func (p pushedTree) open(t *testing.T, s *store.Store) core.Scan {
	t.Helper()
	d, push := storetest.PushOf(p.n, func(_ *core.Delivery, push *core.Push) {
		if push.Before = strings.Repeat("0", 40); p.before > 0 {
			push.Before = storetest.SHA(p.before)
		}
		push.Created = p.before == 0
		if p.branch != "" {
			push.Ref = "refs/heads/" + p.branch
		}
	})
	scan := accept(t, s, d, push)
	if p.branch == "" {
		return scan
	}
	if err := s.RecordMergeBase(t.Context(), scan, storetest.SHA(p.base)); err != nil {
		t.Fatal(err)
	}
	return get(t, s, scan.ReferenceID)
}

// work makes the commits of main and of requests that leave it, in the order in which they are pushed.
func (a *author) work(onMain, requests int) (all []pushedTree) {
	first := tree{}
	for range 12 {
		first = a.edit(first)
	}
	all = []pushedTree{{n: 1, tree: first}}
	mains, n := []int{0}, 1
	for onMain--; onMain+requests > 0; {
		n++
		head := all[mains[len(mains)-1]]
		if a.IntN(onMain+requests) < onMain {
			onMain--
			mains = append(mains, len(all))
			all = append(all, pushedTree{n: n, before: head.n, tree: a.edit(head.tree)})
			continue
		}
		requests--
		left := all[mains[max(0, len(mains)-1-a.IntN(4))]]
		request := pushedTree{n: n, branch: fmt.Sprint("request-", n), base: left.n, tree: a.edit(left.tree)}
		all = append(all, request)
		if a.IntN(3) == 0 {
			n++
			all = append(all, pushedTree{n: n, branch: request.branch, before: request.n, base: left.n, tree: a.edit(request.tree)})
		}
	}
	return all
}

// ends are the CI jobs that end after each of n pushes: with an odd seed all after the last push.
func (a *author) ends(n int, seed uint64) [][]int {
	ended := make([][]int, n)
	for _, i := range a.Perm(n) {
		after := n - 1
		if seed%2 == 0 {
			after = min(after, i+a.IntN(n/2))
		}
		ended[after] = append(ended[after], i)
	}
	return ended
}

// outcome is what a commit came to, with its findings by their places.
type outcome struct {
	Summary, Verdict, Status string
	Findings                 []string
	Brought                  []string // which commit brought those that no other line is like
}

func outcomeOf(t *testing.T, s *store.Store, scan core.Scan) outcome {
	t.Helper()
	scan = get(t, s, scan.ReferenceID)
	o := outcome{Summary: scan.Summary, Status: string(statusOf(t, s, scan).State)}
	if scan.Verdict != nil {
		o.Verdict = string(*scan.Verdict)
	}
	list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[int]bool{}
	for _, f := range list {
		if alerts[f.AlertNumber] {
			t.Errorf("%s has alert %d twice", scan.CommitSHA, f.AlertNumber)
		}
		alerts[f.AlertNumber] = true
		o.Findings = append(o.Findings, fmt.Sprintf("%s:%d %s %s %v", f.File, f.Line, f.RuleID, f.BaselineState, f.Unresolved))
	}
	slices.Sort(o.Findings)
	for _, f := range list {
		if scan.Branch == "main" && !strings.HasSuffix(f.Snippet, "(input)") {
			story, err := s.GetAlert(t.Context(), "github", "acme/shop", f.AlertNumber)
			if err != nil {
				t.Fatal(err)
			}
			o.Brought = append(o.Brought, fmt.Sprintf("%s:%d %s %s", f.File, f.Line, f.RuleID, story.First.CommitSHA[36:]))
		}
	}
	slices.Sort(o.Brought)
	return o
}

// CI jobs finish in any order. In the end every verdict is that of the order in which the commits were pushed.
func TestVerdictsEndAsInTheOrderOfCommits(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		seeds := uint64(4)
		if e.Name != "sqlite" {
			seeds = 2 // each takes several times as long there
		}
		for seed := range seeds {
			a := &author{Rand: rand.New(rand.NewPCG(seed, 15))}
			all := a.work(20, 50)
			inOrder := make([]outcome, len(all))
			s, scans := scannedBy(t, e, "semgrep"), make([]core.Scan, len(all))
			for i, p := range all {
				scans[i] = p.open(t, s)
				deliver(t, s, scans[i], "semgrep", p.tree.report())
			}
			for i, scan := range scans {
				inOrder[i] = outcomeOf(t, s, scan)
			}

			s = scannedBy(t, e, "semgrep")
			for n, ended := range a.ends(len(all), seed) {
				scans[n] = all[n].open(t, s)
				for _, i := range ended {
					deliver(t, s, scans[i], "semgrep", all[i].tree.report())
				}
			}
			for i, p := range all {
				if diff := gocmp.Diff(inOrder[i], outcomeOf(t, s, scans[i])); diff != "" {
					t.Errorf("seed %d: commit %d of %q after %d (-in order +at random):\n%s", seed, p.n, cmp.Or(p.branch, "main"), max(p.before, p.base), diff)
				}
			}
		}
	})
}

// near is a report of equal findings, each between other lines.
func near(surroundings ...string) (report core.Report) {
	for i, lines := range surroundings {
		f := finding("b", core.Low)
		above, below, _ := strings.Cut(lines, " ")
		f.Line, f.Snippet = 10*(i+1), "b(input)"
		f.Surroundings = match.SurroundingsOf([]uint16{match.DigestLine(above)}, []uint16{match.DigestLine(below)})
		report.Findings = append(report.Findings, f)
	}
	return report
}

// labels are the findings of a scan in the order of their lines, as "state decision number of the alert".
func labels(t *testing.T, s *store.Store, scan core.Scan) (list []string) {
	t.Helper()
	found, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b core.Finding) int { return a.Line - b.Line })
	for _, f := range found {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s #%d %s", f.BaselineState, f.AlertNumber, decisionOf(f))))
	}
	return list
}

// What was said of a finding before an earlier commit came stays with that finding, and reaches no equal one.
func TestDismissalBeforeAnEarlierCommitComes(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, test := range map[string]struct {
			first, second, third core.Report // the third is compared with the first until the second comes
			early, late, middle  []string
		}{
			"the other one came before": {
				near(), near("evil one"), near("evil one", "good two"),
				[]string{"new #1", "new #2 FP"}, []string{"unchanged #1", "new #2 FP"}, []string{"new #1"},
			},
			"it came before": {
				near(), near("good two"), near("evil one", "good two"),
				[]string{"new #1", "new #2 FP"}, []string{"new #1", "unchanged #2 FP"}, []string{"new #2 FP"},
			},
			"it is one that was edited twice": {
				near("first evil"), near("first second"), near("other evil", "third second"),
				[]string{"unchanged #1", "new #2 FP"}, []string{"new #3", "unchanged #1 FP"}, []string{"unchanged #1 FP"},
			},
		} {
			s := scannedBy(t, e, "semgrep")
			deliver(t, s, pushed(t, s, 1), "semgrep", test.first)
			second, third := pushed(t, s, 2), pushed(t, s, 3)
			deliver(t, s, third, "semgrep", test.third)
			list, err := s.ListFindings(t.Context(), third, store.FindingFilter{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			say(t, s, slices.MaxFunc(list, func(a, b core.Finding) int { return a.Line - b.Line }), core.FalsePositive)
			early := labels(t, s, third)
			deliver(t, s, second, "semgrep", test.second)
			if diff := gocmp.Diff([][]string{test.early, test.late, test.middle}, [][]string{early, labels(t, s, third), labels(t, s, second)}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// It does not reach the finding in the earlier commit where that is so severe there that two people have to say so.
func TestDismissalByOneBeforeAWorseCommitComes(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Scanners, policy.Approval = []string{"semgrep"}, core.Approval{Critical: 2}
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		deliver(t, s, pushed(t, s, 1), "semgrep", near("first evil"))
		second, third := pushed(t, s, 2), pushed(t, s, 3)
		third = deliver(t, s, third, "semgrep", near("other evil", "third second"))
		list, err := s.ListFindings(t.Context(), third, store.FindingFilter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		say(t, s, slices.MaxFunc(list, func(a, b core.Finding) int { return a.Line - b.Line }), core.FalsePositive)
		worse := near("first second")
		worse.Findings[0].Severity = core.Critical
		deliver(t, s, second, "semgrep", worse)
		want := [][]string{{"unchanged #1"}, {"new #3", "unchanged #1 FP"}}
		if diff := gocmp.Diff(want, [][]string{labels(t, s, second), labels(t, s, third)}); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
