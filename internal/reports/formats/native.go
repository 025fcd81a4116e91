package formats

import (
	"cmp"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Native is our own JSON format.
var Native = collect.Format{
	Name:       `JSON findings (an object with "findings", or an array, of objects with "rule_id")`,
	Recognizes: looksNative,
	Parse:      parseNative,
}

// looksNative also claims reports that show no format: the [] and null that scanners write when all is well.
func looksNative(seen jsonscan.Sniff) bool {
	if !seen.IsObject() {
		return seen.IsNothing() || seen.Has("rule_id")
	}
	findings, items := seen.Member("findings"), seen.Member("items")
	return seen.Has("findings") && !seen.Has("runs") && maybeNative(findings) || seen.Has("items") && maybeNative(items)
}

// maybeNative also claims what is no array, so that the error says so.
func maybeNative(findings jsonscan.Sniff) bool {
	return !findings.Array || findings.Empty || findings.Has("rule_id")
}

// native reads {"tool": …, "findings": […]}, the same with "items", or the array alone. It is stricter than the formats of
// scanners, because its authors can correct it.
type native struct {
	*collect.Collector
	tool string
}

func parseNative(c *collect.Collector) ([]core.Report, error) {
	n := &native{Collector: c}
	err := n.read()
	return n.Finish(n.tool), err
}

func (n *native) read() error {
	findings := func() error {
		_, err := n.EachResult(n.readFinding)
		return err
	}
	alone, err := n.IsArray()
	switch {
	case err != nil:
		return err
	case alone:
		return findings()
	}
	return n.Object(jsonscan.Members{
		"tool":     func() error { return n.Decode(&n.tool) },
		"findings": findings,
		"items":    findings,
	})
}

func (n *native) readFinding(value []byte) error {
	var wire nativeFinding
	if err := n.Unmarshal(value, &wire); err != nil {
		return err
	}
	finding, err := n.finding(wire)
	n.Keep(finding)
	return err
}

// nativeFinding is one finding of our own JSON format, whose members bear the names of the API's. Members that are not
// listed are ignored, so that what the API answers can be uploaded.
type nativeFinding struct {
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

func (n *native) finding(wire nativeFinding) (core.Finding, error) {
	ruleID := collect.Clean(strings.TrimSpace(wire.RuleID), n.Limits.Name())
	if ruleID == "" {
		return core.Finding{}, n.InvalidIn("rule_id", "is missing; every finding needs one")
	}
	word := strings.Join(collect.Texts(wire.Severity), " ")
	severity, ok := core.SeverityFromWord(word)
	if !ok {
		return core.Finding{}, n.InvalidIn("severity", "%.40q is not one of critical, high, medium, low", word)
	}
	line := collect.Line(wire.Line)
	return core.Finding{
		Tool:       collect.Clean(wire.Tool, n.Limits.Name()),
		RuleID:     ruleID,
		File:       n.Place(wire.File),
		Line:       line,
		EndLine:    collect.EndLine(line, collect.Line(wire.EndLine)),
		Severity:   severity,
		Title:      collect.Clean(strings.TrimSpace(wire.Title), n.Limits.Name()),
		Message:    collect.Clean(strings.TrimSpace(wire.Message), n.Limits.Message()),
		CVEID:      collect.CVE(wire.CVEID, ruleID, wire.Message),
		CWE:        cmp.Or(collect.CWENamed(collect.Texts(wire.CWE)...), collect.CWE(ruleID)),
		HelpURI:    collect.WebAddress(wire.HelpURI, n.Limits.Name()),
		Snippet:    collect.Clean(wire.Snippet, n.Limits.Snippet()),
		Suppressed: suppressedBy(wire.Suppressed, n.Limits.Message()),
	}, nil
}

// suppressedBy reads a reason, or true for a scanner that has none.
func suppressedBy(value any, limit int) *string {
	reason, _ := value.(string)
	if value == true {
		reason = collect.NoReason
	}
	if reason = collect.Clean(strings.TrimSpace(reason), limit); reason == "" {
		return nil
	}
	return &reason
}
