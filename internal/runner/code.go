package runner

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

// What is kept of the code around findings.
const (
	maxShown     = 1000 // findings of a job; nobody looks at more
	linesAround  = 3    // on either side
	linesOfOne   = 10   // of a finding over many lines
	maxCodeWidth = 300  // characters of a line
	codeTime     = 10 * time.Second
	maxCodeRead  = 8 << 20 // bytes of all files, for all of each is searched for secrets
)

// showCode keeps the lines around the findings of an ended job that people look at, secrets masked. No commit status
// waits for it; findings that are left without, for the time or after a crash, have the link to their place.
func (r *Runner) showCode(ctx context.Context, t *task) {
	all := t.saved.Findings
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, codeTime, fmt.Errorf("it took more than %s", codeTime))
	defer cancel()
	found, err := r.Jobs.ListUnshown(ctx, t.job, maxShown)
	if err == nil && len(found) > 0 {
		quoteCode(ctx, found, all, t.space.source)
		keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), codeTime)
		defer cancel()
		err = r.Jobs.PutCode(keeping, t.job, found)
	}
	if err != nil {
		r.Log.Warn("code around findings not kept", append(t.attrs(), keyError, err)...)
	}
}

// quoteCode fills in the code of findings, which are some of all, as long as ctx lasts. Files are read in the order in
// which found names them.
func quoteCode(ctx context.Context, found, all []core.Finding, source string) {
	root, err := os.OpenRoot(source)
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
		text, ok := readText(root, name)
		if left -= len(text); left < 0 || ctx.Err() != nil {
			return
		}
		// Nothing is shown of a file in which secrets could not be searched for.
		if covered, _, err := cover(ctx, name, text, beside[name]); ok && err == nil {
			quoteFile(covered, byFile[name])
		}
	}
}

// filesOf sorts findings by file, and names the files in the order in which they come.
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

// quote is what stands around the lines from first to last, of which a finding over many shows the beginning.
func quote(lines []string, first, last int) (code string, begin int) {
	begin = max(first-linesAround, 1)
	end := min(max(first, min(last, first+linesOfOne-1))+linesAround, len(lines))
	shown := make([]string, 0, end-begin+1)
	for _, line := range lines[begin-1 : end] {
		shown = append(shown, narrow(core.Printable(strings.TrimSuffix(line, "\r"))))
	}
	return strings.Join(shown, "\n"), begin
}

// narrow cuts a line that machines have made.
func narrow(line string) string {
	if utf8.RuneCountInString(line) <= maxCodeWidth {
		return line
	}
	return string([]rune(line)[:maxCodeWidth]) + "…"
}
