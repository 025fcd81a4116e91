package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// semgrepFinding is one finding as semgrep ci hands it to its platform, or as the platform's API lists it.
type semgrepFinding struct {
	CheckID      string                   `json:"check_id"`
	Path         string                   `json:"path"`
	Line         float64                  `json:"line"`
	EndLine      float64                  `json:"end_line"`
	Message      string                   `json:"message"`
	Severity     any                      `json:"severity"` // a number from semgrep ci, a word from the API
	MatchBasedID string                   `json:"match_based_id"`
	Metadata     lenient[semgrepMetadata] `json:"metadata"`

	RuleName     string `json:"rule_name"`
	RuleMessage  string `json:"rule_message"`
	State        string `json:"status"`
	TriageReason string `json:"triage_reason"`
	Rule         struct {
		CWENames any `json:"cwe_names"`
	} `json:"rule"`
	Location struct {
		FilePath string  `json:"file_path"`
		Line     float64 `json:"line"`
		EndLine  float64 `json:"end_line"`
	} `json:"location"`
}

// semgrepVulnerability is one vulnerable dependency of Semgrep Supply Chain's API.
type semgrepVulnerability struct {
	Title    string `json:"title"`
	Advisory struct {
		RuleID      string `json:"ruleId"`
		Description string `json:"description"`
		Severity    any    `json:"severity"`
		References  struct {
			CVEs any `json:"cveIds"`
			CWEs any `json:"cweIds"`
			URLs any `json:"urls"`
		} `json:"references"`
	} `json:"advisory"`
	Dependency struct {
		Name    string `json:"name"`
		Version any    `json:"versionSpecifier"`
	} `json:"matchedDependency"`
	Safe struct {
		Version any `json:"versionSpecifier"`
	} `json:"closestSafeDependency"`
	Place struct {
		Path string  `json:"path"`
		Line float64 `json:"startLine"`
	} `json:"dependencyFileLocation"`
}

func looksLikeSemgrepPlatform(seen shape) bool {
	findings, vulns := seen.member("findings"), seen.member("vulns")
	return seen.object() && (findings.array && findings.hasAny("check_id", "rule_name", "match_based_id") ||
		vulns.array && (vulns.empty || vulns.hasAny("advisory", "dependencyFileLocation")))
}

func parseSemgrepPlatform(c *cursor) (core.Report, error) {
	s := &collector{cursor: c}
	err := s.object(members{
		"findings": func() error { return results(s, s.addSemgrepFinding) },
		"vulns":    func() error { return results(s, s.addSemgrepVulnerability) },
	})
	return s.finish("semgrep"), err
}

func (c *collector) addSemgrepFinding(wire *semgrepFinding) {
	rule, about := first(wire.CheckID, wire.RuleName), wire.Metadata.value
	f := core.Finding{
		RuleID:             rule,
		File:               first(wire.Path, wire.Location.FilePath),
		Line:               toLine(max(wire.Line, wire.Location.Line)),
		EndLine:            toLine(max(wire.EndLine, wire.Location.EndLine)),
		Severity:           semgrepSeverity(wire.Severity),
		Title:              lastPart(rule),
		Message:            first(wire.Message, wire.RuleMessage),
		CWE:                first(cweNamed(words(about.CWE)...), cweNamed(words(wire.Rule.CWENames)...)),
		HelpURI:            first(append(words(about.Source), words(about.ShortLink)...)...),
		PartialFingerprint: unlessLogin(wire.MatchBasedID),
	}
	switch wire.State {
	case "fixed":
		c.leaveOut()
		return
	case "ignored":
		f.Suppressed = because(first(wire.TriageReason, "ignored in Semgrep"))
	}
	c.add(f)
}

func (c *collector) addSemgrepVulnerability(wire *semgrepVulnerability) {
	advisory, references := &wire.Advisory, &wire.Advisory.References
	pkg := dependency{wire.Dependency.Name, strings.TrimLeft(first(words(wire.Dependency.Version)...), "= ")}
	cve := cveIn(words(references.CVEs)...)
	c.add(core.Finding{
		RuleID:             first(cve, advisory.RuleID, wire.Title),
		File:               wire.Place.Path,
		Line:               toLine(wire.Place.Line),
		Severity:           semgrepSeverity(advisory.Severity),
		Title:              pkg.title(wire.Title),
		Message:            c.withAdvice(advisory.Description, fixedIn(words(wire.Safe.Version)...)),
		CVEID:              cve,
		CWE:                cweNamed(words(references.CWEs)...),
		HelpURI:            first(words(references.URLs)...),
		PartialFingerprint: pkg.name,
	})
}

// semgrepSeverity reads semgrep's words, and the numbers that semgrep ci has in their place.
func semgrepSeverity(value any) core.Severity {
	word := first(words(value)...)
	switch word {
	case "0", "3", "4": // an information, an inventory or an experiment
		return core.Low
	case "1":
		return core.Medium
	case "2":
		return core.High
	}
	return stated(strings.TrimPrefix(strings.ToUpper(word), "SEVERITY_"))
}
