package source

import (
	"context"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
)

const (
	linesAround  = 3       // on either side of a finding
	linesOfOne   = 10      // of a finding over many lines
	maxCodeWidth = 300     // characters of a line
	maxCodeRead  = 8 << 20 // bytes of all files together: each is searched for secrets as a whole
)

// Quote fills in the code around findings, which are some of all, until ctx ends. Secrets are masked by the key. Files are read in the
// order in which found names them.
func Quote(ctx context.Context, key secrets.Key, found, all []core.Finding, dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	names, byFile := filesOf(found)
	beside := map[string][]core.Finding{}
	for _, f := range all {
		if byFile[f.File] != nil {
			beside[f.File] = append(beside[f.File], f)
		}
	}
	left := maxCodeRead
	for _, name := range names {
		text, ok := ReadText(root, name)
		if left -= len(text); left < 0 || ctx.Err() != nil {
			return
		}
		// Nothing is shown of a file that could not be searched for secrets.
		if redacted, _, err := gitleaks.Redact(ctx, key, name, text, beside[name]); ok && err == nil {
			quoteFile(redacted, byFile[name])
		}
	}
}

// filesOf groups findings by file, and names the files in the order of the findings.
func filesOf(findings []core.Finding) (names []string, byFile map[string][]*core.Finding) {
	byFile = map[string][]*core.Finding{}
	for i := range findings {
		f := &findings[i]
		if byFile[f.File] == nil {
			names = append(names, f.File)
		}
		byFile[f.File] = append(byFile[f.File], f)
	}
	return names, byFile
}

func quoteFile(text string, found []*core.Finding) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, f := range found {
		if f.Line <= len(lines) {
			f.Code, f.CodeLine = quote(lines, f.Line, f.EndLine)
		}
	}
}

// quote returns the lines around those from first to last; of a finding over many lines, the first ones.
func quote(lines []string, first, last int) (code string, begin int) {
	begin = max(first-linesAround, 1)
	end := min(max(first, min(last, first+linesOfOne-1))+linesAround, len(lines))
	shown := make([]string, 0, end-begin+1)
	for _, line := range lines[begin-1 : end] {
		shown = append(shown, narrow(core.Printable(strings.TrimSuffix(line, "\r"))))
	}
	return strings.Join(shown, "\n"), begin
}

// narrow shortens a line that was generated.
func narrow(line string) string {
	if utf8.RuneCountInString(line) <= maxCodeWidth {
		return line
	}
	return string([]rune(line)[:maxCodeWidth]) + "…"
}
