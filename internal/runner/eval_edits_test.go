package runner

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// edit is a commit that a script makes of the one before: it keeps all findings, but those of which it says otherwise.
type edit struct {
	name   string
	change func(name, text string) gittest.Files // the files that become of one; the first name is that of its findings
	breaks bool                                  // the expressions in the lines that change become others
	adds   bool                                  // there are findings more
}

// one changes the text of a file.
func one(change func(text string) string) func(name, text string) gittest.Files {
	return func(name, text string) gittest.Files { return gittest.Files{name: change(text)} }
}

// moves are edits that change no code, or add some that is equal to what is there.
var moves = []edit{
	{name: "every file renamed", change: func(name, text string) gittest.Files {
		return gittest.Files{path.Join(path.Dir(name), "z_"+path.Base(name)): text}
	}},
	{name: "re-indented with spaces", change: one(func(text string) string { return strings.ReplaceAll(text, "\t", "    ") })},
	{name: "a header of ten lines above", change: one(func(text string) string {
		return strings.Repeat("// This program comes without any warranty.\n", 9) + "\n" + text
	})},
	{name: "functions in reverse order", change: one(reverseFunctions)},
	{name: "a copy of every function above it", change: one(copyFunctions), adds: true},
	{name: "renamed, with a line more in every function", change: func(name, text string) gittest.Files {
		opened := regexp.MustCompile(`(?m)^(func .*\{)$`).ReplaceAllString(text, "$1\n    _ = 0")
		return gittest.Files{path.Join(path.Dir(name), "y"+path.Base(name)): opened}
	}},
}

// rewrites are edits as formatters and tools for refactoring make them, and two of people who change what is flagged.
var rewrites = []edit{
	{name: "functions moved to other files", change: splitFile},
	{name: "variables renamed", change: one(renameVariables)},
	{name: "other quotes", change: one(requote)},
	{name: "comments behind lines", change: one(commentLines)},
	{name: "calls wrapped", change: one(wrapCalls)},
	{name: "an argument more", change: one(addArguments), breaks: true},
	{name: "other functions called", change: one(callOthers), breaks: true},
}

// apply makes the edit in the work tree in dir, and returns which file each one comes from.
func (e edit) apply(t *testing.T, dir string) (origins map[string]string) {
	t.Helper()
	origins = map[string]string{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, file)
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".go" || strings.HasPrefix(name, ".git") || origins[name] != "" {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil || os.Remove(file) != nil {
			return err
		}
		made := e.change(name, string(text))
		for file := range made {
			origins[file] = name
		}
		gittest.Write(t, dir, made)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return origins
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
		renamed := declared.ReplaceAllString(c.text, "${1}"+c.name+"Copied")
		if renamed == c.text || c.name == "_" || strings.Contains(c.text, "//go:") {
			return c.text
		}
		return renamed + "\n\n" + c.text
	})
}

// splitFile moves every second function of a file into another one.
func splitFile(name, text string) gittest.Files {
	chunks := chunksOf(text)
	head := regexp.MustCompile(`(?m)^package \w+$`).FindString(text)
	moved := func(i int) bool { return i%2 == 1 && chunks[i].name != "init" && chunks[i].name != "_" }
	other := head + "\n"
	for i, c := range chunks {
		if moved(i) {
			other += "\n" + c.text + "\n"
		}
	}
	if head == "" || len(chunks) < 2 {
		return gittest.Files{name: text}
	}
	rest := rewrite(text, chunks, func(i int) string {
		if moved(i) {
			return ""
		}
		return chunks[i].text
	})
	return gittest.Files{name: rest, strings.TrimSuffix(name, ".go") + "_more.go": other}
}

// insertion puts a text at an offset, in place of so many bytes.
type insertion struct {
	at, instead int
	text        string
}

// insert makes insertions, in the order of their places.
func insert(text string, all []insertion) string {
	slices.SortStableFunc(all, func(a, b insertion) int { return a.at - b.at })
	var out strings.Builder
	at := 0
	for _, one := range all {
		if one.at < at {
			continue
		}
		out.WriteString(text[at:one.at] + one.text)
		at = one.at + one.instead
	}
	return out.String() + text[at:]
}

// source is a parsed file.
type goSource struct {
	text string
	set  *gotoken.FileSet
	file *ast.File
}

// change makes the insertions that each finds for nodes of the file.
func change(text string, each func(s goSource, node ast.Node) []insertion) string {
	s := goSource{text: text, set: gotoken.NewFileSet()}
	var err error
	if s.file, err = parser.ParseFile(s.set, "", text, parser.ParseComments); err != nil {
		return text
	}
	var all []insertion
	ast.Inspect(s.file, func(node ast.Node) bool {
		if node != nil {
			all = append(all, each(s, node)...)
		}
		return true
	})
	return insert(text, all)
}

func (s goSource) at(p gotoken.Pos) int   { return s.set.Position(p).Offset }
func (s goSource) line(p gotoken.Pos) int { return s.set.Position(p).Line }

// flaggedCall is a call in one line that the linter flags, with arguments.
func (s goSource) flaggedCall(node ast.Node) *ast.CallExpr {
	call, is := node.(*ast.CallExpr)
	if rule, _, _ := flawOf(node); !is || rule == "" || len(call.Args) == 0 || s.line(call.Pos()) != s.line(call.Rparen) {
		return nil
	}
	return call
}

func wrapCalls(text string) string {
	return change(text, func(s goSource, node ast.Node) (all []insertion) {
		call := s.flaggedCall(node)
		if call == nil {
			return nil
		}
		for _, arg := range call.Args {
			all = append(all, insertion{at: s.at(arg.Pos()), text: "\n\t\t\t"})
		}
		return append(all, insertion{at: s.at(call.Rparen), text: ",\n\t\t"})
	})
}

// renameVariables renames what functions declare.
func renameVariables(text string) string {
	return change(text, func(s goSource, node ast.Node) []insertion {
		name, is := node.(*ast.Ident)
		if !is || name.Obj == nil || name.Obj.Kind != ast.Var || name.Name == "_" {
			return nil
		}
		declared := name.Obj.Pos()
		for _, top := range s.file.Decls {
			if function, is := top.(*ast.FuncDecl); is && top.Pos() <= declared && declared < top.End() && function.Body != nil {
				return []insertion{{at: s.at(name.End()), text: "Value"}}
			}
		}
		return nil
	})
}

func commentLines(text string) string {
	lines := strings.Split(text, "\n")
	for _, f := range lint("", text) {
		if line := lines[f.Line-1]; !strings.ContainsAny(line, "`") && !strings.Contains(line, "//") && !strings.Contains(line, "/*") {
			lines[f.Line-1] = line + " // see the documentation"
		}
	}
	return strings.Join(lines, "\n")
}

func requote(text string) string {
	return change(text, func(s goSource, node ast.Node) []insertion {
		literal, is := node.(*ast.BasicLit)
		if !is || literal.Kind != gotoken.STRING || strings.ContainsAny(literal.Value, "\\`") {
			return nil
		}
		plain := literal.Value[1 : len(literal.Value)-1]
		return []insertion{{s.at(literal.Pos()), len(literal.Value), "`" + plain + "`"}}
	})
}

func addArguments(text string) string {
	return change(text, func(s goSource, node ast.Node) []insertion {
		call := s.flaggedCall(node)
		if call == nil || call.Ellipsis.IsValid() {
			return nil
		}
		return []insertion{{at: s.at(call.Rparen), text: ", 42"}}
	})
}

// others are called instead of what the linter flags, by the same rules.
var others = map[string]string{
	"Lock": "Acquire", "Unlock": "Release", "Get": "Fetch", "Fatal": "Abort", "Write": "Emit", "append": "grow", "Close": "Finish",
	"Sprintf": "Layout",
}

func callOthers(text string) string {
	return change(text, func(s goSource, node ast.Node) []insertion {
		call, is := node.(*ast.CallExpr)
		if !is {
			return nil
		}
		name, _ := call.Fun.(*ast.Ident)
		if selected, is := call.Fun.(*ast.SelectorExpr); is {
			name = selected.Sel
		}
		if name == nil || others[name.Name] == "" {
			return nil
		}
		return []insertion{{s.at(name.Pos()), len(name.Name), others[name.Name]}}
	})
}
