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
  once from elsewhere  helpers (unexported functions that are neither methods nor constructors) whose only use is in another file of the
                       package: at most 3 %
  private uses         unexported names that a file uses of other files of its package, each counted once: at most 1.5 a file
  arrows back          of the arrows between files of a package (one uses what the other declares) those that point upwards in the
                       order of the files that has fewest of them: at most 11 % in every package with at least 10 arrows
  functions            lines from func to brace: half at most 12, nine of ten at most 25, none above 60
  equal lines          runs of 8 lines of code, imports and comments left out, that stand in a second place: none

Usage: structure [-v | -over]
  -v     lists the places behind the figures
  -over  prints only what exceeds a budget, a line for each (cmd/scanhook/layout_test.go reads them)
`

var (
	verbose  = flag.Bool("v", false, "list the places behind the figures")
	onlyOver = flag.Bool("over", false, "print only what exceeds a budget")
)

func main() {
	flag.Usage = func() { fmt.Fprint(os.Stderr, help) }
	flag.Parse()
	packages, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(2)
	}
	show := printTable
	if *onlyOver {
		show = printOver
	}
	if !show(os.Stdout, measures(packages)) {
		os.Exit(1)
	}
}

// goFile is one file and what it declares.
type goFile struct {
	path      string
	lines     int
	source    string
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
	helpers  []string           // unexported functions but methods and constructors
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
	f := &goFile{path: name, source: string(source), lines: strings.Count(string(source), "\n"), syntax: syntax, uses: map[string]int{}}
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
		for _, decl := range f.syntax.Decls {
			f.countUses(decl)
		}
	}
}

// countUses notes what a declaration uses, but no keys of composite literals, which are fields mostly.
func (f *goFile) countUses(decl ast.Decl) {
	ast.Inspect(decl, func(n ast.Node) bool {
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
		if isHelper(d) {
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
					if name.Name == "_" { // asserts something and declares nothing
						continue
					}
					put(name.Name, name.Name)
					f.uses[name.Name]--
				}
			}
		}
	}
}

// isHelper tells an unexported function from one that belongs to a type: its methods and constructors are used where the type is.
func isHelper(d *ast.FuncDecl) bool {
	name := d.Name.Name
	return d.Recv == nil && !ast.IsExported(name) && !strings.HasPrefix(name, "new") && name != "main" && name != "init"
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
	slices.Sort(p.helpers)
	p.helpers = slices.Compact(p.helpers) // one for each system
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

// The budgets.
const (
	maxFiles     = 15 // in a package; roomier names those with more
	maxLines     = 600
	maxMute      = 15.0 // percent
	maxOnce      = 3.0  // percent
	maxPrivate   = 1.5  // uses in a file
	maxBack      = 11.0 // percent
	fewestArrows = 10   // with fewer, a share of arrows says nothing
	maxFunction  = 60   // lines
	maxMostOfAll = 25   // lines of nine functions of ten
	maxHalfOfAll = 12   // lines of half of them
)

var roomier = map[string]int{"store": 30, "cmd/scanhook": 60}

// measure is one line of the table.
type measure struct {
	name, figure, budget string
	over                 []string // what exceeds the budget
	places               []string // what the figure counts
}

func measures(packages []*goPackage) []measure {
	return []measure{
		filesPerPackage(packages), linesOfFiles(packages), muteFiles(packages), onceFromElsewhere(packages),
		privateUses(packages), arrowsBack(packages), functions(packages), twins(packages),
	}
}

func filesPerPackage(packages []*goPackage) measure {
	m := measure{name: "files per package", budget: "15, store 30, cmd 60"}
	largest := packages[0]
	for _, p := range packages {
		if len(p.files) > len(largest.files) {
			largest = p
		}
		if len(p.files) > cmp.Or(roomier[p.dir], maxFiles) {
			m.over = append(m.over, fmt.Sprintf("%s has %d files", p.dir, len(p.files)))
		}
	}
	m.figure, m.places = fmt.Sprintf("%d in %s, %d over", len(largest.files), largest.dir, len(m.over)), m.over
	return m
}

func linesOfFiles(packages []*goPackage) measure {
	m := measure{name: "lines of a file", budget: fmt.Sprint(maxLines)}
	longest := 0
	for _, f := range allFiles(packages) {
		longest = max(longest, f.lines)
		if f.lines > maxLines {
			m.over = append(m.over, fmt.Sprintf("%s has %d lines", f.path, f.lines))
		}
	}
	m.figure, m.places = fmt.Sprint(longest), m.over
	return m
}

func muteFiles(packages []*goPackage) measure {
	m, files := measure{name: "mute files"}, allFiles(packages)
	for _, f := range files {
		if base := path.Base(f.path); !f.exported && base != "doc.go" && base != "main.go" {
			m.places = append(m.places, f.path)
		}
	}
	return m.share(len(files), "files", maxMute)
}

func onceFromElsewhere(packages []*goPackage) measure {
	m, helpers := measure{name: "once from elsewhere"}, 0
	for _, p := range packages {
		helpers += len(p.helpers)
		m.places = append(m.places, p.onceFromElsewhere()...)
	}
	return m.share(helpers, "helpers", maxOnce)
}

// share makes the figure of what the places are of all.
func (m measure) share(all int, noun string, most float64) measure {
	share := percent(len(m.places), all)
	m.figure, m.budget = fmt.Sprintf("%d of %d %s (%.1f %%)", len(m.places), all, noun, share), fmt.Sprintf("%.0f %%", most)
	if share > most {
		m.over = []string{m.figure}
	}
	return m
}

func privateUses(packages []*goPackage) measure {
	m := measure{name: "private uses", budget: fmt.Sprint(maxPrivate)}
	for _, p := range packages {
		names, _ := p.borrowed()
		m.places = append(m.places, names...)
	}
	perFile := float64(len(m.places)) / float64(len(allFiles(packages)))
	m.figure = fmt.Sprintf("%.2f a file", perFile)
	if perFile > maxPrivate {
		m.over = []string{m.figure}
	}
	return m
}

func arrowsBack(packages []*goPackage) measure {
	m, worst := measure{name: "arrows back", budget: fmt.Sprintf("%.0f %%", maxBack)}, 0.0
	for _, p := range packages {
		_, arrows := p.borrowed()
		if len(arrows) < fewestArrows {
			continue
		}
		upward := p.backwards(arrows)
		share := percent(len(upward), len(arrows))
		worst = max(worst, share)
		if share > maxBack {
			text := fmt.Sprintf("%s: %d of %d arrows between its files run back (%.0f %%)", p.dir, len(upward), len(arrows), share)
			m.over = append(m.over, text)
			m.places = append(append(m.places, text), upward...)
		}
	}
	m.figure = fmt.Sprintf("%.0f %% in the worst package", worst)
	return m
}

func functions(packages []*goPackage) measure {
	m := measure{name: "functions", budget: fmt.Sprintf("%d, %d, %d", maxHalfOfAll, maxMostOfAll, maxFunction)}
	var lines []int
	for _, f := range allFiles(packages) {
		for _, fn := range f.functions {
			lines = append(lines, fn.lines)
			if fn.lines > maxFunction {
				m.over = append(m.over, fmt.Sprintf("%s: %s has %d lines", f.path, fn.name, fn.lines))
			}
		}
	}
	slices.Sort(lines)
	half, most := lines[len(lines)/2], lines[len(lines)*9/10]
	m.figure = fmt.Sprintf("half ≤ %d, nine of ten ≤ %d, longest %d", half, most, lines[len(lines)-1])
	m.places = slices.Clone(m.over)
	if half > maxHalfOfAll || most > maxMostOfAll {
		m.over = append(m.over, m.figure)
	}
	return m
}

func allFiles(packages []*goPackage) (files []*goFile) {
	for _, p := range packages {
		files = append(files, p.files...)
	}
	return files
}

// printTable prints all measures, and tells whether every budget is kept.
func printTable(w io.Writer, all []measure) bool {
	kept := true
	for _, m := range all {
		mark := "ok"
		if len(m.over) > 0 {
			mark, kept = "OVER", false
		}
		fmt.Fprintf(w, "%-20s %-34s %-26s %s\n", m.name, m.figure, m.budget, mark)
		if *verbose {
			for _, place := range m.places {
				fmt.Fprintln(w, "    "+place)
			}
		}
	}
	return kept
}

// printOver prints a line for each thing that exceeds a budget, and tells whether there is none.
func printOver(w io.Writer, all []measure) bool {
	kept := true
	for _, m := range all {
		for _, over := range m.over {
			fmt.Fprintf(w, "%s: %s\n", m.name, over)
			kept = false
		}
	}
	return kept
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(1, of)) }
