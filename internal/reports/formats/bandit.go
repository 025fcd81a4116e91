package formats

import (
	"cmp"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Bandit is the format of bandit -f json.
var Bandit = collect.Format{Name: "Bandit JSON", Recognizes: looksLikeBandit, Parse: parseBandit}

func looksLikeBandit(seen jsonscan.Sniff) bool {
	results := seen.Member("results")
	switch {
	case !seen.IsObject():
		return false
	case results.Array && !results.Empty:
		return results.HasAny("test_id", "issue_severity")
	}
	return seen.Has("generated_at", "metrics") && (results.IsNothing() || !seen.Has("results"))
}

func parseBandit(c *collect.Collector) ([]core.Report, error) {
	err := c.Object(jsonscan.Members{
		"results": func() error {
			return collect.Results(c, func(wire *banditResult) { c.Add(wire.finding()) })
		},
		"errors": func() error {
			return c.FailFiles(func() (string, error) {
				var wire collect.Lenient[struct {
					File string `json:"filename"`
				}]
				err := c.Decode(&wire)
				return wire.Value.File, err
			})
		},
	})
	return c.Finish("bandit"), err
}

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
	CWE      collect.Lenient[struct {
		ID any `json:"id"`
	}] `json:"issue_cwe"`
}

func (wire *banditResult) finding() core.Finding {
	f := core.Finding{
		RuleID:   wire.TestID,
		File:     wire.File,
		Line:     collect.Line(wire.Line),
		Severity: collect.Severity(wire.Severity),
		Title:    strings.ReplaceAll(wire.TestName, "_", " "),
		Message:  wire.Text,
		CWE:      collect.CWENamed(collect.Texts(wire.CWE.Value.ID)...),
		HelpURI:  wire.MoreInfo,
	}
	f.EndLine = f.Line
	for _, line := range wire.Range {
		f.EndLine = max(f.EndLine, collect.Line(line))
	}
	f.Snippet = collect.Unnumbered(wire.Code, f.Line, f.EndLine)
	if secret := strings.HasPrefix(wire.TestName, "hardcoded_password"); secret {
		f.CWE, f.Message = cmp.Or(f.CWE, "CWE-259"), beforeColon(wire.Text)
	}
	return f
}

// beforeColon cuts off the password that bandit quotes: "Possible hardcoded password: 'secret'".
func beforeColon(text string) string {
	before, _, _ := strings.Cut(text, ":")
	return before
}
