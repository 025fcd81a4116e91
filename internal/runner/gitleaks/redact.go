package gitleaks

import (
	"context"
	"fmt"

	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
)

const maxSecretLines = 200 // of a finding that may be a secret; a certificate has some dozens

// Redact masks the secrets that the rules find in a text file, and hides the lines on which one of the findings reports
// another. Lines keep their numbers.
func Redact(
	ctx context.Context, key secrets.Key, name, text string, findings []core.Finding,
) (redacted string, by reports.Redactor, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panicked(fmt.Sprintf("masking %s: %v", name, cause))
		}
	}()
	masking, err := reports.Masking()
	if err != nil {
		return "", by, err
	}
	rules := &Rules{detector: masking}
	var leaks []report.Finding
	// Some rules need the name, and others exempt whole files by their name: so the text is searched with and without it.
	for _, path := range []string{"", name} {
		leaks = append(leaks, rules.detect(ctx, sources.Fragment{Raw: text, FilePath: path, StartLine: 1})...)
	}
	if ctx.Err() != nil { // the search did not end
		return "", by, context.Cause(ctx)
	}
	by = reports.NewRedactor(leaks, key)
	return by.Text(text, secretLines(findings)), by, nil
}

// secretLines lists the lines on which findings report a secret.
func secretLines(findings []core.Finding) map[int]bool {
	lines := make(map[int]bool)
	for _, f := range findings {
		for line := f.Line; secrets.In(&f) && line <= min(max(f.Line, f.EndLine), f.Line+maxSecretLines); line++ {
			lines[line] = true
		}
	}
	return lines
}
