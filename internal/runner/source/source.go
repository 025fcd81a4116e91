// Package source reads what findings are about out of a checkout: the code of their lines, and what surrounds it.
package source

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/core/secrets"
)

const (
	maxFile = 32 << 20 // bytes of a file that snippets are read from
	maxLine = 4 << 10  // bytes of a line

	maxSecretLines = 100       // after the first one of a finding; a private key has some dozens
	maxTextFile    = 512 << 10 // bytes of a file that people or an AI see; larger ones are generated
)

// MakeRelative makes a scanner's report independent of where the checkout was.
func MakeRelative(report *core.Report, dir string) {
	here := strings.NewReplacer(dir+"/", "", dir, ".")
	report.Failure = here.Replace(report.Failure)
	for i := range report.Findings {
		f := &report.Findings[i]
		if inside := relative(f.File, dir); inside != f.File {
			f.File, f.About.Absolute = inside, false
		}
		f.Title, f.Message, f.Snippet = here.Replace(f.Title), here.Replace(f.Message), here.Replace(f.Snippet)
	}
	report.Coverage.Rename(func(name string) string { return relative(name, dir) })
}

// relative makes a path relative to the checkout. Paths elsewhere stay as they are.
func relative(file, dir string) string {
	file = strings.TrimPrefix(file, "file://")
	for _, prefix := range []string{dir, strings.TrimPrefix(dir, "/")} {
		if inside, ok := strings.CutPrefix(file, prefix+"/"); ok {
			file = inside
		}
	}
	return strings.TrimPrefix(file, "./")
}

// Describe adds to findings what their report lacks and the checkout has: the code of their line, or a hash of it by the key if it
// holds a secret, and the digests of the lines around it, by which they are recognised when lines move.
func Describe(findings []core.Finding, key secrets.Key, dir string) {
	root, err := os.OpenRoot(dir)
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
		describeFile(root, file, found, key)
	}
}

// describeFile leaves findings as they are if the file may not be read: the author of the report chose its name.
func describeFile(root *os.Root, name string, found []*core.Finding, key secrets.Key) {
	name = filepath.FromSlash(name)
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return
	}
	file, err := root.Open(name)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	lines := readLines(bufio.NewReaderSize(io.LimitReader(file, maxFile), maxLine), found, key)
	for _, f := range found {
		f.Surroundings = lines.around(f.Line)
		if lacksSecret(f) {
			f.SecretHash = cmp.Or(key.JoinLines(lines.hashed(f.Line, lastOf(f))), f.SecretHash)
		}
	}
}

// lacksSecret tells whether a finding is about a secret of which nothing but its lines can be known. Those say more than the report,
// which may have masked it.
func lacksSecret(f *core.Finding) bool {
	return !strings.HasPrefix(f.SecretHash, string(core.HashOfSecret)) && secrets.In(f)
}

// lastOf is the last line of a finding that counts for its hash.
func lastOf(f *core.Finding) int { return min(max(f.Line, f.EndLine), f.Line+maxSecretLines) }

// codeLines are the lines of a file that have code.
type codeLines struct {
	numbers []int
	digests []uint16
	secret  []secretLine // in which a secret may be
}

// secretLine is a line by its number, and its part of a hash.
type secretLine struct {
	number int
	hash   string
}

// hashed joins the parts of the lines from first to last.
func (l codeLines) hashed(first, last int) string {
	at, _ := slices.BinarySearchFunc(l.secret, first, func(line secretLine, number int) int { return cmp.Compare(line.number, number) })
	var parts strings.Builder
	for ; at < len(l.secret) && l.secret[at].number <= last; at++ {
		parts.WriteString(l.secret[at].hash)
	}
	return parts.String()
}

// maxExpression is how many lines of a flagged expression are looked at.
const maxExpression = 12

// expression is what a finding flags, from its line on.
type expression struct {
	of    *core.Finding
	code  string
	lines int
}

// add adds a line and tells whether it was the last one. An expression whose end is not seen has no shape.
func (e *expression) add(line string, cut bool) (ended bool) {
	e.code, e.lines = e.code+line+"\n", e.lines+1
	e.of.Shape = 0
	if cut {
		return true
	}
	if match.Continues(e.code, e.of.File) {
		return e.lines == maxExpression
	}
	e.of.Shape = match.ShapeOf(e.code, e.of.File)
	return true
}

// readLines reads a file and fills in the snippets of the findings, which are sorted by line.
func readLines(file *bufio.Reader, found []*core.Finding, key secrets.Key) (l codeLines) {
	last := 0 // line in which a secret may be
	var open []*expression
	for number := 1; ; number++ {
		text, whole, err := readLine(file)
		for ; len(found) > 0 && found[0].Line == number; found = found[1:] {
			if lacksSecret(found[0]) {
				last = max(last, lastOf(found[0]))
			}
			if secrets.In(found[0]) {
				continue
			}
			if found[0].Snippet == "" {
				found[0].Snippet = text
			}
			open = append(open, &expression{of: found[0]})
		}
		if number <= last {
			l.secret = append(l.secret, secretLine{number, key.HashLine(whole)})
		}
		open = slices.DeleteFunc(open, func(e *expression) bool { return e.add(text, len(whole) > maxLine) || err != nil })
		if digest := match.DigestLine(text); digest != 0 {
			l.numbers, l.digests = append(l.numbers, number), append(l.digests, digest)
		}
		if err != nil {
			return l
		}
	}
}

func (l codeLines) around(line int) core.Surroundings {
	at, itself := slices.BinarySearch(l.numbers, line)
	after := l.digests[at:]
	if itself {
		after = after[1:]
	}
	return match.SurroundingsOf(l.digests[:at], after)
}

// readLine returns the next line, at most maxLine bytes of it as a text, and all of it as it is.
func readLine(file *bufio.Reader) (text, whole string, err error) {
	begin, err := file.ReadSlice('\n')
	text, whole = core.Printable(strings.TrimSpace(string(begin))), string(begin)
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, whole, err
	}
	rest, err := file.ReadBytes('\n')
	return text, whole + string(rest), err
}

// ReadText reads a text file of a checkout. Neither the repository nor the scanner, who chose the name, can make it read
// anything else: no links, no files of git itself, nothing outside.
func ReadText(root *os.Root, name string) (text string, ok bool) {
	name = path.Clean(name)
	if !filepath.IsLocal(name) || strings.EqualFold(strings.SplitN(name, "/", 2)[0], ".git") || !isPlain(root, name) {
		return "", false
	}
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return "", false
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxTextFile+1))
	text = string(data)
	return text, err == nil && len(data) > 0 && len(data) <= maxTextFile && !strings.Contains(text, "\x00")
}

// isPlain tells whether name is a regular file that is reached without a link.
func isPlain(root *os.Root, name string) bool {
	for at := range len(name) {
		if name[at] != '/' {
			continue
		}
		if info, err := root.Lstat(name[:at]); err != nil || !info.IsDir() {
			return false
		}
	}
	info, err := root.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}
