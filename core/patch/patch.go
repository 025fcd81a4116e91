// Package patch checks unified diffs, which scanners and AI models suggest as the remediation of a finding.
package patch

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hunkHeader of a unified diff: where and how many lines, before and after.
var hunkHeader = regexp.MustCompile(`^@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@`)

// Check tells whether text is a unified diff that has the lines its headers promise and stays inside the repository.
// What git writes around the headers is skipped. The error says which line is wrong, and why.
func Check(text string) error {
	p := diff{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	hunks := 0
	for p.at < len(p.lines) {
		n, err := p.next()
		if err != nil {
			return err
		}
		hunks += n
	}
	if hunks == 0 {
		return errors.New("is not a unified diff: no @@ hunk stands under --- and +++")
	}
	return nil
}

// LineKind tells how a line of a diff is shown: "add", "del", "hunk" for the headers, or empty for what stays.
func LineKind(line string) string {
	for _, header := range []string{"+++ ", "--- ", "@@", "diff "} {
		if strings.HasPrefix(line, header) {
			return "hunk"
		}
	}
	switch {
	case strings.HasPrefix(line, "+"):
		return "add"
	case strings.HasPrefix(line, "-"):
		return "del"
	}
	return ""
}

type diff struct {
	lines []string
	at    int // index of the line to read next
}

func (p *diff) wrong(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.at+1, fmt.Sprintf(format, args...))
}

// peek is the line to read next; empty at the end.
func (p *diff) peek() string {
	if p.at < len(p.lines) {
		return p.lines[p.at]
	}
	return ""
}

// next reads one file's part, or passes over one line between them.
func (p *diff) next() (hunks int, err error) {
	line := p.peek()
	switch {
	case strings.HasPrefix(line, "--- "):
		return p.file()
	case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "@@ "):
		return 0, p.wrong("it stands without the header --- before it")
	case line == "GIT binary patch":
		return 0, p.wrong("binary patches are not taken")
	}
	for _, header := range []string{"rename from ", "rename to ", "copy from ", "copy to "} {
		if name, ok := strings.CutPrefix(line, header); ok {
			if err := p.path(name); err != nil {
				return 0, err
			}
		}
	}
	p.at++
	return 0, nil
}

// file reads both headers and all hunks of one file.
func (p *diff) file() (hunks int, err error) {
	from := strings.TrimPrefix(p.peek(), "--- ")
	if err := p.path(from); err != nil {
		return 0, err
	}
	p.at++
	to, ok := strings.CutPrefix(p.peek(), "+++ ")
	if !ok {
		return 0, p.wrong("the header --- is not followed by +++")
	}
	if err := p.path(to); err != nil {
		return 0, err
	}
	p.at++
	for ; strings.HasPrefix(p.peek(), "@@ "); hunks++ {
		if err := p.hunk(); err != nil {
			return 0, err
		}
	}
	if hunks == 0 {
		return 0, p.wrong("no hunk follows the headers")
	}
	return hunks, nil
}

// hunk reads a hunk's header and as many lines as it promises.
func (p *diff) hunk() error {
	header := hunkHeader.FindStringSubmatch(p.peek())
	if header == nil {
		return p.wrong("it is not a hunk header like @@ -1,3 +1,4 @@")
	}
	before, after := count(header[1]), count(header[2])
	for p.at++; before > 0 || after > 0; p.at++ {
		if p.at == len(p.lines) {
			return p.wrong("the diff ends inside a hunk")
		}
		switch kind(p.peek()) {
		case ' ':
			before, after = before-1, after-1
		case '-':
			before--
		case '+':
			after--
		case '\\': // "\ No newline at end of file"
		default:
			return p.wrong("inside a hunk a line starts with a blank, +, - or \\")
		}
		if before < 0 || after < 0 {
			return p.wrong("the hunk has other lines than its header says")
		}
	}
	for strings.HasPrefix(p.peek(), `\`) {
		p.at++
	}
	if rest := p.peek(); strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, " ") ||
		strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "--- ") && strings.TrimSpace(rest) != "--" {
		return p.wrong("the hunk has more lines than its header says")
	}
	return nil
}

// count of lines; a header leaves out 1.
func count(digits string) int {
	if digits == "" {
		return 1
	}
	n, _ := strconv.Atoi(digits) // at most nine digits
	return n
}

// kind is a line's first byte; mailers strip the blank of an empty line of context.
func kind(line string) byte {
	if line == "" || line == "\r" {
		return ' '
	}
	return line[0]
}

// path refuses names that lead out of the repository or into git's own files. Prefixes like a/ make no difference.
func (p *diff) path(name string) error {
	name, _, _ = strings.Cut(name, "\t") // a time may follow
	name = strings.TrimRight(name, "\r")
	if strings.HasPrefix(name, `"`) {
		unquoted, err := strconv.Unquote(name)
		if err != nil {
			return p.wrong("the path %s is not quoted as git does it", name)
		}
		name = unquoted
	}
	if name == "/dev/null" {
		return nil
	}
	for _, segment := range strings.Split(strings.ReplaceAll(name, `\`, "/"), "/") {
		if segment == "" || segment == ".." || strings.EqualFold(segment, ".git") || strings.HasSuffix(segment, ":") {
			return p.wrong("the path %q is not inside the repository", name)
		}
	}
	return nil
}

// Fits tells whether a unified diff changes one file and nothing else: the old lines of its hunks stand in the file's
// source, in this order. The line numbers may be wrong, because models count badly; git and patch search for the lines, too.
// Lines may end in \n, \r\n or \r in the diff, in the source they end in \n.
func Fits(text, file, source string) bool {
	if Check(text) != nil {
		return false
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for len(lines) > 0 && (strings.HasPrefix(lines[0], "diff --git ") || strings.HasPrefix(lines[0], "index ")) {
		lines = lines[1:]
	}
	if len(lines) < 3 || !names(lines[0], "--- ", "a/", file) || !names(lines[1], "+++ ", "b/", file) {
		return false
	}
	return hunksFit(lines[2:], strings.Split(source, "\n"))
}

func names(header, kind, side, file string) bool {
	name, ok := strings.CutPrefix(header, kind)
	name, _, _ = strings.Cut(name, "\t")
	return ok && (name == file || name == side+file)
}

func hunksFit(lines, source []string) bool {
	for len(lines) > 0 {
		header := hunkHeader.FindStringSubmatch(lines[0])
		if header == nil {
			return false
		}
		old, rest := takeHunk(lines[1:], count(header[1]), count(header[2]))
		at := indexOf(source, old)
		if at < 0 {
			return false
		}
		lines, source = rest, source[at+len(old):]
	}
	return true
}

// takeHunk returns the old lines of a hunk, which Check has found complete.
func takeHunk(lines []string, before, after int) (old, rest []string) {
	for len(lines) > 0 && (before > 0 || after > 0 || strings.HasPrefix(lines[0], `\`)) {
		line := lines[0]
		lines = lines[1:]
		switch {
		case strings.HasPrefix(line, "+"):
			after--
		case strings.HasPrefix(line, "-"):
			old, before = append(old, line[1:]), before-1
		case !strings.HasPrefix(line, `\`):
			old, before, after = append(old, strings.TrimPrefix(line, " ")), before-1, after-1
		}
	}
	return old, lines
}

func indexOf(source, part []string) int {
	for at := 0; at+len(part) <= len(source); at++ {
		if slices.Equal(source[at:at+len(part)], part) {
			return at
		}
	}
	return -1
}
