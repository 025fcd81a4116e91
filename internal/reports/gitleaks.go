package reports

import (
	"github.com/scanhook/scanhook/core"
)

// secretInCode is the weakness of every leaked secret.
const secretInCode = "CWE-798"

// leak is one finding of gitleaks, with the members of version 8 and those of the versions before it. What it quotes of
// the code (Line, Match) is not even read, and the secret only to tell it from others.
type leak struct {
	RuleID      string
	Description string
	File        string
	StartLine   float64
	EndLine     float64
	Commit      string
	Secret      string

	Rule       string
	LineNumber float64
	Offender   string
}

func looksLikeGitleaks(seen shape) bool {
	if !seen.array {
		return false
	}
	return seen.has("RuleID", "File") && seen.hasAny("Secret", "Match", "StartLine", "Fingerprint") ||
		seen.has("rule", "offender")
}

// parseGitleaks reads the leaks. gitleaks states no severity: a secret that anybody can read is always High.
func parseGitleaks(c *cursor) (core.Report, error) {
	g := &collector{cursor: c}
	err := results(g, func(wire *leak) {
		rule := first(wire.RuleID, wire.Rule)
		where := ""
		if wire.Commit != "" {
			where = "It is in commit " + core.ShortSHA(wire.Commit) + "."
		}
		g.add(core.Finding{
			RuleID:             rule,
			File:               wire.File,
			Line:               toLine(max(wire.StartLine, wire.LineNumber)),
			EndLine:            toLine(wire.EndLine),
			Severity:           core.High,
			Title:              first(wire.Description, rule),
			Message:            g.withAdvice(first(wire.Description, rule), where),
			CWE:                secretInCode,
			PartialFingerprint: masked(first(wire.Secret, wire.Offender)),
		})
	})
	return g.finish("gitleaks"), err
}
