package runner

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// linting makes the test binary a linter of the directory that it runs in.
const linting = "SCANHOOK_EVAL_LINT"

// flaw is a finding of the linter. Unit and nth say which it is, whatever became of its lines: the n-th flaw of its rule in a
// declaration.
type flaw struct {
	Rule     string `json:"rule_id"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	File     string `json:"file"`
	Line     int    `json:"line"`

	unit string
	nth  int
	twin bool // an equal one stands in its line, which reports have only once
}

// key is which flaw it is.
func (f flaw) key() string { return fmt.Sprintf("%s %s %d", f.Rule, f.unit, f.nth) }

// lint flags calls of common functions, and some statements, as linters do that say little: without code, and with the same message
// for all findings of a rule.
func lint(name, text string) (flaws []flaw) {
	set := gotoken.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	units, seen := map[string]int{}, map[string]bool{}
	for _, declared := range file.Decls {
		unit := unitOf(declared)
		if unit == anonymous {
			units[unit]++
			unit = fmt.Sprint(unit, units[unit])
		}
		count := map[string]int{}
		ast.Inspect(declared, func(node ast.Node) bool {
			if node == nil {
				return false
			}
			if rule, severity, message := flawOf(node); rule != "" {
				f := flaw{rule, severity, message, name, set.Position(node.Pos()).Line, unit, count[rule], false}
				place := fmt.Sprint(rule, message, f.Line)
				f.twin, seen[place] = seen[place], true
				flaws = append(flaws, f)
				count[rule]++
			}
			return true
		})
	}
	return flaws
}

const anonymous = "declarations "

// unitOf names a declaration.
func unitOf(declared ast.Decl) string {
	function, is := declared.(*ast.FuncDecl)
	if !is {
		return anonymous
	}
	receiver := ""
	if function.Recv != nil && len(function.Recv.List) > 0 {
		receiver = typeName(function.Recv.List[0].Type)
	}
	return receiver + "." + strings.TrimSuffix(function.Name.Name, "Copied") // a copy may be taken for what it is one of
}

func typeName(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return typeName(of.X)
	case *ast.Ident:
		return of.Name
	case *ast.IndexExpr:
		return typeName(of.X)
	}
	return ""
}

// flagged are the functions whose calls are flagged, by the rules that do.
var flagged = map[string]string{
	"append": "prealloc", "make": "prealloc", "copy": "copyloop", "panic": "no-panic", "recover": "no-panic",
	"Errorf": "wrap-error", "New": "constructor", "Sprintf": "format", "Printf": "format", "Fprintf": "format", "Println": "print",
	"Fatal": "exit", "Fatalf": "exit", "Exit": "exit", "Error": "test-error", "Write": "unchecked-error", "Read": "unchecked-error",
	"Close": "unchecked-error", "WriteString": "unchecked-error", "Lock": "lock", "Unlock": "lock", "Get": "call", "Set": "call",
	"Acquire": "lock", "Release": "lock", "Fetch": "call", "Abort": "exit", "Emit": "unchecked-error", "grow": "prealloc",
	"Finish": "unchecked-error", "Layout": "format", // for callOthers
}

func flawOf(node ast.Node) (rule, severity, message string) {
	switch n := node.(type) {
	case *ast.CallExpr:
		name := ""
		switch called := n.Fun.(type) {
		case *ast.Ident:
			name = called.Name
		case *ast.SelectorExpr:
			name = called.Sel.Name
		}
		if rule = flagged[name]; rule != "" {
			return rule, "medium", "call of " + name
		}
	case *ast.GoStmt:
		return "goroutine", "high", "goroutine without an end"
	case *ast.DeferStmt:
		return "defer", "low", "deferred call"
	case *ast.TypeAssertExpr:
		return "assertion", "medium", "type assertion"
	}
	return "", "", ""
}

// lintDir lints all Go files below a directory.
func lintDir(dir string) (flaws []flaw, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		flaws = append(flaws, lint(name, string(text))...)
		return err
	})
	return flaws, err
}

// TestEvalLint is the linter, run by TestEvalFingerprints as a scanner.
func TestEvalLint(t *testing.T) {
	if os.Getenv(linting) == "" {
		t.Skip("a scanner of TestEvalFingerprints")
	}
	flaws, err := lintDir(".")
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(map[string]any{"tool": "lint", "findings": flaws})
	}
	if err != nil {
		t.Fatal(err)
	}
	os.Exit(0) // the test must print nothing more
}

// linter is the scanner that runs TestEvalLint.
func linter(t *testing.T) Scanner {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Scanner{
		Command: []string{"env", linting + "=1", program, "-test.run=^TestEvalLint$", "-test.count=1"}, Read: []string{program},
	}
}

func newReport(flaws []flaw) string {
	text, _ := json.Marshal(map[string]any{"tool": "lint", "findings": flaws})
	return strings.TrimSpace(string(text))
}
