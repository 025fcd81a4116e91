package main

import (
	"fmt"
	"strings"
)

// twinLines is how many equal lines of code make two places twins.
const twinLines = 8

// twins finds lines of code that stand twice. Imports, comments, blank lines and white space do not count.
func twins(packages []*goPackage) measure {
	m, pairs := measure{name: "equal lines", budget: fmt.Sprintf("none of %d", twinLines)}, 0
	first := map[string]string{} // the place of each run of lines
	for _, f := range allFiles(packages) {
		lines, numbers := f.code()
		reported := 0 // the lines before this one
		for i := 0; i+twinLines <= len(lines); i++ {
			run := strings.Join(lines[i:i+twinLines], "\n")
			here := fmt.Sprintf("%s:%d", f.path, numbers[i])
			there, known := first[run]
			if !known {
				first[run] = here
			} else if i >= reported {
				m.over = append(m.over, here+" has the lines of "+there)
				pairs, reported = pairs+1, i+twinLines
			}
		}
	}
	m.figure, m.places = fmt.Sprintf("%d places", pairs), m.over
	return m
}

// code is the file's lines behind its imports, trimmed, with their numbers; without assertions of what a type implements.
func (f *goFile) code() (lines []string, numbers []int) {
	inImports := false
	for n, line := range strings.Split(f.source, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "import ("):
			inImports = true
		case inImports:
			inImports = line != ")"
		case strings.HasPrefix(line, "_ ") && strings.HasSuffix(line, ")(nil)"): // says what a type implements
		case line != "" && !strings.HasPrefix(line, "//") && !strings.HasPrefix(line, "import "):
			lines, numbers = append(lines, line), append(numbers, n+1)
		}
	}
	return lines, numbers
}
