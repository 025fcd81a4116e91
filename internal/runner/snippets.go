package runner

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
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

// tidy makes what a scanner reported of its checkout independent of where that was, and fills in the snippets that the
// report leaves out, so that findings keep their fingerprints when lines move.
func tidy(report *core.Report, source string) {
	wanted := make(map[string]map[int][]*core.Finding)
	here := strings.NewReplacer(source+"/", "", source, ".")
	report.Failure = here.Replace(report.Failure)
	for i := range report.Findings {
		f := &report.Findings[i]
		f.File = relative(f.File, source)
		f.Title, f.Message, f.Snippet = here.Replace(f.Title), here.Replace(f.Message), here.Replace(f.Snippet)
		if f.Snippet != "" || f.File == "" || f.Line < 1 || holdsSecret(*f) {
			continue
		}
		if wanted[f.File] == nil {
			wanted[f.File] = make(map[int][]*core.Finding)
		}
		wanted[f.File][f.Line] = append(wanted[f.File][f.Line], f)
	}
	fillSnippets(wanted, source)
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

func fillSnippets(wanted map[string]map[int][]*core.Finding, source string) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	for file, lines := range wanted {
		readLines(root, file, lines)
	}
}

// readLines leaves snippets empty where the file is none that may be read: the report's author chose its name.
func readLines(root *os.Root, name string, wanted map[int][]*core.Finding) {
	name = filepath.FromSlash(name)
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSourceFile {
		return
	}
	file, err := root.Open(name)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewReaderSize(io.LimitReader(file, maxSourceFile), maxSnippet)
	for number, left := 1, len(wanted); left > 0; number++ {
		text, err := readLine(lines)
		if found := wanted[number]; found != nil {
			left--
			for _, f := range found {
				f.Snippet = text
			}
		}
		if err != nil {
			return
		}
	}
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
