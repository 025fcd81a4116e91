package runner

import (
	"context"
	"fmt"

	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

const maxSecretLines = 200 // of a finding that may be a secret; a certificate has some dozens

// cover masks the secrets that gitleaks knows in a text file called name, and hides the lines on which one of its
// findings says that there is another. The lines keep their numbers.
func cover(ctx context.Context, name, text string, findings []core.Finding) (covered string, by reports.Redactor, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panicked(fmt.Sprintf("masking %s: %v", name, cause))
		}
	}()
	detector, err := reports.SecretRules()
	if err != nil {
		return "", by, err
	}
	search := secretSearch{detector: detector}
	var leaks []report.Finding
	// Some rules want to see the name, and by others' names whole files are left alone, which is not asked here.
	for _, path := range []string{"", name} {
		leaks = append(leaks, search.detect(ctx, sources.Fragment{Raw: text, FilePath: path, StartLine: 1})...)
	}
	if ctx.Err() != nil { // the search was broken off
		return "", by, context.Cause(ctx)
	}
	by = reports.NewRedactor(leaks)
	return by.Text(text, secretLines(findings)), by, nil
}

// secretLines are the lines that findings call secret.
func secretLines(findings []core.Finding) map[int]bool {
	lines := make(map[int]bool)
	for _, f := range findings {
		for line := f.Line; f.HoldsSecret() && line <= min(max(f.Line, f.EndLine), f.Line+maxSecretLines); line++ {
			lines[line] = true
		}
	}
	return lines
}
