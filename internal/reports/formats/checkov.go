package formats

import (
	"cmp"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Checkov is the format of checkov -o json.
var Checkov = collect.Format{Name: "Checkov JSON", Recognizes: looksLikeCheckov, Parse: parseCheckov}

func looksLikeCheckov(seen jsonscan.Sniff) bool {
	if seen.Has("check_type") {
		return seen.HasAny("results", "summary")
	}
	return seen.IsObject() && seen.Has("checkov_version") && seen.HasAny("passed", "failed")
}

// parseCheckov reads the report of one framework, an array of them, or the mere totals that checkov writes where it finds
// no file to check.
func parseCheckov(c *collect.Collector) ([]core.Report, error) {
	checks := jsonscan.Members{
		"failed_checks": func() error {
			return collect.Results(c, func(wire *checkovCheck) { c.Add(wire.finding(c)) })
		},
		"skipped_checks": func() error {
			return collect.Results(c, func(wire *checkovCheck) {
				f := wire.finding(c)
				f.Suppressed = new(cmp.Or(wire.CheckResult.Comment, "checkov:skip"))
				c.Add(f)
			})
		},
		"parsing_errors": func() error {
			return c.FailFiles(func() (string, error) {
				var file collect.Lenient[string]
				err := c.Decode(&file)
				return file.Value, err
			})
		},
	}
	err := c.OneOrMany(func() error {
		return c.Object(jsonscan.Members{"results": func() error { return c.Object(checks) }})
	})
	return c.Finish("checkov"), err
}

// checkovCheck is one check of a resource. Only paying users get severities; the findings of others are Medium.
type checkovCheck struct {
	CheckID     string `json:"check_id"`
	CheckName   string `json:"check_name"`
	CheckResult struct {
		Comment string `json:"suppress_comment"`
	} `json:"check_result"`
	CodeBlock    []any     `json:"code_block"`
	FilePath     string    `json:"file_path"`
	RepoFilePath string    `json:"repo_file_path"`
	LineRange    []float64 `json:"file_line_range"`
	Resource     string    `json:"resource"`
	Guideline    any       `json:"guideline"`
	Severity     any       `json:"severity"`
	Package      collect.Lenient[struct {
		ID      string `json:"id"`
		Name    string `json:"package_name"`
		Version string `json:"package_version"`
		Status  string `json:"status"` // "fixed in 1.2.3"
		Link    string `json:"link"`
		Text    string `json:"description"`
	}] `json:"vulnerability_details"`
}

func (wire *checkovCheck) finding(c *collect.Collector) core.Finding {
	details := wire.Package.Value
	pkg := collect.Dependency{Name: details.Name, Version: details.Version}
	f := core.Finding{
		RuleID:             wire.CheckID,
		File:               cmp.Or(wire.RepoFilePath, wire.FilePath),
		Severity:           collect.Severity(wire.Severity),
		Title:              pkg.Title(cmp.Or(wire.CheckName, details.ID)),
		Message:            cmp.Or(details.Text, wire.CheckName, wire.CheckID),
		CVEID:              collect.CVE(details.ID),
		HelpURI:            cmp.Or(cmp.Or(collect.Texts(wire.Guideline)...), details.Link),
		PartialFingerprint: cmp.Or(pkg.Name, wire.Resource),
		About:              pkg.About(details.ID),
	}
	if strings.Contains(wire.RepoFilePath, "..") {
		f.File = wire.FilePath // checkov was started outside of the repository
	}
	if len(wire.LineRange) == 2 {
		f.Line, f.EndLine = collect.Line(wire.LineRange[0]), collect.Line(wire.LineRange[1])
	}
	if wire.Resource != "" {
		f.Message = c.WithAdvice(f.Message, "Resource: "+core.Clip(wire.Resource, c.Limits.Name())+".")
	}
	if strings.HasPrefix(details.Status, "fixed in ") {
		f.Message = c.WithAdvice(f.Message, collect.FixedIn(strings.TrimPrefix(details.Status, "fixed in ")))
	}
	f.Snippet, f.About.Resource = joinCode(wire.CodeBlock), wire.Resource
	return f
}

// joinCode joins the lines of a code block, which are pairs of a number and a text.
func joinCode(block []any) string {
	var code strings.Builder
	for _, element := range block {
		if pair, ok := element.([]any); ok && len(pair) == 2 {
			text, _ := pair[1].(string)
			code.WriteString(text)
		}
	}
	return strings.TrimSpace(code.String())
}
