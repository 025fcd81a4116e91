package runner

import (
	"bufio"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/scanhook/scanhook/core"
)

// lookAround gives findings what their report leaves out and the checkout has: the code of their line, unless it holds
// a secret, and the digests of the lines around it, by which they are recognised when lines move.
func lookAround(findings []core.Finding, source string) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	byFile := make(map[string][]*core.Finding)
	for i := range findings {
		if f := &findings[i]; f.File != "" && f.Line > 0 {
			byFile[f.File] = append(byFile[f.File], f)
		}
	}
	for file, found := range byFile {
		slices.SortStableFunc(found, func(a, b *core.Finding) int { return cmp.Compare(a.Line, b.Line) })
		lookInto(root, file, found)
	}
}

// lookInto leaves findings as they are where the file is none that may be read: the report's author chose its name.
func lookInto(root *os.Root, name string, found []*core.Finding) {
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
	telling := readTelling(bufio.NewReaderSize(io.LimitReader(file, maxSourceFile), maxSnippet), found)
	for _, f := range found {
		f.Surroundings = telling.around(f.Line)
	}
}

// telling are the lines of a file that say something.
type telling struct {
	numbers []int
	digests []uint16
}

// readTelling reads a file to its end and fills the snippets of the findings, which are in the order of their lines.
func readTelling(lines *bufio.Reader, found []*core.Finding) (t telling) {
	for number := 1; ; number++ {
		text, err := readLine(lines)
		for ; len(found) > 0 && found[0].Line == number; found = found[1:] {
			if found[0].Snippet == "" && !found[0].HoldsSecret() {
				found[0].Snippet = text
			}
		}
		if digest := core.DigestLine(text); digest != 0 {
			t.numbers, t.digests = append(t.numbers, number), append(t.digests, digest)
		}
		if err != nil {
			return t
		}
	}
}

func (t telling) around(line int) core.Surroundings {
	at, itself := slices.BinarySearch(t.numbers, line)
	after := t.digests[at:]
	if itself {
		after = after[1:]
	}
	return core.Between(t.digests[:at], after)
}
