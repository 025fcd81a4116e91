package runner

import (
	"bufio"
	"errors"
	"regexp"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// maxSourceFile bounds the files that snippets are read from, in bytes.
const maxSourceFile = 32 << 20

// aboutSecrets knows the tools and rules that report secrets: the line of such a finding is the secret.
var aboutSecrets = regexp.MustCompile(`(?i)secret|leak|hog|passw|credential|token|(api|private|access|crypt)[-_. ]?key`)

// secretWeaknesses are the CWEs of secrets in code.
var secretWeaknesses = map[string]bool{"CWE-259": true, "CWE-321": true, "CWE-522": true, "CWE-798": true}

// tidy makes what a scanner reported of its checkout independent of where that was.
func tidy(report *core.Report, source string) {
	here := strings.NewReplacer(source+"/", "", source, ".")
	report.Failure = here.Replace(report.Failure)
	for i := range report.Findings {
		f := &report.Findings[i]
		f.File = relative(f.File, source)
		f.Title, f.Message, f.Snippet = here.Replace(f.Title), here.Replace(f.Message), here.Replace(f.Snippet)
	}
}

func holdsSecret(f core.Finding) bool {
	return secretWeaknesses[f.CWE] || aboutSecrets.MatchString(f.Tool) || aboutSecrets.MatchString(f.RuleID)
}

// relative makes a path into the checkout relative to it. Paths elsewhere stay as they are.
func relative(file, source string) string {
	file = strings.TrimPrefix(file, "file://")
	for _, prefix := range []string{source, strings.TrimPrefix(source, "/")} {
		if inside, ok := strings.CutPrefix(file, prefix+"/"); ok {
			file = inside
		}
	}
	return strings.TrimPrefix(file, "./")
}

// readLine returns the next line, at most maxSnippet bytes of it.
func readLine(lines *bufio.Reader) (string, error) {
	begin, err := lines.ReadSlice('\n')
	text := storable(strings.TrimSpace(string(begin)))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = lines.ReadSlice('\n')
	}
	return text, err
}
