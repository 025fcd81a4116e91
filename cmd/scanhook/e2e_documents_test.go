package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/scanhook/scanhook/internal/config"
)

// The documents for people are README.md and docs/. Comments in their source, which no reader sees, make each page a
// script of testscript:
//
//	<!-- test ... -->             lines of the script, before and after the commands that the page shows
//	<!-- file: NAME ... -->       a file of the script
//	<!-- untested: reason -->     the next block of commands is not run
//
// Blocks of sh run in the order of the page, each by a shell of its own in one directory. Blocks of yaml are configurations.
type document struct {
	path  string // below the root of the repository, with slashes
	text  string
	parts []part
}

// part is a comment or a block of a document.
type part struct {
	kind   string // test, file, untested, or the language of a block
	name   string // of a file, or the reason
	text   string
	line   int
	excuse string // why a block is not run
}

var (
	root       = filepath.Join("..", "..")
	marked     = regexp.MustCompile(`^\s*<!-- (test|file: \S+|untested: .+)$`)
	fence      = regexp.MustCompile("^(\\s*)```(\\w*)$")
	linked     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	commanding = []string{"sh", "bash", "console", "shell"}
)

// documents are README.md and the pages below docs.
func documents(t *testing.T) (list []document) {
	t.Helper()
	paths := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(file, ".md") {
			below, _ := filepath.Rel(root, file)
			paths = append(paths, filepath.ToSlash(below))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		list = append(list, read(t, p))
	}
	return list
}

func read(t *testing.T, below string) document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(below)))
	if err != nil {
		t.Fatal(err)
	}
	d := document{path: below, text: string(text)}
	lines, excuse := strings.Split(d.text, "\n"), ""
	for i := 0; i < len(lines); i++ {
		p, end, found := partAt(lines, i)
		if !found {
			continue
		}
		switch {
		case end == len(lines):
			t.Fatalf("%s:%d: what begins here does not end", below, i+1)
		case p.kind == "untested":
			excuse = p.name
		case p.kind != "test" && p.kind != "file":
			p.excuse, excuse = excuse, ""
		}
		d.parts, i = append(d.parts, p), end
	}
	return d
}

// partAt reads the part that begins at a line; end is its last line.
func partAt(lines []string, at int) (p part, end int, found bool) {
	p.line = at + 1
	if mark := marked.FindStringSubmatch(lines[at]); mark != nil {
		kind, name, _ := strings.Cut(mark[1], ": ")
		p.kind = kind
		if p.name, found = strings.CutSuffix(name, " -->"); found {
			return p, at, true
		}
		end = until(lines, at+1, func(line string) bool { return strings.TrimSpace(line) == "-->" })
		p.text = dedent(lines[at+1:end], lines[at])
		return p, end, true
	}
	if open := fence.FindStringSubmatch(lines[at]); open != nil {
		p.kind = open[2]
		end = until(lines, at+1, func(line string) bool { return line == open[1]+"```" })
		p.text = dedent(lines[at+1:end], open[1])
		return p, end, true
	}
	return p, at, false
}

func until(lines []string, from int, is func(string) bool) int {
	if at := slices.IndexFunc(lines[from:], is); at >= 0 {
		return from + at
	}
	return len(lines)
}

// dedent takes the white space away with which the first line begins.
func dedent(lines []string, first string) string {
	indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimPrefix(line, indent) + "\n")
	}
	return text.String()
}

func (d document) runs() bool {
	return slices.ContainsFunc(d.parts, func(p part) bool { return slices.Contains(commanding, p.kind) && p.excuse == "" })
}

// script is the document as testscript runs it.
func (d document) script() string {
	var lines, files strings.Builder
	for i, p := range d.parts {
		switch {
		case p.kind == "test":
			lines.WriteString(p.text)
		case p.kind == "file":
			fmt.Fprintf(&files, "-- %s --\n%s", p.name, p.text)
		case slices.Contains(commanding, p.kind) && p.excuse == "":
			fmt.Fprintf(&lines, "shell block%d.sh # line %d\n", i, p.line)
			fmt.Fprintf(&files, "-- block%d.sh --\n%s", i, p.text)
		}
	}
	return "# " + d.path + "\n" + lines.String() + files.String()
}

// placeholders are what documents write for what a script has in a variable.
var placeholders = map[string]string{
	"https://scan.example.com": "SCANHOOK_URL", "2ac0d87": "HEAD", "postgres://scanhook@db.example.com/scanhook": "POSTGRES",
}

// scriptShell is shell FILE: has sh run the commands of a document, with the values of this machine in them.
func scriptShell(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	for written, variable := range placeholders {
		if value := ts.Getenv(variable); value != "" {
			text = strings.ReplaceAll(text, written, value)
		}
	}
	if err := ts.Exec("sh", "-euc", text); (err != nil) != neg {
		ts.Fatalf("the commands of the page ended with %v", err)
	}
}

// Each page that shows commands is run, from its beginning to its end.
func TestDocumentsRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range documents(t) {
		if d.runs() {
			name := strings.TrimSuffix(strings.ReplaceAll(d.path, "/", "_"), ".md") + ".txtar"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(d.script()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	params := scriptParams(dir)
	testscript.Run(t, params)
}

func TestDocumentsSayWhatIsNotRun(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, p := range d.parts {
			switch {
			case slices.Contains(commanding, p.kind) && p.excuse == "" && !d.tests():
				t.Errorf("%s:%d: no line of a script says what these commands come to: write <!-- test, or <!-- untested: reason -->", d.path, p.line)
			case p.kind == "untested" && len(strings.Fields(p.name)) < 3:
				t.Errorf("%s:%d: %q is no reason", d.path, p.line, p.name)
			}
		}
	}
}

// tests tells whether a document looks at what its commands come to.
func (d document) tests() bool {
	return slices.ContainsFunc(d.parts, func(p part) bool { return p.kind == "test" })
}

// What a page shows as yaml is a configuration that Scanhook takes, unless it says why not.
func TestDocumentsShowRightConfigurations(t *testing.T) {
	t.Parallel()
	unset := func(string) (string, bool) { return "", false }
	for _, d := range documents(t) {
		for _, p := range d.parts {
			if p.kind != "yaml" || p.excuse != "" {
				continue
			}
			if _, err := config.Parse(fmt.Sprintf("%s, line %d", d.path, p.line), []byte(p.text), platformTypes(), unset); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestDocumentsLinkToWhatExists(t *testing.T) {
	t.Parallel()
	for _, d := range append(documents(t), read(t, "CONTRIBUTING.md"), read(t, "SECURITY.md"), read(t, "CHANGELOG.md")) {
		for _, link := range linked.FindAllStringSubmatch(d.text, -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path.Join(path.Dir(d.path), target)
			if target == "" {
				file = d.path
			}
			text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
			if err != nil {
				t.Errorf("%s links to %s, which does not exist", d.path, link[1])
			} else if anchor != "" && !slices.Contains(anchors(string(text)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", d.path, link[1])
			}
		}
	}
}

var noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names of a page's headings, as GitHub makes them.
func anchors(text string) (names []string) {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return names
}

// Every page can be reached from the index.
func TestDocumentsAreInTheIndex(t *testing.T) {
	t.Parallel()
	index := read(t, "docs/README.md")
	for _, d := range documents(t) {
		below, inDocs := strings.CutPrefix(d.path, "docs/")
		if inDocs && below != "README.md" && !strings.Contains(index.text, "]("+below) {
			t.Errorf("docs/README.md does not name %s", below)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	if lines := bytes.Count([]byte(read(t, "README.md").text), []byte("\n")); lines > 120 {
		t.Errorf("README.md has %d lines: what is more than a first look belongs into docs/", lines)
	}
}

// upToDate compares a generated file with what it should be, or writes it with -update.
func upToDate(t *testing.T, below, want string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(below))
	got, err := os.ReadFile(file)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not say what the code does: make docs writes it", below)
	}
}
