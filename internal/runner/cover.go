package runner

import (
	"context"
	"fmt"
	"strings"

	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
)

const (
	hiddenLine     = "[hidden]" // stands for a line of which it is not known where in it the secret is
	maxSecretLines = 200        // of a finding that may be a secret; a certificate has some dozens
)

// cover masks the secrets that gitleaks knows in a text file called name, and hides the lines on which one of its
// findings says that there is another. The lines keep their numbers.
func cover(ctx context.Context, name, text string, findings []core.Finding) (covered string, by veil, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panicked(fmt.Sprintf("masking %s: %v", name, cause))
		}
	}()
	detector, err := loadDetector()
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
	by = newVeil(leaks)
	return by.cover(text, secretLines(findings)), by, nil
}

// secretLines are the lines that findings call secret.
func secretLines(findings []core.Finding) map[int]bool {
	lines := make(map[int]bool)
	for _, f := range findings {
		for line := f.Line; holdsSecret(f) && line <= min(max(f.Line, f.EndLine), f.Line+maxSecretLines); line++ {
			lines[line] = true
		}
	}
	return lines
}

func (v veil) cover(text string, secret map[int]bool) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = v.mask(line)
		if v.encoded[i+1] || secret[i+1] && lines[i] == line && strings.TrimSpace(line) != "" {
			lines[i] = hiddenLine
		}
	}
	return strings.Join(lines, "\n")
}

// mask covers the secrets in a line, and what a rule that stops too early leaves of them.
func (v veil) mask(line string) string {
	return remainder.ReplaceAllString(v.masks.Replace(line), "$1")
}
