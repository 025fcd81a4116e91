package core

import (
	"cmp"
	"strconv"
	"strings"
)

// Severity of a finding. The words of every scanner are translated to these four.
type Severity string

// The severities, most severe first.
const (
	Critical Severity = "Critical"
	High     Severity = "High"
	Medium   Severity = "Medium"
	Low      Severity = "Low"
)

// Severities lists all severities, most severe first.
var Severities = []Severity{Critical, High, Medium, Low}

// Rank orders severities: 4 for Critical down to 1 for Low, 0 for everything else.
func (s Severity) Rank() int {
	for i, known := range Severities {
		if s == known {
			return len(Severities) - i
		}
	}
	return 0
}

// SeverityFromScore maps SARIF's security-severity (a CVSS-like score, 0–10) to a severity.
func SeverityFromScore(score float64) Severity {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	}
	return Low
}

// SeverityFromLevel maps SARIF's level to a severity, for results without a security-severity.
func SeverityFromLevel(level string) Severity {
	switch level {
	case "error":
		return High
	case "note", "none":
		return Low
	}
	return Medium
}

// SeverityFromWord maps a scanner's own word, in any case, or a score to a severity; ok is false for unknown words.
func SeverityFromWord(word string) (severity Severity, ok bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical", "blocker":
		return Critical, true
	case "high", "error", "major":
		return High, true
	case "medium", "moderate", "warning", "minor":
		return Medium, true
	case "low", "info", "informational", "note", "none", "negligible", "unknown", "trivial", "style":
		return Low, true
	}
	if score, err := strconv.ParseFloat(word, 64); err == nil && score >= 0 && score <= 10 {
		return SeverityFromScore(score), true
	}
	return "", false
}

// Triage is a decision on a finding: a true or a false positive.
type Triage string

// The two decisions; an undecided finding has neither.
const (
	TruePositive  Triage = "TP"
	FalsePositive Triage = "FP"
)

// Reason is why a finding is dismissed.
type Reason string

// The reasons. All but AsFalsePositive dismiss a finding that is real: its decision is TruePositive.
const (
	AsFalsePositive Reason = "false_positive"
	AcceptedRisk    Reason = "accepted_risk" // until an end
	UsedInTests     Reason = "used_in_tests"
	WontFix         Reason = "wont_fix"
	Revoked         Reason = "revoked" // a secret that opens nothing any more
)

// Reasons are all reasons, as people choose among them.
var Reasons = []Reason{AsFalsePositive, AcceptedRisk, UsedInTests, WontFix, Revoked}

// Triage is the decision that belongs to the reason; empty for none.
func (r Reason) Triage() Triage {
	switch r {
	case "":
		return ""
	case AsFalsePositive:
		return FalsePositive
	}
	return TruePositive
}

// Words are the reason for people.
func (r Reason) Words() string {
	if r == WontFix {
		return "won't fix"
	}
	return strings.ReplaceAll(string(r), "_", " ")
}

// BaselineState is how a finding relates to the baseline, in SARIF's words.
type BaselineState string

// The baseline states that we use.
const (
	New       BaselineState = "new"
	Unchanged BaselineState = "unchanged"
	Absent    BaselineState = "absent"
)

// Finding is one result of one scanner. Its db tags are the columns of the table findings.
type Finding struct {
	ID       int64    `db:"id"`
	ScanID   int64    `db:"scan_id"`
	JobID    int64    `db:"job_id"`
	AlertID  int64    `db:"alert_id"` // what it is through all commits; see package alerts
	Tool     string   `db:"tool"`     // the name that the report gives, or the scanner's
	RuleID   string   `db:"rule_id"`
	File     string   `db:"file"` // relative to the repository's root with forward slashes; empty where unknown
	Line     int      `db:"line"` // 1-based; 0 where unknown
	EndLine  int      `db:"end_line"`
	Severity Severity `db:"severity"`
	Title    string   `db:"title"`
	Message  string   `db:"message"`
	CVEID    string   `db:"cve_id"` // CVE-2024-3094, or empty
	CWE      string   `db:"cwe"`    // CWE-79, or empty
	HelpURI  string   `db:"help_uri"`
	Snippet  string   `db:"snippet"`
	Code     string   `db:"code"`       // the lines around it in the checkout, secrets masked; empty where none are stored
	CodeLine int      `db:"code_line"`  // number of the first line of Code, 0 without
	Commit   string   `db:"commit_sha"` // that brought a finding in history; empty for one in the tree

	// VulnerabilityIDs are all ids of its vulnerability, separated by spaces, where it has several. CVEID is then the riskiest.
	VulnerabilityIDs string `db:"vulnerability_ids"`

	Fingerprint   string        `db:"fingerprint"`
	Anchor        string        `db:"anchor"`      // by which core/match recognises the finding in another commit
	SecretHash    string        `db:"secret_hash"` // keyed, of the secret that it is about, or empty; never shown. See HashOfSecret
	BaselineState BaselineState `db:"baseline_state"`
	MatchedBy     string        `db:"matched_by"` // why it counts as an earlier finding: a match.Evidence, or empty
	Suppressed    *string       `db:"suppressed"` // why the scanner itself suppresses it, or nil
	Unresolved    bool          `db:"unresolved"` // it failed the gate when it came to the default branch

	TriageDecision   *Triage  `db:"triage_decision"`
	AIVerdict        *string  `db:"ai_verdict"`
	AIConfidence     *float64 `db:"ai_confidence"` // 0–1
	AIReasoning      *string  `db:"ai_reasoning"`
	RemediationPatch *string  `db:"remediation_patch"`
	RedTeamSuccess   *bool    `db:"red_team_success"`

	// What is known about CVEID; read from the table epss_data, never written.
	EPSSProbability *float64 `db:"epss_probability,computed"` // 0–1, nil where unknown
	EPSSPercentile  *float64 `db:"epss_percentile,computed"`  // 0–1, nil where unknown
	KEV             bool     `db:"kev,computed"`              // known to be exploited

	// AlertNumber is the number of the alert in its project; read with findings, never written.
	AlertNumber int `db:"alert_number,computed"`

	// Reason is why a finding is dismissed that is real; read with findings, never written. See DismissedFor.
	Reason Reason `db:"reason,computed"`

	// Dismissed findings count as neither new nor known, see FindingGroup.Dismissed; read with findings, never written.
	Dismissed bool `db:"dismissed,computed"`

	// PartialFingerprint identifies the finding according to the report; an input of Anchor, not stored. It has a line for each
	// fingerprint of the tool, "name=value", or one value alone.
	PartialFingerprint string `db:"-"`
	// About is what else tells the finding from others; an input of Fingerprint and Anchor, not stored.
	About About `db:"-"`
	// Secret is what a report says alone of the secret, until the finding is masked.
	Secret string `db:"-"`
	// Former has the texts of before masks had a key, where those differ; see Formerly. An input of Anchor, not stored.
	Former string `db:"-"`
	// Details are what else the report says of it, as package details packs them; empty without any. They are stored beside the finding.
	Details string `db:"-"`
	// Shape is a digest of the flagged expression in the checkout, see match.ShapeOf; 0 without one. An input of Anchor, not stored.
	Shape uint32 `db:"-"`
	// Surroundings are the lines around the finding in the checkout; zero without one. An input of Anchor, not stored.
	Surroundings Surroundings `db:"-"`
}

// About is what a report says of a finding that makes it the same in another commit. Lists are separated by spaces.
type About struct {
	Package     string // the vulnerable one, as a package URL where the report has that; without its version
	Aliases     string // ids of the vulnerability in other lists: GHSA, CVE, those of vendors
	Resource    string // that breaks the rule, such as aws_s3_bucket.logs
	FormerRules string // ids that the rule had before
	Absolute    bool   // File was an absolute path where the scanner ran, and it is not known where the repository was
}

// text joins the texts, of which none contains NUL.
func (a About) text() string {
	if a == (About{Absolute: a.Absolute}) {
		return ""
	}
	return strings.Join([]string{a.Package, a.Aliases, a.Resource, a.FormerRules}, "\x00")
}

// aboutOf is the reverse of text.
func aboutOf(text string, absolute bool) About {
	a := About{Absolute: absolute}
	for _, part := range [...]*string{&a.Package, &a.Aliases, &a.Resource, &a.FormerRules} {
		*part, text, _ = strings.Cut(text, "\x00")
	}
	return a
}

// What Finding.SecretHash begins with tells what it is a hash of.
const (
	HashOfSecret = '=' // the secret itself
	HashOfLines  = '~' // the text in which the secret is somewhere
)

// SetFormer keeps the texts by which the finding was recognised while masks had no key, if they were others.
func (f *Finding) SetFormer(was *Finding) {
	if was.Snippet != f.Snippet || was.Message != f.Message || was.PartialFingerprint != f.PartialFingerprint {
		f.Former = was.Snippet + formerBorder + was.Message + formerBorder + was.PartialFingerprint
	}
}

const formerBorder = "\x00" // is in no text that is stored

// Formerly is the finding with the texts of before masks had a key. Masks leave no text empty: one that was empty came later.
func (f *Finding) Formerly() *Finding {
	texts := strings.Split(f.Former, formerBorder)
	if len(texts) != 3 {
		return f
	}
	was := *f
	for i, text := range []*string{&was.Snippet, &was.Message, &was.PartialFingerprint} {
		*text = cmp.Or(texts[i], *text)
	}
	return &was
}

// IsPast tells whether the finding is in history only.
func (f Finding) IsPast() bool { return f.Commit != "" }

// AIMayDismiss tells whether an AI's decision can keep the finding from failing the gate. Only people dismiss what is
// Critical, known to be exploited or proven by a red team. A finding can become one of these later, so the store
// checks the same rule in SQL at each verdict.
func (f Finding) AIMayDismiss() bool {
	return f.Severity != Critical && !f.KEV && (f.RedTeamSuccess == nil || !*f.RedTeamSuccess)
}

// NeedsComment tells whether whoever dismisses the finding has to say why: it is Critical, or known to be exploited.
func (f Finding) NeedsComment() bool { return f.Severity == Critical || f.KEV }

// Surroundings are short digests of the lines around a finding: three before it, then three after it, each side from
// the nearest line on. Lines without letters and digits are left out; 0 stands for no line. They tell findings in equal
// lines apart, and 16 bits are too few to test a guess of a secret in such a line.
type Surroundings [6]uint16

// Approval says how many people dismiss a finding, by its severity and by what is known of its vulnerability. 0 and 1 are one.
type Approval struct{ Critical, High, Medium, Low, KEV int }

// Needs tells whether a second person has to agree before a finding is dismissed.
func (a Approval) Needs(f Finding) bool {
	by := map[Severity]int{Critical: a.Critical, High: a.High, Medium: a.Medium, Low: a.Low}
	return by[f.Severity] > 1 || f.KEV && a.KEV > 1
}

// decide sets the decision that f, the finding, has after an update: the one that prevails, unless that is one person's word where two have
// to agree. It returns false where the one that prevailed still does. Each finding keeps its own then: one that got worse since has none.
func (t Triaged) decide(f *Finding, after []TriageDecision) bool {
	was, is := PrevailingDecision(t.Decisions), PrevailingDecision(after)
	if was != nil && is != nil && is.ID != 0 && was.ID == is.ID {
		f.TriageDecision = t.Finding.TriageDecision
		return false
	}
	if is != nil && is.DismissesAlone() && t.Any(t.Approval.Needs) {
		f.TriageDecision = nil
	}
	return true
}
