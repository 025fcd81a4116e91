package core

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Risk is a vulnerability that findings of a scan name, with what was known about it before the latest import.
type Risk struct {
	CVEID          string  `db:"cve_id"`
	Probability    float64 `db:"probability"`
	KEV            bool    `db:"kev"`
	WasProbability float64 `db:"was_probability"` // the same as Probability where nothing changed
	WasKEV         bool    `db:"was_kev"`
}

// AsksRisk tells whether the gate looks at anything but severities.
func (g Gate) AsksRisk() bool { return g.EPSS > 0 || g.KEV }

// risky tells whether a vulnerability fails the gate whatever its severity.
func (g Gate) risky(probability float64, kev bool) bool {
	return g.KEV && kev || g.EPSS > 0 && probability >= g.EPSS
}

// ByRisk tells whether the severities alone let a scan pass, so that its verdict hangs on what is known about its
// vulnerabilities; Why then explains it.
func (g Gate) ByRisk(tallies []Tally) bool {
	severities := Gate{FailOn: g.FailOn, NewOnly: g.NewOnly}
	return g.AsksRisk() && severities.Judge(tallies) == Pass
}

// Why names the vulnerability because of which the gate says verdict: "CVE-2024-3094 now in KEV and 2 more". risks are
// those of the findings that count, the likeliest first. Empty for a scan that passes and that no import has moved.
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

// reason says why one vulnerability fails the gate, or stopped to fail it when the verdict is Pass.
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

// Explain adds a reason to a summary. The reason stays whole where both are too long for a status text.
func Explain(summary, reason string) string {
	if reason == "" {
		return summary
	}
	room := MaxDescription - utf8.RuneCountInString(reason) - len(", ")
	if utf8.RuneCountInString(summary) > room {
		summary = string([]rune(summary)[:max(room-1, 0)]) + "…"
	}
	return summary + ", " + reason
}
