// structure prints the measures of the code's structure, and exits with 1 where a budget is exceeded.
// It reads the tracked Go files, tests left out, as syntax only: names are resolved within their package, without types.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

const help = `structure measures the Go code that git tracks; tests are left out. Every budget is one line of the table:

  files per package    files of the largest package: at most 15; 30 in store, 60 in cmd/scanhook (one a command)
  lines of a file      of the longest: at most 600
  mute files           files without an exported name (doc.go and main.go left out): at most 15 % of all
  once from elsewhere  helpers (unexported functions and methods) whose only use is in another file of the package: at most 3 %
  private uses         unexported names that a file uses of other files of its package, each counted once: at most 1.5 a file
  arrows back          of the arrows between files of a package (one uses what the other declares) those that point upwards in the
                       order of the files that has fewest of them: at most 11 % in every package with at least 10 arrows
  functions            lines from func to brace: half at most 12, nine of ten at most 25, none above 60

Usage: structure [-v]
  -v  lists the places behind the figures
`

var verbose = flag.Bool("v", false, "list the places behind the figures")

func main() {
	flag.Usage = func() { fmt.Fprint(os.Stderr, help) }
	flag.Parse()
	packages, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(2)
	}
	if !report(os.Stdout, packages) {
		os.Exit(1)
	}
}

// goFile is one file and what it declares.
type goFile struct {
	path      string
	lines     int
	syntax    *ast.File
	functions []goFunction
	exported  bool           // declares a name for other packages
	uses      map[string]int // names of its package, and how often it uses them
}

type goFunction struct {
	name  string
	lines int
}

type goPackage struct {
	dir      string
	files    []*goFile
	declared map[string]*goFile // package-level names, and methods as ".name"
	helpers  []string           // unexported functions and methods
}

func load() ([]*goPackage, error) {
	out, err := exec.Command("git", "ls-files", "*.go").Output()
	if err != nil {
		return nil, fmt.Errorf("listing files: %w", err)
	}
	found := map[string]*goPackage{}
	for _, name := range strings.Fields(string(out)) {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") || strings.HasPrefix(name, ".") {
			continue
		}
		file, err := parse(name)
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		if err != nil {
			return nil, err
		}
		dir := path.Dir(name)
		if found[dir] == nil {
			found[dir] = &goPackage{dir: dir, declared: map[string]*goFile{}}
		}
		found[dir].files = append(found[dir].files, file)
	}
	for _, p := range found {
		p.resolve()
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *goPackage) int { return cmp.Compare(a.dir, b.dir) }), nil
}

func parse(name string) (*goFile, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &goFile{path: name, lines: strings.Count(string(source), "\n"), syntax: syntax, uses: map[string]int{}}
	for _, decl := range syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			f.functions = append(f.functions, goFunction{fn.Name.Name, fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1})
		}
	}
	return f, nil
}

// resolve finds what is declared where, and who uses it.
func (p *goPackage) resolve() {
	for _, f := range p.files {
		for _, decl := range f.syntax.Decls {
			p.declare(f, decl)
		}
	}
	for _, f := range p.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				f.uses["."+n.Sel.Name]++
				ast.Inspect(n.X, func(x ast.Node) bool { return f.count(x) })
				return false
			case *ast.KeyValueExpr:
				if _, field := n.Key.(*ast.Ident); field {
					ast.Inspect(n.Value, func(x ast.Node) bool { return f.count(x) })
					return false
				}
			}
			return f.count(n)
		})
	}
}

// count notes one use; selectors inside are counted by their last name.
func (f *goFile) count(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Ident:
		f.uses[n.Name]++
	case *ast.SelectorExpr:
		f.uses["."+n.Sel.Name]++
		ast.Inspect(n.X, func(x ast.Node) bool { return f.count(x) })
		return false
	}
	return true
}

func (p *goPackage) declare(f *goFile, decl ast.Decl) {
	put := func(key, name string) {
		p.declared[key] = f
		f.exported = f.exported || ast.IsExported(name)
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		key := d.Name.Name
		if d.Recv != nil {
			key = "." + key
		}
		put(key, d.Name.Name)
		f.uses[d.Name.Name]-- // the declaration itself
		if !ast.IsExported(d.Name.Name) && d.Name.Name != "main" && d.Name.Name != "init" {
			p.helpers = append(p.helpers, key)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				put(s.Name.Name, s.Name.Name)
				f.uses[s.Name.Name]--
			case *ast.ValueSpec:
				for _, name := range s.Names {
					put(name.Name, name.Name)
					f.uses[name.Name]--
				}
			}
		}
	}
}

// borrowed are the unexported names that a file uses of others, and arrows who uses whom.
func (p *goPackage) borrowed() (names []string, arrows map[[2]string]bool) {
	arrows = map[[2]string]bool{}
	for _, f := range p.files {
		for name, n := range f.uses {
			owner := p.declared[name]
			if n <= 0 || owner == nil || owner == f {
				continue
			}
			arrows[[2]string{f.path, owner.path}] = true
			if !ast.IsExported(strings.TrimPrefix(name, ".")) {
				names = append(names, f.path+" uses "+strings.TrimPrefix(name, ".")+" of "+path.Base(owner.path))
			}
		}
	}
	slices.Sort(names)
	return names, arrows
}

// onceFromElsewhere are the helpers whose only use is in another file.
func (p *goPackage) onceFromElsewhere() (names []string) {
	for _, helper := range p.helpers {
		uses, elsewhere := 0, ""
		for _, f := range p.files {
			n := max(0, f.uses[helper])
			uses += n
			if n > 0 && f != p.declared[helper] {
				elsewhere = f.path
			}
		}
		if uses == 1 && elsewhere != "" {
			names = append(names, p.declared[helper].path+": "+strings.TrimPrefix(helper, ".")+" is used in "+path.Base(elsewhere)+" alone")
		}
	}
	return names
}

// backwards are the arrows that point upwards in the order that has fewest of them: found by moving each file to its
// best place until no move helps.
func (p *goPackage) backwards(arrows map[[2]string]bool) (back []string) {
	order := make([]string, len(p.files))
	for i, f := range p.files {
		order[i] = f.path
	}
	cost := func() (n int) {
		place := map[string]int{}
		for i, name := range order {
			place[name] = i
		}
		for a := range arrows {
			if place[a[0]] > place[a[1]] {
				n++
			}
		}
		return n
	}
	best := cost()
	for improved := true; improved; {
		improved = false
		for _, name := range slices.Clone(order) {
			from := slices.Index(order, name)
			kept := slices.Clone(order)
			for to := range order {
				order = slices.Insert(slices.Delete(slices.Clone(kept), from, from+1), to, name)
				if c := cost(); c < best {
					best, improved = c, true
					kept = slices.Clone(order)
					from = to
				}
			}
			order = kept
		}
	}
	for a := range arrows {
		if slices.Index(order, a[0]) > slices.Index(order, a[1]) {
			back = append(back, a[0]+" → "+path.Base(a[1]))
		}
	}
	slices.Sort(back)
	return back
}

func maxFiles(dir string) int {
	switch dir {
	case "store":
		return 30
	case "cmd/scanhook":
		return 60
	}
	return 15
}

// report prints the table, and tells whether every budget is kept.
func report(w io.Writer, packages []*goPackage) bool {
	var functions []int
	var mute, once, private, over, back, long []string
	files, helpers, largest, longest := 0, 0, "", 0
	most := 0
	worst := 0.0
	for _, p := range packages {
		files += len(p.files)
		helpers += len(p.helpers)
		if len(p.files) > most {
			most, largest = len(p.files), p.dir
		}
		if len(p.files) > maxFiles(p.dir) {
			over = append(over, fmt.Sprintf("%s has %d files", p.dir, len(p.files)))
		}
		for _, f := range p.files {
			longest = max(longest, f.lines)
			if base := path.Base(f.path); !f.exported && base != "doc.go" && base != "main.go" {
				mute = append(mute, f.path)
			}
			for _, fn := range f.functions {
				functions = append(functions, fn.lines)
				if fn.lines > 60 {
					long = append(long, fmt.Sprintf("%s: %s has %d lines", f.path, fn.name, fn.lines))
				}
			}
		}
		names, arrows := p.borrowed()
		private = append(private, names...)
		once = append(once, p.onceFromElsewhere()...)
		if len(arrows) >= 10 {
			upward := p.backwards(arrows)
			share := percent(len(upward), len(arrows))
			worst = max(worst, share)
			if share > 11 {
				back = append(back, fmt.Sprintf("%s: %d of %d arrows between its files run back (%.0f %%)", p.dir, len(upward), len(arrows), share))
				back = append(back, upward...)
			}
		}
	}
	slices.Sort(functions)
	half, nine, last := functions[len(functions)/2], functions[len(functions)*9/10], functions[len(functions)-1]
	kept := true
	row := func(name, figure, budget string, ok bool, places []string) {
		mark := "ok"
		if !ok {
			mark, kept = "OVER", false
		}
		fmt.Fprintf(w, "%-20s %-34s %-26s %s\n", name, figure, budget, mark)
		if *verbose {
			for _, place := range places {
				fmt.Fprintln(w, "    "+place)
			}
		}
	}
	perFile := float64(len(private)) / float64(files)
	row("files per package", fmt.Sprintf("%d in %s, %d over", most, largest, len(over)), "15, store 30, cmd 60", len(over) == 0, over)
	row("lines of a file", fmt.Sprintf("%d", longest), "600", longest <= 600, nil)
	row("mute files", fmt.Sprintf("%d of %d (%.1f %%)", len(mute), files, percent(len(mute), files)), "15 %", percent(len(mute), files) <= 15, mute)
	row("once from elsewhere", fmt.Sprintf("%d of %d helpers (%.1f %%)", len(once), helpers, percent(len(once), helpers)), "3 %", percent(len(once), helpers) <= 3, once)
	row("private uses", fmt.Sprintf("%.2f a file", perFile), "1.5", perFile <= 1.5, private)
	row("arrows back", fmt.Sprintf("%.0f %% in the worst package", worst), "11 %", len(back) == 0, back)
	row("functions", fmt.Sprintf("half ≤ %d, nine of ten ≤ %d, longest %d", half, nine, last), "12, 25, 60", half <= 12 && nine <= 25 && last <= 60, long)
	return kept
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(1, of)) }
