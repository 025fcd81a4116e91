package core

import (
	"fmt"
	"strings"
)

// Verdict is what the gate says of a completed scan.
type Verdict string

// The two verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
)

// Never is the FailOn that lets every scan pass.
const Never Severity = "never"

// Gate is the policy that turns findings into a verdict.
type Gate struct {
	FailOn  Severity // this severity and graver ones fail; Never lets every severity pass
	NewOnly bool     // only findings that the baseline does not have fail
	EPSS    float64  // findings whose CVE has this probability of exploitation or more fail too; 0 does not ask
	KEV     bool     // findings whose CVE is known to be exploited fail too
}

// ParseFailOn reads the configuration's fail_on word: critical, high, medium, low or never.
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
	if t.Dismissed || g.NewOnly && t.BaselineState == Unchanged {
		return false
	}
	return g.FailOn != Never && t.Severity.Rank() >= g.FailOn.Rank() || g.risky(t.MaxEPSS, t.KEV)
}
