package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// banditResult is one result of bandit -f json.
type banditResult struct {
	TestID   string    `json:"test_id"`
	TestName string    `json:"test_name"`
	File     string    `json:"filename"`
	Line     float64   `json:"line_number"`
	Range    []float64 `json:"line_range"`
	Severity any       `json:"issue_severity"`
	Text     string    `json:"issue_text"`
	Code     string    `json:"code"`
	MoreInfo string    `json:"more_info"`
	CWE      lenient[struct {
		ID any `json:"id"`
	}] `json:"issue_cwe"`
}

func looksLikeBandit(seen shape) bool {
	results := seen.member("results")
	switch {
	case !seen.object():
		return false
	case results.array && !results.empty:
		return results.hasAny("test_id", "issue_severity")
	}
	return seen.has("generated_at", "metrics") && (results.bare() || !seen.has("results"))
}

func parseBandit(c *cursor) (core.Report, error) {
	b := &collector{cursor: c}
	err := b.object(members{"results": func() error {
		return results(b, func(wire *banditResult) { b.add(wire.finding()) })
	}})
	return b.finish("bandit"), err
}

func (wire *banditResult) finding() core.Finding {
	f := core.Finding{
		RuleID:   wire.TestID,
		File:     wire.File,
		Line:     toLine(wire.Line),
		Severity: stated(wire.Severity),
		Title:    strings.ReplaceAll(wire.TestName, "_", " "),
		Message:  wire.Text,
		CWE:      cweNamed(words(wire.CWE.value.ID)...),
		HelpURI:  wire.MoreInfo,
	}
	f.EndLine = f.Line
	for _, line := range wire.Range {
		f.EndLine = max(f.EndLine, toLine(line))
	}
	f.Snippet = unnumbered(wire.Code, f.Line, f.EndLine)
	if secret := strings.HasPrefix(wire.TestName, "hardcoded_password"); secret {
		f.CWE, f.Message = first(f.CWE, "CWE-259"), beforeColon(wire.Text)
	}
	return f
}

// beforeColon cuts off the password that bandit quotes: "Possible hardcoded password: 'secret'".
func beforeColon(text string) string {
	before, _, _ := strings.Cut(text, ":")
	return before
}
