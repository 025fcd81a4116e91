package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// history is the evolution of a module.
type history struct {
	module   string
	versions []string
	scanners []string // that find something in it
	wide     bool     // of so many files that git cannot look for copies among them in time
}

func (h history) name() string { return path.Base(h.module) }

// commit makes a repository of the history and returns its commits, the oldest first; none where the module cannot be
// downloaded.
func (h history) commit(t *testing.T, server *gitServer) (commits []string) {
	t.Helper()
	dir := filepath.Join(server.dir, h.name()+".git")
	commits = append(commits, server.commit(t, h.name(), files{"README": h.module + "\n"}))
	for _, version := range h.versions {
		source, err := download(t.Context(), h.module+"@"+version)
		if err != nil {
			t.Logf("%s left out, version %s cannot be downloaded: %v", h.module, version, err)
			return nil
		}
		emptyTree(t, dir)
		copyTree(t, source, dir)
		commits = append(commits, server.amend(t, h.name(), version))
	}
	for _, p := range plants {
		p.plant(t, dir)
		commits = append(commits, server.amend(t, h.name(), p.name))
	}
	return commits[1:]
}

// download returns the directory of a module in the module cache.
func download(ctx context.Context, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", version)
	cmd.Dir = os.TempDir()
	output, err := cmd.Output()
	var module struct{ Dir string }
	return module.Dir, cmp.Or(err, json.Unmarshal(output, &module))
}

func emptyTree(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	content := files{}
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(from, path)
		content[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, content)
}

// plants are commits that change no code, or add some that is equal to what is there.
var plants = []plant{
	{"every file renamed", func(name, text string) (string, string) {
		return path.Join(path.Dir(name), "z_"+path.Base(name)), text
	}},
	{"re-indented with spaces", func(name, text string) (string, string) {
		return name, strings.ReplaceAll(text, "\t", "    ")
	}},
	{"a header of ten lines above", func(name, text string) (string, string) {
		return name, strings.Repeat("// This program comes without any warranty.\n", 9) + "\n" + text
	}},
	{"functions in reverse order", func(name, text string) (string, string) { return name, reverseFunctions(text) }},
	{"a copy of every function above it", func(name, text string) (string, string) { return name, copyFunctions(text) }},
	{"renamed, with a line more in every function", func(name, text string) (string, string) {
		opened := regexp.MustCompile(`(?m)^(func .*\{)$`).ReplaceAllString(text, "$1\n    _ = 0")
		return path.Join(path.Dir(name), "y"+path.Base(name)), opened
	}},
}

type plant struct {
	name   string
	change func(name, text string) (newName, newText string)
}

func (p plant) plant(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasPrefix(name, ".git") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || os.Remove(path) != nil {
			return err
		}
		newName, newText := p.change(name, string(text))
		write(t, dir, files{newName: newText})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// chunk is a function with its comment.
type chunk struct {
	name, text string
	begin, end int
}

func chunksOf(text string) (chunks []chunk) {
	set := gotoken.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ParseComments)
	if err != nil {
		return nil
	}
	for _, declared := range file.Decls {
		function, is := declared.(*ast.FuncDecl)
		if !is || function.Body == nil {
			continue
		}
		begin := set.Position(function.Pos()).Offset
		if function.Doc != nil {
			begin = set.Position(function.Doc.Pos()).Offset
		}
		end := set.Position(function.End()).Offset
		chunks = append(chunks, chunk{function.Name.Name, text[begin:end], begin, end})
	}
	return chunks
}

// rewrite puts other text into the places of the chunks.
func rewrite(text string, chunks []chunk, with func(i int) string) string {
	var out strings.Builder
	at := 0
	for i, c := range chunks {
		out.WriteString(text[at:c.begin] + with(i))
		at = c.end
	}
	return out.String() + text[at:]
}

func reverseFunctions(text string) string {
	chunks := chunksOf(text)
	return rewrite(text, chunks, func(i int) string { return chunks[len(chunks)-1-i].text })
}

func copyFunctions(text string) string {
	chunks := chunksOf(text)
	return rewrite(text, chunks, func(i int) string {
		c := chunks[i]
		declared := regexp.MustCompile(`(?m)^(func (\([^)]*\) )?` + regexp.QuoteMeta(c.name) + `)\b`)
		renamed := declared.ReplaceAllString(c.text, "${1}Copied")
		if renamed == c.text || c.name == "_" || strings.Contains(c.text, "//go:") {
			return c.text
		}
		return renamed + "\n\n" + c.text
	})
}
