package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// checkovCheck is one check of a resource. Only paying users get severities; others' findings are Medium.
type checkovCheck struct {
	CheckID     string `json:"check_id"`
	CheckName   string `json:"check_name"`
	CheckResult struct {
		Comment string `json:"suppress_comment"`
	} `json:"check_result"`
	CodeBlock    []any     `json:"code_block"` // pairs of a line's number and its text
	FilePath     string    `json:"file_path"`
	RepoFilePath string    `json:"repo_file_path"`
	LineRange    []float64 `json:"file_line_range"`
	Resource     string    `json:"resource"`
	Guideline    any       `json:"guideline"`
	Severity     any       `json:"severity"`
	Package      lenient[struct {
		ID      string `json:"id"`
		Name    string `json:"package_name"`
		Version string `json:"package_version"`
		Status  string `json:"status"` // "fixed in 1.2.3"
		Link    string `json:"link"`
		Text    string `json:"description"`
	}] `json:"vulnerability_details"`
}

func looksLikeCheckov(seen shape) bool {
	if seen.has("check_type") {
		return seen.hasAny("results", "summary")
	}
	return seen.object() && seen.has("checkov_version") && seen.hasAny("passed", "failed")
}

// parseCheckov reads the report of one framework, an array of them, or the bare sums that checkov writes where it found
// nothing to look at.
func parseCheckov(c *cursor) (core.Report, error) {
	k := &collector{cursor: c}
	err := k.oneOrMany(func(walk func(members) error) error {
		return walk(members{"results": func() error {
			return k.object(members{
				"failed_checks": func() error {
					return results(k, func(wire *checkovCheck) { k.add(k.checkovFinding(wire)) })
				},
				"skipped_checks": func() error {
					return results(k, func(wire *checkovCheck) {
						f := k.checkovFinding(wire)
						f.Suppressed = because(first(wire.CheckResult.Comment, "checkov:skip"))
						k.add(f)
					})
				},
			})
		}})
	})
	return k.finish("checkov"), err
}

func (c *collector) checkovFinding(wire *checkovCheck) core.Finding {
	details := wire.Package.value
	pkg := dependency{details.Name, details.Version}
	f := core.Finding{
		RuleID:             wire.CheckID,
		File:               first(wire.RepoFilePath, wire.FilePath),
		Severity:           stated(wire.Severity),
		Title:              pkg.title(first(wire.CheckName, details.ID)),
		Message:            first(details.Text, wire.CheckName, wire.CheckID),
		CVEID:              cveIn(details.ID),
		HelpURI:            first(first(words(wire.Guideline)...), details.Link),
		PartialFingerprint: first(pkg.name, wire.Resource),
	}
	if strings.Contains(wire.RepoFilePath, "..") {
		f.File = wire.FilePath // checkov was started outside of the repository
	}
	if len(wire.LineRange) == 2 {
		f.Line, f.EndLine = toLine(wire.LineRange[0]), toLine(wire.LineRange[1])
	}
	if wire.Resource != "" {
		f.Message = c.withAdvice(f.Message, "Resource: "+clip(wire.Resource, c.limits.name())+".")
	}
	if strings.HasPrefix(details.Status, "fixed in ") {
		f.Message = c.withAdvice(f.Message, fixedIn(strings.TrimPrefix(details.Status, "fixed in ")))
	}
	f.Snippet = checkovCode(wire.CodeBlock)
	return f
}

func checkovCode(block []any) string {
	var code strings.Builder
	for _, element := range block {
		if pair, ok := element.([]any); ok && len(pair) == 2 {
			text, _ := pair[1].(string)
			code.WriteString(text)
		}
	}
	return strings.TrimSpace(code.String())
}
