package reports

import (
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// level translates SARIF's level, or another word that a tool writes there; empty stays empty.
func (c *cursor) level(word, field string) (core.Severity, error) {
	switch word {
	case "":
		return "", nil
	case "error", "warning", "note", "none":
		return core.SeverityFromLevel(word), nil
	}
	if severity, ok := core.SeverityFromWord(word); ok {
		return severity, nil
	}
	return "", c.invalidIn(field, "%.40q is not one of error, warning, note, none", word)
}

// severity decides in the order: the result's security-severity, the rule's, the result's level, the level that the
// invocation configured for the rule, the rule's own, and last "warning" (3.27.10).
func (r *run) severity(stated core.Severity, d *draft, rule *rule, rules *ruleBook) core.Severity {
	switch {
	case d.scored:
		return stated
	case rule.scored:
		return core.SeverityFromScore(rule.score)
	case stated != "":
		return stated
	}
	if d.invocation >= 0 && int(d.invocation) < len(r.invocations) {
		for _, override := range r.invocations[d.invocation].overrides {
			if rules.find(&override.rule) == rule && override.severity != "" {
				return override.severity
			}
		}
	}
	if rule.severity != "" {
		return rule.severity
	}
	return core.SeverityFromLevel("warning")
}

// scoreOf reads a security-severity: a number from 0 to 10 that some write as a string, as GitHub asks, and some not.
func scoreOf(value any) (score float64, ok bool) {
	for _, word := range words(value) {
		score, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		return score, err == nil && score >= 0 && score <= 10
	}
	return 0, false
}
