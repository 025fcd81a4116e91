package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

// flaw is a finding of the tests' project that the tests recognise by its rule.
type flaw struct {
	rule, file string
	line       int
}

func (f flaw) finding() core.Finding {
	severity := core.Severities[len(f.rule)%len(core.Severities)]
	return core.Finding{Tool: "gitleaks", RuleID: f.rule, File: f.file, Line: f.line, Severity: severity, Snippet: "x := " + f.rule,
		Surroundings: match.SurroundingsOf([]uint16{match.DigestLine("before " + f.rule)}, []uint16{match.DigestLine("after " + f.rule)})}
}

// lives is a project whose flaws come, move, go and return on several branches.
type lives struct {
	*past
	random   *rand.Rand
	name     string
	branches map[string][]flaw    // what the head of each branch has
	heads    map[string]core.Scan // its last scan
	born     map[string]flaw      // flaws by rule, as they were first
	numbers  map[string]int       // of alerts, by rule
	decided  map[string]core.Triage
}

func newLives(t *testing.T, e storetest.Engine, seed uint64) *lives {
	return &lives{
		past: newPast(t, e), random: rand.New(rand.NewPCG(seed, 1)), name: "acme/shop", branches: map[string][]flaw{"main": nil},
		heads: map[string]core.Scan{}, born: map[string]flaw{}, numbers: map[string]int{}, decided: map[string]core.Triage{},
	}
}

// step lets one thing happen.
func (l *lives) step(t *testing.T) {
	t.Helper()
	names := slices.Sorted(maps.Keys(l.branches))
	branch := names[l.random.IntN(len(names))]
	switch l.random.IntN(12) {
	case 0:
		if name := fmt.Sprint("b", len(l.born)); len(names) < 4 && l.branches[name] == nil {
			l.branches[name] = slices.Clone(l.branches["main"])
			l.scan(t, name)
		}
	case 1:
		l.judge(t, branch)
	case 2:
		l.now = l.now.Add(20 * day)
		l.prune(t)
	case 3:
		l.name = fmt.Sprint("acme/shop", l.random.IntN(3))
		l.scan(t, branch)
	default:
		l.commit(branch)
		l.scan(t, branch)
	}
}

// commit changes the flaws of a branch: one comes, goes or returns, and a file is edited or renamed.
func (l *lives) commit(branch string) {
	flaws := l.branches[branch]
	switch n := l.random.IntN(6); {
	case n < 2 || len(flaws) == 0:
		fresh := flaw{fmt.Sprintf("rule-%s-%d", strings.Repeat("x", l.random.IntN(4)), len(l.born)), fmt.Sprintf("f%d.go", l.random.IntN(3)), 1 + l.random.IntN(50)}
		l.born[fresh.rule] = fresh
		flaws = append(flaws, fresh)
	case n == 2:
		at := l.random.IntN(len(flaws))
		flaws = slices.Delete(slices.Clone(flaws), at, at+1)
	case n == 3:
		for _, rule := range slices.Sorted(maps.Keys(l.born)) {
			old := l.born[rule]
			if !slices.ContainsFunc(flaws, func(f flaw) bool { return f.rule == old.rule }) {
				flaws = append(flaws, old)
				break
			}
		}
	case n == 4:
		file, lines := flaws[l.random.IntN(len(flaws))].file, l.random.IntN(9)
		flaws = slices.Clone(flaws)
		for i := range flaws {
			if flaws[i].file == file {
				flaws[i].line += lines
			}
		}
	default:
		from, to := flaws[l.random.IntN(len(flaws))].file, fmt.Sprintf("renamed%d.go", l.n)
		flaws = slices.Clone(flaws)
		for i := range flaws {
			if flaws[i].file == from {
				flaws[i].file = to
			}
		}
	}
	l.branches[branch] = flaws
}

// scan pushes the head of a branch and has it scanned.
func (l *lives) scan(t *testing.T, branch string) {
	t.Helper()
	before := strings.Repeat("0", 40)
	if head, known := l.heads[branch]; known {
		before = head.CommitSHA
	}
	scan := l.push(t, l.random.IntN(3), storetest.OnBranch(branch), called(l.name, "42"), func(_ *core.Delivery, p *core.Push) { p.Before = before })
	var findings []core.Finding
	for _, f := range l.branches[branch] {
		findings = append(findings, f.finding())
	}
	l.random.Shuffle(len(findings), func(i, j int) { findings[i], findings[j] = findings[j], findings[i] })
	run(t, l.Store, findings...)
	l.postAll(t)
	t.Logf("%s as %s: %v", branch, l.name, l.branches[branch])
	l.heads[branch] = get(t, l.Store, scan.ReferenceID)
}

// judge says something of a finding at the head of a branch.
func (l *lives) judge(t *testing.T, branch string) {
	t.Helper()
	findings := findingsOf(t, l.Store, l.heads[branch])
	for _, rule := range slices.Sorted(maps.Keys(findings)) {
		f := findings[rule]
		if l.random.IntN(2) == 0 {
			continue
		}
		if l.decided[rule] == core.FalsePositive && l.random.IntN(2) == 0 {
			undo(t, l.Store, f, "bob")
			delete(l.decided, rule)
		} else {
			l.decided[rule] = []core.Triage{core.FalsePositive, core.FalsePositive, core.TruePositive}[l.random.IntN(3)]
			say(t, l.Store, f, l.decided[rule])
		}
		break
	}
	l.postAll(t)
}

// check compares all that is kept with what happened.
func (l *lives) check(t *testing.T) {
	t.Helper()
	want := map[string][]int{}
	for branch, scan := range l.heads {
		want["refs/heads/"+branch] = nil
		for rule, f := range findingsOf(t, l.Store, scan) {
			if number, known := l.numbers[rule]; known && number != f.AlertNumber {
				t.Errorf("%s on %s is alert %d, was %d", rule, branch, f.AlertNumber, number)
			}
			l.numbers[rule] = f.AlertNumber
			if decisionOf(f) != l.decided[rule] {
				t.Errorf("%s on %s is %q, want %q", rule, branch, decisionOf(f), l.decided[rule])
			}
			if l.decided[rule] != core.FalsePositive {
				want["refs/heads/"+branch] = append(want["refs/heads/"+branch], f.AlertNumber)
			}
		}
		slices.Sort(want["refs/heads/"+branch])
	}
	if diff := gocmp.Diff(want, openAlerts(t, l.Store)); diff != "" {
		t.Errorf("open alerts (-want +got):\n%s", diff)
	}
	l.checkList(t, want)
	l.checkDay(t)
}

// listAlerts are all alerts of a project on a shelf, the newest first.
func listAlerts(t *testing.T, s *store.Store, project string, shelf catalog.Shelf) []catalog.Item {
	t.Helper()
	projects, err := s.InProject(t.Context(), access.Read, "github", project)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Catalog().List(t.Context(), catalog.Filter{Shelf: shelf, Projects: projects}, catalog.Newest, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// checkList compares the list of alerts.
func (l *lives) checkList(t *testing.T, open map[string][]int) {
	t.Helper()
	all := listAlerts(t, l.Store, l.name, "")
	anywhere := slices.Concat(slices.Collect(maps.Values(open))...)
	rules := map[int]string{}
	for rule, number := range l.numbers {
		rules[number] = rule
	}
	for i, alert := range all {
		if alert.Number != len(all)-i || alert.RuleID != rules[alert.Number] {
			t.Errorf("alert %d of %s is listed as number %d, want %s", alert.Number, alert.RuleID, len(all)-i, rules[alert.Number])
		}
		want := alerts.StateOf(slices.Contains(anywhere, alert.Number), false, core.Finding{}, nil)
		if want == alerts.Fixed && l.decided[alert.RuleID] == core.FalsePositive {
			want = alerts.Dismissed
		}
		if alert.State != want {
			t.Errorf("%s is %s, want %s", alert.RuleID, alert.State, want)
		}
	}
	if len(l.numbers) != len(all) {
		t.Errorf("%d alerts of %d flaws", len(all), len(l.numbers))
	}
	onMain := listAlerts(t, l.Store, l.name, catalog.Open)
	var numbers []int
	for _, alert := range onMain {
		numbers = append(numbers, alert.Number)
		if f := l.flaw(alert.RuleID); f != nil && (alert.File != f.file || alert.Line != f.line) {
			t.Errorf("%s is said to be at %s:%d, want %+v", alert.RuleID, alert.File, alert.Line, *f)
		}
	}
	slices.Reverse(numbers)
	if !slices.Equal(numbers, open["refs/heads/main"]) {
		t.Errorf("open on main %v, want %v", numbers, open["refs/heads/main"])
	}
	l.checkTallies(t)
}

// checkTallies compares the numbers that the database keeps with the alerts.
func (l *lives) checkTallies(t *testing.T) {
	t.Helper()
	projects, err := l.InProject(t.Context(), access.Read, "github", l.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, shelf := range catalog.Shelves {
		want := map[string]int{}
		for _, alert := range listAlerts(t, l.Store, l.name, shelf) {
			want[string(alert.Severity)]++
		}
		facets, err := l.Catalog().Facets(t.Context(), catalog.Filter{Shelf: shelf, Projects: projects})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, n := range want {
			sum += n
		}
		if facets.Total.N != sum || facets.Shelves[shelf].N != sum {
			t.Errorf("%d alerts are %s, tallied are %d, counted %d", sum, shelf, facets.Shelves[shelf].N, facets.Total.N)
		}
		for _, value := range facets.Severities {
			if value.N != want[value.Name] {
				t.Errorf("%d %s alerts are %s, want %d", value.N, value.Name, shelf, want[value.Name])
			}
		}
	}
}

// flaw is a flaw as the head of main has it, or nil.
func (l *lives) flaw(rule string) *flaw {
	i := slices.IndexFunc(l.branches["main"], func(f flaw) bool { return f.rule == rule })
	if i < 0 {
		return nil
	}
	return &l.branches["main"][i]
}

// checkDay compares the count of the last day with the head of main.
func (l *lives) checkDay(t *testing.T) {
	t.Helper()
	days, err := l.ListDays(t.Context(), "github", l.name, 1000)
	if err != nil || len(days) == 0 {
		if _, scanned := l.heads["main"]; scanned {
			t.Errorf("%d days, %v", len(days), err)
		}
		return
	}
	var want alerts.Day
	last := days[len(days)-1]
	want.ProjectID, want.Day = last.ProjectID, last.Day
	for _, f := range l.branches["main"] {
		if l.decided[f.rule] == core.FalsePositive {
			continue
		}
		*map[core.Severity]*int{
			core.Critical: &want.Critical, core.High: &want.High, core.Medium: &want.Medium, core.Low: &want.Low,
		}[f.finding().Severity]++
	}
	if last != want {
		t.Errorf("the last day is %+v, want %+v", last, want)
	}
	if !slices.IsSortedFunc(days, func(a, b alerts.Day) int { return cmp.Compare(a.Day, b.Day) }) {
		t.Errorf("days are not in order: %v", days)
	}
}

// openAlerts are the numbers of the open alerts, by head; the tests have one project.
func openAlerts(t *testing.T, s *store.Store) map[string][]int {
	t.Helper()
	var rows []struct {
		Ref    string `db:"ref"`
		Number *int   `db:"number"`
	}
	tx, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	err = tx.SelectContext(t.Context(), &rows, `
		SELECT h.ref, a.number FROM alert_heads h LEFT JOIN open_alerts o ON o.head_id = h.id LEFT JOIN alerts a ON a.id = o.alert_id
		ORDER BY a.number`)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string][]int{}
	for _, row := range rows {
		if row.Number != nil {
			open[row.Ref] = append(open[row.Ref], *row.Number)
		} else if open[row.Ref] == nil {
			open[row.Ref] = nil
		}
	}
	return open
}

// Through commits, renames, fixes, returns, branches, dismissals, new names of the project and retention, a flaw stays one alert
// with one number, and what is open at each head is what its last scan says.
func TestAlertsThroughRandomLives(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				l := newLives(t, e, seed)
				l.commit("main")
				l.scan(t, "main")
				l.check(t)
				for n := 0; n < 60 && !t.Failed(); n++ {
					l.step(t)
					l.check(t)
				}
			})
		}
	})
}

// Reports of one project at one time get numbers without gaps, and the same flaw gets one alert.
func TestAlertsAreNumberedConcurrently(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const branches, each = 6, 20
		var scans []core.Scan
		for n := range branches {
			scans = append(scans, pushTo(t, s, n+1, fmt.Sprint("b", n)))
		}
		var racing sync.WaitGroup
		for n, scan := range scans {
			racing.Go(func() {
				var report core.Report
				for i := range each {
					report.Findings = append(report.Findings, finding(fmt.Sprint("own-", n, "-", i), core.Low), finding(fmt.Sprint("all-", i), core.High))
				}
				if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
					t.Error(err)
				}
			})
		}
		racing.Wait()
		all := listAlerts(t, s, "acme/shop", "")
		if len(all) != each*(branches+1) {
			t.Fatalf("%d alerts, want %d", len(all), each*(branches+1))
		}
		for i, alert := range all {
			if alert.Number != len(all)-i {
				t.Fatalf("alert %d is numbered %d", len(all)-i, alert.Number)
			}
		}
	})
}

// An alert tells where it is open, who said what, and when it was seen, also after its scans were removed.
func TestAlertTellsItsStory(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		first := p.scanned(t, 0)
		lasting := findingsOf(t, p.Store, first)["lasting"]
		say(t, p.Store, findingsOf(t, p.Store, first)["rule-1"], core.FalsePositive)
		p.postAll(t)
		born := p.now
		p.scanned(t, 1)
		p.scanned(t, 1)
		p.scanned(t, 100)
		p.prune(t)
		last := p.scanned(t, 1)
		story, err := p.GetAlert(t.Context(), "github", "acme/shop", lasting.AlertNumber)
		if err != nil {
			t.Fatal(err)
		}
		if story.State != alerts.Open || !story.FirstSeen.Equal(born) || !story.LastSeen.Equal(p.now) || story.First != nil ||
			story.LastScan != last.ReferenceID || story.Finding != findingsOf(t, p.Store, last)["lasting"].ID {
			t.Errorf("the lasting one: %+v", story)
		}
		if len(story.Heads) != 1 || story.Heads[0].Ref != "refs/heads/main" || *story.Heads[0].Scan != last.ReferenceID {
			t.Errorf("open at %+v", story.Heads)
		}
		gone, err := p.GetAlert(t.Context(), "github", "ACME/shop", 1)
		if err != nil || gone.RuleID != "rule-1" || gone.State != alerts.Dismissed || len(gone.Heads) != 0 || gone.Finding != 0 {
			t.Errorf("the dismissed one, whose scans are gone: %+v, %v", gone, err)
		}
		if d := gone.Decision; d == nil || d.Author != "alice" || len(gone.Events) != 1 || gone.Events[0].Comment != "because" {
			t.Errorf("decided %+v, history %+v", d, gone.Events)
		}
		if _, err := p.GetAlert(t.Context(), "github", "acme/shop", 99); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("no such number: %v", err)
		}
		if _, err := p.GetAlert(t.Context(), "github", "acme/none", 1); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("no such project: %v", err)
		}
	})
}

// A scanner that suppresses a finding takes it out of what is open; the alert is fixed only when no branch has it.
func TestSuppressedAlertIsNotFixed(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		state := func(when string, n int, want alerts.State, findings ...core.Finding) {
			t.Helper()
			pushed(t, s, n)
			run(t, s, findings...)
			story, err := s.GetAlert(t.Context(), "github", "acme/shop", 1)
			if err != nil || story.State != want {
				t.Errorf("%s: %s, %v, want %s", when, story.State, err, want)
			}
		}
		hidden := finding("leak", core.High)
		hidden.Suppressed = new("nosec")
		state("at first", 1, alerts.Open, finding("leak", core.High))
		state("suppressed", 2, alerts.Dismissed, hidden)
		state("not any more", 3, alerts.Open, finding("leak", core.High))
		state("fixed", 4, alerts.Fixed)
		state("back", 5, alerts.Open, finding("leak", core.High))
	})
}

// Two tools that report one rule in one file are two alerts, each with its own decision.
func TestAlertsOfTwoTools(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		of := func(tool string) core.Report {
			return core.Report{Findings: []core.Finding{{Tool: tool, RuleID: "CVE-2026-1", File: "go.sum", Line: 1, Severity: core.High}}}
		}
		scan := pushed(t, s, 1)
		deliver(t, s, scan, "semgrep", of("one"))
		scan = deliver(t, s, scan, "trivy", of("two"))
		list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{ByAge: true, Limit: 10})
		if err != nil || len(list) != 2 || list[0].AlertNumber != 1 || list[1].AlertNumber != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		after := say(t, s, list[0], core.FalsePositive)
		if after.Scan.Summary != "1 new (1 high), 1 dismissed" {
			t.Errorf("%q", after.Scan.Summary)
		}
		days, err := s.ListDays(t.Context(), "github", "acme/shop", 5)
		if err != nil || len(days) != 1 || days[0].High != 1 || days[0].Day != time.Now().UTC().Format(time.DateOnly) {
			t.Errorf("days: %+v, %v", days, err)
		}
	})
}

// alertOf is an alert of the tests' project.
func alertOf(t *testing.T, s *store.Store, number int) store.AlertStory {
	t.Helper()
	story, err := s.GetAlert(t.Context(), "github", "acme/shop", number)
	if err != nil {
		t.Fatal(err)
	}
	return story
}

// place is a finding of one rule, wherever it is.
func place(file string, line int, severity core.Severity) core.Report {
	f := finding("leak", severity)
	f.File, f.Line = file, line
	return core.Report{Findings: []core.Finding{f}}
}

func wantPlace(t *testing.T, s *store.Store, when, file string, line int, severity core.Severity) {
	t.Helper()
	if a := alertOf(t, s, 1); a.File != file || a.Line != line || a.Severity != severity {
		t.Errorf("%s: the alert says %s at %s:%d, want %s at %s:%d", when, a.Severity, a.File, a.Line, severity, file, line)
	}
}

// setBackFrom makes a push force its branch back from the n-th commit.
func setBackFrom(n int) change {
	return func(d *core.Delivery, p *core.Push) { d.Key, p.Before, p.Forced = "set back", storetest.SHA(n), true }
}

// An alert says what the last report says of it, also where that replaces one of the same scan.
func TestReplacedReportDescribesItsAlerts(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		scan := pushed(t, s, 1)
		deliver(t, s, scan, "trivy", place("a.go", 3, core.Low))
		deliver(t, s, scan, "trivy", place("a.go", 9, core.High))
		wantPlace(t, s, "while the scan is open", "a.go", 9, core.High)
		deliver(t, s, scan, "semgrep", core.Report{})
		deliver(t, s, scan, "trivy", place("a.go", 12, core.Critical))
		wantPlace(t, s, "after it", "a.go", 12, core.Critical)
		if story := alertOf(t, s, 1); story.State != alerts.Open {
			t.Errorf("the alert is %s", story.State)
		}
	})
}

// While the default branch has an alert, it says what the newest commit of that branch says: not what a late scan of an older
// one does, and what an older one says as soon as the branch is set back to that.
func TestAlertSaysWhatTheDefaultBranchSays(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		finish := func(job core.Job, report core.Report) {
			t.Helper()
			if err := s.FinishJob(t.Context(), job, report); err != nil {
				t.Fatal(err)
			}
		}
		pushed(t, s, 1)
		finish(claimJob(t, s, by("a", scanners...)), place("a.go", 3, core.Low))
		late := pushed(t, s, 2)
		job := claimJob(t, s, by("a", scanners...))
		pushed(t, s, 3)
		finish(claimJob(t, s, by("b", scanners...)), place("a.go", 9, core.High))
		finish(job, place("a.go", 6, core.Medium))
		wantPlace(t, s, "after a late scan", "a.go", 9, core.High)
		if _, err := s.Rescan(t.Context(), late.ReferenceID, "ann"); err != nil {
			t.Fatal(err)
		}
		finish(claimJob(t, s, by("a", scanners...)), place("a.go", 7, core.Medium))
		wantPlace(t, s, "after another late scan", "a.go", 9, core.High)
		pushed(t, s, 1, setBackFrom(3))
		wantPlace(t, s, "set back", "a.go", 3, core.Low)
		pushed(t, s, 4, storetest.OnBranch("topic"), onto(1))
		finish(claimJob(t, s, by("a", scanners...)), place("a.go", 30, core.High))
		wantPlace(t, s, "moved on a branch", "a.go", 3, core.Low)
		if story := alertOf(t, s, 1); story.State != alerts.Open || len(story.Heads) != 2 {
			t.Errorf("%s at %+v", story.State, story.Heads)
		}
	})
}

// An alert that no branch shows is not open: of a late scan of a commit that its branch has left, of a scan that failed there or
// was deleted, and of a report that was replaced before its scan ended.
func TestAlertThatNoBranchShowsIsNotOpen(t *testing.T) {
	t.Parallel()
	leak := func() core.Report { return place("a.go", 3, core.High) }
	for name, end := range map[string]func(t *testing.T, s *store.Store){
		"a late scan": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			deliver(t, s, pushed(t, s, 2), "trivy", core.Report{})
			deliver(t, s, scan, "semgrep", core.Report{})
		},
		"a late scan that fails": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			pushed(t, s, 2)
			deliver(t, s, scan, "semgrep", core.Report{Failure: "no rules"})
		},
		"a scan that failed before the next one": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			deliver(t, s, scan, "semgrep", core.Report{Failure: "no rules"})
			wantState(t, s, "while its commit is the last", alerts.Open)
			scan = pushed(t, s, 2)
			deliver(t, s, scan, "trivy", core.Report{})
			deliver(t, s, scan, "semgrep", core.Report{})
		},
		"a scan that failed before another that failed without findings": func(t *testing.T, s *store.Store) {
			for n, report := range []core.Report{leak(), {}} {
				scan := pushed(t, s, 1+n)
				deliver(t, s, scan, "trivy", report)
				deliver(t, s, scan, "semgrep", core.Report{Failure: "no rules"})
			}
			scan := pushed(t, s, 4, onto(2))
			deliver(t, s, scan, "trivy", core.Report{})
			deliver(t, s, scan, "semgrep", core.Report{})
		},
		"a scan that failed before one that was superseded": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			deliver(t, s, scan, "semgrep", core.Report{Failure: "no rules"})
			pushed(t, s, 2)
			scan = pushed(t, s, 4, onto(2))
			deliver(t, s, scan, "trivy", core.Report{})
			deliver(t, s, scan, "semgrep", core.Report{})
		},
		"a scan that failed before the commit was scanned once more": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			deliver(t, s, scan, "semgrep", core.Report{Failure: "no rules"})
			receipt, err := s.Rescan(t.Context(), scan.ReferenceID, "ann")
			if err != nil {
				t.Fatal(err)
			}
			scan = get(t, s, receipt.Reference)
			deliver(t, s, scan, "trivy", core.Report{})
			deliver(t, s, scan, "semgrep", core.Report{})
		},
		"a report that was replaced": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			deliver(t, s, scan, "trivy", core.Report{})
			deliver(t, s, scan, "semgrep", core.Report{})
		},
		"a scan that failed where the branch was": func(t *testing.T, s *store.Store) {
			before := pushed(t, s, 1)
			deliver(t, s, before, "trivy", core.Report{})
			deliver(t, s, before, "semgrep", core.Report{})
			scan := pushed(t, s, 2)
			deliver(t, s, scan, "trivy", leak())
			deliver(t, s, scan, "semgrep", core.Report{Failure: "no rules"})
			pushed(t, s, 1, setBackFrom(2))
		},
		"a scan that is deleted": func(t *testing.T, s *store.Store) {
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "trivy", leak())
			wantState(t, s, "before", alerts.Open)
			if err := s.DeleteScan(t.Context(), scan.ReferenceID, "ann"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := twoScanners(t, e)
				end(t, s)
				wantState(t, s, "in the end", alerts.Fixed)
				stands, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 1)
				if err != nil || len(stands) != 1 {
					t.Fatal(stands, err)
				}
				scan := pushed(t, s, 3, func(_ *core.Delivery, p *core.Push) { p.Before = stands[0].SHA })
				deliver(t, s, scan, "trivy", leak())
				deliver(t, s, scan, "semgrep", core.Report{})
				wantState(t, s, "where it is shown", alerts.Open)
			})
		})
	}
}

func wantState(t *testing.T, s *store.Store, when string, want alerts.State) {
	t.Helper()
	if story := alertOf(t, s, 1); story.State != want {
		t.Errorf("%s: the alert is %s, want %s", when, story.State, want)
	}
}

// A decision reaches a head whose scan is older than the one that saw the alert first, because it took longer.
func TestDecisionReachesOlderScans(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		branch := pushed(t, s, 1, storetest.OnBranch("topic"), onto(0))
		slow := claimJob(t, s, by("slow", scanners...))
		main := pushed(t, s, 2, onto(0))
		run(t, s, finding("leak", core.High))
		if err := s.FinishJob(t.Context(), slow, core.Report{Findings: []core.Finding{finding("leak", core.High)}}); err != nil {
			t.Fatal(err)
		}
		say(t, s, findingsOf(t, s, main)["leak"], core.FalsePositive)
		if scan := get(t, s, branch.ReferenceID); *scan.Verdict != core.Pass || scan.Summary != "0 new, 1 dismissed" {
			t.Errorf("the branch: %s %q", *scan.Verdict, scan.Summary)
		}
		if story := alertOf(t, s, 1); story.State != alerts.Dismissed || len(story.Heads) != 0 {
			t.Errorf("%s at %+v", story.State, story.Heads)
		}
	})
}

// What only a branch has is fixed when that is deleted, also while its scan is still running, and open again when it is back.
func TestDeletedBranchClosesItsAlerts(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		pushed(t, s, 1)
		run(t, s)
		scanOn(t, s, 2, "topic", finding("leak", core.High))
		wantState(t, s, "on a branch", alerts.Open)
		moves(t, s, "topic:2>0")
		wantState(t, s, "deleted", alerts.Fixed)
		moves(t, s, "topic:0>2")
		wantState(t, s, "back", alerts.Open)
		moves(t, s, "topic:2>3")
		job := claimJob(t, s, by("slow", scanners...))
		moves(t, s, "topic:3>0")
		if err := s.FinishJob(t.Context(), job, found("leak", "other")); err != nil {
			t.Fatal(err)
		}
		for number := range 2 {
			if story := alertOf(t, s, number+1); story.State != alerts.Fixed || len(story.Heads) != 0 {
				t.Errorf("alert %d, deleted while scanned: %s at %+v", number+1, story.State, story.Heads)
			}
		}
	})
}

// An alert that goes from one branch while another one gets it is open: neither transaction misses the other.
func TestAlertComesAndGoesAtOnce(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres.Open(t, store.Config{})
	pushed(t, s, 1)
	run(t, s, finding("leak", core.High))
	pushed(t, s, 2)
	without := claimJob(t, s, by("a", scanners...))
	pushed(t, s, 3, storetest.OnBranch("topic"), onto(1))
	with := claimJob(t, s, by("b", scanners...))

	stalls, err := s.Begin(t.Context()) // as one that describes the alert, so that what closes it waits
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stalls.ExecContext(t.Context(), `UPDATE alerts SET line = line`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- s.FinishJob(t.Context(), without, core.Report{}) }()
	if err := awaitBlocked(t, stalls); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- s.FinishJob(t.Context(), with, found("leak")) }()
	select {
	case err := <-ended:
		ended <- err
	case <-time.After(time.Second):
	}
	if err := stalls.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	if story := alertOf(t, s, 1); story.State != alerts.Open || len(story.Heads) != 1 || story.Heads[0].Ref != "refs/heads/topic" {
		t.Errorf("%s at %+v", story.State, story.Heads)
	}
}
