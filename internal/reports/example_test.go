package reports_test

import (
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/internal/reports"
)

// A report of any known format becomes findings. Its format is recognized by its content.
func ExampleParse() {
	const report = `{"version": "2.1.0", "runs": [{
		"tool": {"driver": {"name": "gosec", "rules": [
			{"id": "G304", "shortDescription": {"text": "File inclusion"}, "properties": {"security-severity": "7.5"}}]}},
		"results": [{"ruleId": "G304", "message": {"text": "The path comes from a request."}, "locations": [
			{"physicalLocation": {"artifactLocation": {"uri": "web/files.go"}, "region": {"startLine": 12}}}]}]}]}`

	parsed, err := reports.Parse(strings.NewReader(report), reports.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range parsed.Findings {
		fmt.Printf("%s %s: %s (%s)\n%s:%d: %s\n", f.Tool, f.RuleID, f.Title, f.Severity, f.File, f.Line, f.Message)
	}
	// Output:
	// gosec G304: File inclusion (High)
	// web/files.go:12: The path comes from a request.
}

// A report that is not valid is refused as a whole, with the place of the first mistake.
func ExampleParse_invalid() {
	const report = `{"findings": [
		{"rule_id": "a", "severity": "low"},
		{"rule_id": "b", "severity": "purple"}]}`

	_, err := reports.Parse(strings.NewReader(report), reports.Limits{})
	fmt.Println(err)
	// Output:
	// parsing report: invalid: /findings/1/severity: "purple" is not one of critical, high, medium, low (line 3, column 41, byte 94)
}

// What a program printed is redacted before it is stored, shown or posted.
func ExampleRedactText() {
	fmt.Println(reports.RedactText("fatal: https://ada:swordfish@git.example.com/a.git\nnot found"))
	// Output:
	// fatal: https://[credential]@git.example.com/a.git not found
}
