package core

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Never is the FailOn that lets every scan pass.
const Never Severity = "never"

// Gate is the policy that turns findings into a verdict.
type Gate struct {
	FailOn  Severity // findings of this severity and above fail; Never lets all pass
	NewOnly bool     // only findings that the baseline does not have fail
	EPSS    float64  // findings whose CVE has at least this probability of exploitation fail, too; 0 switches the rule off
	KEV     bool     // findings whose CVE is known to be exploited fail, too

	FailUnsearched bool // a scan fails that left something out that can hold code
	FailUnresolved bool // a scan of the default branch fails as long as it has unresolved findings
	FirstKnown     bool // what is found where nothing was scanned before counts as known
}

// ParseFailOn reads the value of fail_on in the configuration: critical, high, medium, low or never.
func ParseFailOn(word string) (Severity, error) {
	if word == string(Never) {
		return Never, nil
	}
	for _, s := range Severities {
		if word == strings.ToLower(string(s)) {
			return s, nil
		}
	}
	return "", fmt.Errorf("%w: fail_on %q is not one of critical, high, medium, low, never", ErrInvalid, word)
}

// Judge gives the verdict over the tallies of a scan's findings.
func (g Gate) Judge(tallies []Tally) Verdict {
	for _, t := range tallies {
		if t.N > 0 && g.fails(t) {
			return Fail
		}
	}
	return Pass
}

func (g Gate) fails(t Tally) bool {
	switch {
	case t.Dismissed:
		return false
	case g.FailUnresolved && t.Unresolved:
		return true
	case g.NewOnly && t.BaselineState == Unchanged:
		return false
	}
	return g.FailOn != Never && t.Severity.Rank() >= g.FailOn.Rank() || g.risky(t.MaxEPSS, t.KEV)
}

// JudgeScan is the verdict over a scan's findings, of which so much was not searched that can hold code.
func (g Gate) JudgeScan(tallies []Tally, notSearched int) Verdict {
	if g.FailUnsearched && notSearched > 0 {
		return Fail
	}
	return g.Judge(tallies)
}

// MaxDeciding is how many of the findings that decided a verdict are listed with it.
const MaxDeciding = 50

// DecidedBy names the rules of the gate that failed a scan, or all rules for a scan that passed, by their keys in the
// configuration: "fail_on: high, new findings only".
func (g Gate) DecidedBy(tallies []Tally, notSearched int) string {
	var all, failed []string
	add := func(name string, alone Gate) {
		alone.NewOnly = g.NewOnly
		all = append(all, name)
		if alone.JudgeScan(tallies, notSearched) == Fail {
			failed = append(failed, name)
		}
	}
	add("fail_on: "+strings.ToLower(string(g.FailOn)), Gate{FailOn: g.FailOn})
	if g.EPSS > 0 {
		add("epss: "+short(g.EPSS), Gate{FailOn: Never, EPSS: g.EPSS})
	}
	if g.KEV {
		add("kev: true", Gate{FailOn: Never, KEV: true})
	}
	if g.FailUnsearched {
		add("coverage: fail", Gate{FailOn: Never, FailUnsearched: true})
	}
	if g.FailUnresolved {
		add("unresolved: fail", Gate{FailOn: Never, FailUnresolved: true})
	}
	if len(failed) > 0 {
		all = failed
	}
	if g.NewOnly {
		all = append(all, "new findings only")
	}
	return strings.Join(all, ", ")
}

// Risk is a vulnerability of a scan's findings, as it is now and as it was before the latest import.
type Risk struct {
	CVEID          string  `db:"cve_id"`
	Probability    float64 `db:"probability"`
	KEV            bool    `db:"kev"`
	WasProbability float64 `db:"was_probability"` // the same as Probability where nothing changed
	WasKEV         bool    `db:"was_kev"`
}

// AsksRisk tells whether the gate has rules besides the severity.
func (g Gate) AsksRisk() bool { return g.EPSS > 0 || g.KEV }

// risky tells whether a vulnerability fails the gate independent of its severity.
func (g Gate) risky(probability float64, kev bool) bool {
	return g.KEV && kev || g.EPSS > 0 && probability >= g.EPSS
}

// ByRisk tells whether a scan passes by the severities alone, so that its verdict depends on what is known about its
// vulnerabilities. Why then explains the verdict.
func (g Gate) ByRisk(tallies []Tally) bool {
	severities := Gate{FailOn: g.FailOn, NewOnly: g.NewOnly}
	return g.AsksRisk() && severities.Judge(tallies) == Pass
}

// Why names the vulnerability that is the cause of the verdict: "CVE-2024-3094 now in KEV and 2 more". risks belong to
// the findings that count, the most probable first. It is empty for a scan that passes and that no import changed.
func (g Gate) Why(verdict Verdict, risks []Risk) string {
	var first string
	more := -1
	for _, risk := range risks {
		reason := g.reason(verdict, risk)
		if reason == "" {
			continue
		}
		if more++; more == 0 {
			first = risk.CVEID + " " + reason
		}
	}
	if more > 0 {
		return fmt.Sprintf("%s and %d more", first, more)
	}
	return first
}

// reason says why one vulnerability fails the gate or, when the verdict is Pass, why it no longer does.
func (g Gate) reason(verdict Verdict, r Risk) string {
	was, is := g.risky(r.WasProbability, r.WasKEV), g.risky(r.Probability, r.KEV)
	now := ""
	if !was {
		now = "now "
	}
	switch {
	case is == (verdict == Pass), !is && !was:
		return ""
	case is && g.KEV && r.KEV:
		return now + "in KEV"
	case is:
		return now + "at EPSS " + short(r.Probability)
	case g.KEV && r.WasKEV && !r.KEV:
		return "no longer in KEV"
	}
	return "now below EPSS " + short(g.EPSS)
}

func short(probability float64) string { return strconv.FormatFloat(probability, 'g', 3, 64) }

// Tally counts findings of a scan that are alike for the gate and the summary. A scan with 100,000 findings has only a
// few tallies, so the cost of a verdict does not grow with the report.
type Tally struct {
	Severity      Severity      `db:"severity"`
	BaselineState BaselineState `db:"baseline_state"`
	Dismissed     bool          `db:"dismissed"`  // by a person or a machine, or suppressed by its scanner
	Unresolved    bool          `db:"unresolved"` // known, because it failed the default branch before, and nobody has spoken of it
	MaxEPSS       float64       `db:"max_epss"`   // the highest probability of exploitation among their CVEs, 0–1
	KEV           bool          `db:"kev"`        // one of their CVEs is known to be exploited
	N             int           `db:"n"`
}

// FindingGroup counts findings of a scan of which the same facts are known. What the facts mean is decided here.
type FindingGroup struct {
	Severity      Severity      `db:"severity"`
	BaselineState BaselineState `db:"baseline_state"`
	Suppressed    bool          `db:"suppressed"` // by its scanner
	Decision      Triage        `db:"decision"`   // empty where nobody has decided
	OnlyAI        bool          `db:"only_ai"`    // nobody but an AI says FP
	Exploited     bool          `db:"exploited"`  // by the red team
	Accepted      bool          `db:"accepted"`   // real, and dismissed for another Reason
	Unresolved    bool          `db:"unresolved"` // it failed the default branch before, and no person has decided since
	Risk                        // of their CVE; empty where it does not matter for the gate
	N             int           `db:"n"`
}

// Dismissed tells whether the findings count as neither new nor known. An AI alone cannot dismiss what only people may,
// even if that was found out later.
func (g FindingGroup) Dismissed() bool {
	finding := Finding{Severity: g.Severity, RedTeamSuccess: &g.Exploited, KEV: g.KEV}
	return g.Suppressed || g.Accepted || g.Decision == FalsePositive && (!g.OnlyAI || finding.AIMayDismiss())
}

// DismissedFor is why the finding is dismissed; empty where it is not, or only by its scanner.
func (f Finding) DismissedFor() Reason {
	switch {
	case !f.Dismissed:
		return ""
	case f.TriageDecision != nil && *f.TriageDecision == FalsePositive:
		return AsFalsePositive
	}
	return f.Reason
}

// Tally is the group for the gate and the summary.
func (g FindingGroup) Tally() Tally {
	return Tally{
		Severity: g.Severity, BaselineState: g.BaselineState, Dismissed: g.Dismissed(),
		Unresolved: g.Unresolved && g.BaselineState == Unchanged, MaxEPSS: g.Probability, KEV: g.KEV, N: g.N,
	}
}

// Unresolves tells whether findings of the default branch are unresolved there from then on: they fail the gate, or were unresolved
// before. What was decided on them does not count here: it may be withdrawn.
func (g Gate) Unresolves(group FindingGroup) bool {
	tally := group.Tally()
	tally.Dismissed = group.Suppressed
	return group.Unresolved || g.fails(tally)
}

// Fails tells whether each finding of the group fails the gate.
func (g Gate) Fails(group FindingGroup) bool { return g.fails(group.Tally()) }

// Judge gives an ended scan its summary and, if it is completed, its verdict with the reason. A failed scan has a summary of
// what it did find. groups hold all its findings; fixed is how many of the baseline it no longer has, and
// notSearched how much was left out that can hold code.
func (s *Scan) Judge(gate Gate, groups []FindingGroup, fixed, notSearched int) {
	tallies := make([]Tally, len(groups))
	for i, group := range groups {
		tallies[i] = group.Tally()
	}
	s.Summary = Summarize(tallies, fixed, notSearched)
	s.PutDeciding(nil, 0)
	if s.Status != ScanCompleted {
		return
	}
	verdict := gate.JudgeScan(tallies, notSearched)
	s.Verdict, s.VerdictReason = &verdict, gate.DecidedBy(tallies, notSearched)
	if gate.ByRisk(tallies) {
		s.Summary = AppendReason(s.Summary, gate.Why(verdict, gate.risks(groups)))
	}
}

// MarkReplaced says in the summary of a scan that passed that reports of its jobs took the place of ones that failed the gate.
func (s *Scan) MarkReplaced(jobs []Job) {
	if s.Verdict != nil && *s.Verdict == Pass && slices.ContainsFunc(jobs, func(j Job) bool { return j.Turned }) {
		s.Summary = AppendReason(s.Summary, string(AuditReportReplaced))
	}
}

// risks are the vulnerabilities of the findings that count, the most urgent first.
func (g Gate) risks(groups []FindingGroup) (list []Risk) {
	for _, group := range groups {
		if group.CVEID != "" && !group.Dismissed() && (!g.NewOnly || group.BaselineState != Unchanged) {
			list = append(list, group.Risk)
		}
	}
	slices.SortFunc(list, func(a, b Risk) int {
		if a.KEV != b.KEV {
			if a.KEV {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.CVEID, b.CVEID))
	})
	return slices.CompactFunc(list, func(a, b Risk) bool { return a.CVEID == b.CVEID })
}

// Summarize is the sentence that a developer reads beside the commit: "2 new (1 critical, 1 high), 14 known, 3 fixed".
// Each finding counts once, dismissed ones as neither new nor known; how many of the known ones are unresolved stands before them.
// What was not searched counts where it can hold code.
func Summarize(tallies []Tally, fixed, notSearched int) string {
	bySeverity := map[Severity]int{}
	fresh, unresolved, known, dismissed := 0, 0, 0, 0
	for _, t := range tallies {
		switch {
		case t.Dismissed:
			dismissed += t.N
		case t.BaselineState == Unchanged:
			known += t.N
			if t.Unresolved {
				unresolved += t.N
			}
		default:
			fresh += t.N
			bySeverity[t.Severity] += t.N
		}
	}
	parts := []string{"0 new"}
	switch {
	case fresh+known+fixed+dismissed == 0:
		parts[0] = "No findings"
	case fresh > 0:
		parts[0] = fmt.Sprintf("%d new (%s)", fresh, listSeverities(bySeverity))
	}
	for _, part := range []struct {
		n    int
		word string
	}{{unresolved, "unresolved"}, {known, "known"}, {fixed, "fixed"}, {dismissed, "dismissed"}, {notSearched, "not searched"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(parts, ", ")
}

func listSeverities(n map[Severity]int) string {
	var parts []string
	for _, s := range Severities {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], strings.ToLower(string(s))))
		}
	}
	return strings.Join(parts, ", ")
}

// ReportTally sums up findings about which only their report is known: no triage, no vulnerability data.
type ReportTally struct {
	Gate     Gate
	Default  bool // the scan is of the default branch: elsewhere, nothing is unresolved
	Tallies  []Tally
	First    []DecidingFinding // findings that fail the gate, the most severe first, at most MaxDeciding
	Deciding int               // how many there are in all

	at map[Tally]int
}

// DecidingFinding is a finding that fails the gate.
type DecidingFinding struct {
	AlertID  int64
	Severity Severity
}

// Add counts a finding.
func (t *ReportTally) Add(f *Finding) {
	kind := Tally{
		Severity: f.Severity, BaselineState: f.BaselineState, Dismissed: f.Suppressed != nil,
		Unresolved: f.Unresolved && f.BaselineState == Unchanged && t.Default,
	}
	n, known := t.at[kind]
	if !known {
		if t.at == nil {
			t.at = map[Tally]int{}
		}
		n = len(t.Tallies)
		t.at[kind], t.Tallies = n, append(t.Tallies, kind)
	}
	t.Tallies[n].N++
	if t.Gate.fails(kind) {
		t.Deciding++
		t.list(DecidingFinding{f.AlertID, f.Severity})
	}
}

// list inserts a finding behind those of the same severity.
func (t *ReportTally) list(d DecidingFinding) {
	rank := d.Severity.Rank()
	if len(t.First) == MaxDeciding && t.First[MaxDeciding-1].Severity.Rank() >= rank {
		return
	}
	at := sort.Search(len(t.First), func(n int) bool { return t.First[n].Severity.Rank() < rank })
	t.First = slices.Insert(t.First[:min(len(t.First), MaxDeciding-1)], at, d)
}

// Groups are the findings as groups.
func (t *ReportTally) Groups() []FindingGroup {
	groups := make([]FindingGroup, len(t.Tallies))
	for i, tally := range t.Tallies {
		groups[i] = FindingGroup{
			Severity: tally.Severity, BaselineState: tally.BaselineState, Suppressed: tally.Dismissed,
			Unresolved: tally.Unresolved, N: tally.N,
		}
	}
	return groups
}

// Len is how many findings were counted.
func (t *ReportTally) Len() (n int) {
	for _, tally := range t.Tallies {
		n += tally.N
	}
	return n
}
