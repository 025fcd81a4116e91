package core

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// hunkHeader of a unified diff: where and how many lines, before and after.
var hunkHeader = regexp.MustCompile(`^@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@`)

// CheckPatch tells whether text is a unified diff that has the lines its headers promise and stays inside the
// repository. What git writes around the headers is passed over. ErrInvalid names the line otherwise.
func CheckPatch(text string) error {
	p := patch{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	hunks := 0
	for p.at < len(p.lines) {
		n, err := p.next()
		if err != nil {
			return err
		}
		hunks += n
	}
	if hunks == 0 {
		return fmt.Errorf("%w: remediation_patch is not a unified diff: no @@ hunk stands under --- and +++", ErrInvalid)
	}
	return nil
}

type patch struct {
	lines []string
	at    int // index of the line to read next
}

func (p *patch) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: remediation_patch line %d: %s", ErrInvalid, p.at+1, fmt.Sprintf(format, args...))
}

// peek is the line to read next; empty at the end.
func (p *patch) peek() string {
	if p.at < len(p.lines) {
		return p.lines[p.at]
	}
	return ""
}

// next reads one file's part, or passes over one line between them.
func (p *patch) next() (hunks int, err error) {
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
func (p *patch) file() (hunks int, err error) {
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
func (p *patch) hunk() error {
	before, after, ok := HunkLines(p.peek())
	if !ok {
		return p.wrong("it is not a hunk header like @@ -1,3 +1,4 @@")
	}
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

// HunkLines reads the header of a hunk: how many lines it has before and after the change.
func HunkLines(header string) (before, after int, ok bool) {
	match := hunkHeader.FindStringSubmatch(header)
	if match == nil {
		return 0, 0, false
	}
	return count(match[1]), count(match[2]), true
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
func (p *patch) path(name string) error {
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
