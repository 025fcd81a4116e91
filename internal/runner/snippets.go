package runner

import (
	"bufio"
	"errors"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// maxSourceFile bounds the files that snippets are read from, in bytes.
const maxSourceFile = 32 << 20

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
	text := core.Printable(strings.TrimSpace(string(begin)))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = lines.ReadSlice('\n')
	}
	return text, err
}
