package reports

import (
	"fmt"
	"path"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// plainFinding is one finding of our own JSON format, whose members bear the names of the API's. Members that are not
// listed are ignored, so that what the API hands out can be delivered again.
type plainFinding struct {
	Tool       string  `json:"tool"`
	RuleID     string  `json:"rule_id"`
	File       string  `json:"file"`
	Line       float64 `json:"line"`
	EndLine    float64 `json:"end_line"`
	Severity   any     `json:"severity"` // a word or a score
	Title      string  `json:"title"`
	Message    string  `json:"message"`
	CVEID      string  `json:"cve_id"`
	CWE        any     `json:"cwe"` // CWE-79, 79, or a list of them
	HelpURI    string  `json:"help_uri"`
	Snippet    string  `json:"snippet"`
	Suppressed any     `json:"suppressed"` // the reason, or true
}

// plain reads {"tool": …, "findings": […]}, the same with "items", or the array alone.
type plain struct {
	*cursor
	report   core.Report
	findings pile[core.Finding]
	tool     string
}

// looksPlain also claims what says nothing of its format: the [] and null that scanners write when all is well.
func looksPlain(seen shape) bool {
	if !seen.object() {
		return seen.bare() || seen.has("rule_id")
	}
	findings, items := seen.member("findings"), seen.member("items")
	return seen.has("findings") && !seen.has("runs") && maybePlain(findings) || seen.has("items") && maybePlain(items)
}

// maybePlain leaves what is not even an array to us, so that the answer says so.
func maybePlain(findings shape) bool {
	return !findings.array || findings.empty || findings.has("rule_id")
}

func parsePlain(c *cursor) (core.Report, error) {
	p := &plain{cursor: c}
	if err := p.read(); err != nil {
		return core.Report{}, err
	}
	p.report.Findings = p.findings.slice()
	for i := range p.report.Findings {
		finding := &p.report.Findings[i]
		finding.Tool = clean(first(finding.Tool, p.tool), c.limits.name())
	}
	return p.report, nil
}

func (p *plain) read() error {
	first, err := p.begins()
	switch {
	case err != nil:
		return err
	case first == '[':
		p.at++
		return p.elements(p.readFinding)
	}
	findings := func() error { return p.array(p.readFinding) }
	return p.object(members{
		"tool":     func() error { return p.decode(&p.tool) },
		"findings": findings,
		"items":    findings,
	})
}

func (p *plain) readFinding() error {
	p.report.Results++
	if p.report.Results > p.limits.MaxResults {
		return fmt.Errorf("%w: the report has more than %d findings", core.ErrTooLarge, p.limits.MaxResults)
	}
	var wire plainFinding
	if err := p.decode(&wire); err != nil {
		return err
	}
	finding, err := p.finding(wire)
	p.findings.add(finding)
	return err
}

func (p *plain) finding(wire plainFinding) (core.Finding, error) {
	ruleID := clean(strings.TrimSpace(wire.RuleID), p.limits.name())
	if ruleID == "" {
		return core.Finding{}, p.invalidIn("rule_id", "is missing; every finding needs one")
	}
	word := strings.Join(words(wire.Severity), " ")
	severity, ok := core.SeverityFromWord(word)
	if !ok {
		return core.Finding{}, p.invalidIn("severity", "%.40q is not one of critical, high, medium, low", word)
	}
	file := path.Clean("/" + strings.ReplaceAll(wire.File, `\`, "/")) // never leaves the repository's root
	line := toLine(wire.Line)
	return core.Finding{
		Tool:       wire.Tool,
		RuleID:     ruleID,
		File:       clean(strings.TrimLeft(file, "/"), p.limits.name()),
		Line:       line,
		EndLine:    endLine(line, toLine(wire.EndLine)),
		Severity:   severity,
		Title:      clean(strings.TrimSpace(wire.Title), p.limits.name()),
		Message:    clean(strings.TrimSpace(wire.Message), p.limits.message()),
		CVEID:      cveIn(wire.CVEID, ruleID, wire.Message),
		CWE:        first(cweNamed(words(wire.CWE)...), cweIn(ruleID)),
		HelpURI:    webAddress(wire.HelpURI, p.limits.name()),
		Snippet:    clean(wire.Snippet, p.limits.snippet()),
		Suppressed: suppressedBy(wire.Suppressed, p.limits.message()),
	}, nil
}

// suppressedBy reads a reason, or true for a scanner that has none.
func suppressedBy(value any, limit int) *string {
	reason, _ := value.(string)
	if value == true {
		reason = "suppressed by the scanner"
	}
	if reason = clean(strings.TrimSpace(reason), limit); reason == "" {
		return nil
	}
	return &reason
}
