package formats

import (
	"cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Gitleaks is the format of gitleaks -f json.
var Gitleaks = collect.Format{Name: "gitleaks JSON", Recognizes: looksLikeGitleaks, Parse: parseGitleaks}

func looksLikeGitleaks(seen jsonscan.Sniff) bool {
	if !seen.Array {
		return false
	}
	return seen.Has("RuleID", "File") && seen.HasAny("Secret", "Match", "StartLine", "Fingerprint") ||
		seen.Has("rule", "offender")
}

// parseGitleaks reads the leaks. gitleaks states no severity: a secret that anybody can read is always High.
func parseGitleaks(c *collect.Collector) ([]core.Report, error) {
	err := collect.Results(c, func(wire *gitleaksFinding) {
		rule := cmp.Or(wire.RuleID, wire.Rule)
		secret, where := collect.Unmasked(cmp.Or(wire.Secret, wire.Offender)), ""
		if wire.Commit != "" {
			where = "It is in commit " + core.ShortSHA(wire.Commit) + "."
		}
		c.Add(core.Finding{
			RuleID:   rule,
			File:     wire.File,
			Line:     collect.Line(max(wire.StartLine, wire.LineNumber)),
			EndLine:  collect.Line(wire.EndLine),
			Severity: core.High,
			Title:    cmp.Or(wire.Description, rule),
			Message:  c.WithAdvice(cmp.Or(wire.Description, rule), where),
			CWE:      collect.SecretInCode,
			Secret:   secret,

			PartialFingerprint: secret,
		})
	})
	return c.Finish("gitleaks"), err
}

// gitleaksFinding has the members of version 8 and those of the versions before it. What quotes the code (Line, Match) is
// not read, and the secret is read only to distinguish it from others.
type gitleaksFinding struct {
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
