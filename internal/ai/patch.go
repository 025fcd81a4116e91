package ai

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

var hunkHeader = regexp.MustCompile(`^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@`)

// fits tells whether a unified diff changes this file and nothing else: its hunks' old lines stand in the file, in this
// order. Their numbers may be wrong, as models count badly; git and patch look around, too.
func fits(patch, file, source string) bool {
	if core.CheckPatch(patch) != nil {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(oneLineEnding(patch), "\n"), "\n")
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

// takeHunk returns the old lines of a hunk, of which core.CheckPatch has seen that they are all there.
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

// count of lines in a hunk's header, which leaves out 1.
func count(digits string) int {
	if digits == "" {
		return 1
	}
	n, _ := strconv.Atoi(digits) // core.CheckPatch allows nine digits
	return n
}
