package match_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

func TestShapeOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file, one, other string
		same             bool
	}{
		"white space":            {"a.py", "eval( x,y )", "eval(x, y)", true},
		"quotes":                 {"a.js", `eval('it')`, `eval("it")`, true},
		"quotes inside":          {"a.js", `eval('it"s')`, `eval("it\"s")`, true},
		"wrapped":                {"a.py", "eval(x, y)", "eval(\n    x,\n    y,\n)", true},
		"a trailing comment":     {"a.py", "eval(x)", "eval(x)  # noqa", true},
		"a comment of C":         {"a.go", "eval(x)", "eval(x) // why", true},
		"a comment inside":       {"a.go", "eval(x, y)", "eval(x, /* of it */ y)", true},
		"no comment of Python":   {"a.py", "f(x // 2)", "f(x // 3)", false},
		"no comment in a text":   {"a.go", `f("a // b")`, `f("a // c")`, false},
		"semicolons":             {"a.js", "eval(x);", "eval(x)", true},
		"a renamed variable":     {"a.py", "y = eval(x)", "data = eval(text)", true},
		"renamed to another one": {"a.py", "f(x, y)", "f(x, x)", false},
		"another call":           {"a.py", "eval(x)", "exec(x)", false},
		"another member":         {"a.py", "hashlib.md5(x)", "hashlib.sha1(x)", false},
		"another literal":        {"a.py", "f(1)", "f(2)", false},
		"another text":           {"a.py", "f('a')", "f('b')", false},
		"another operator":       {"a.py", "f(a + b)", "f(a - b)", false},
		"one argument more":      {"a.py", "f(a)", "f(a, b)", false},
		"another keyword":        {"a.py", "return f(a)", "yield f(a)", false},
		"a value of YAML":        {"a.yml", "privileged: yes", "privileged: no", false},
		"a command of a shell":   {"run.sh", "chmod a /etc", "chown a /etc", false},
		"an image":               {"Dockerfile", "FROM alpine", "FROM debian", false},
		"a value of Terraform":   {"main.tf", "acl = private", "acl = public", false},
		"an unknown language":    {"a.zzz", "open public", "open private", false},
		"no comment of it":       {"a.zzz", "get http://a", "get http://b", false},
		"no comment of a shell":  {"run.sh", "rm a/* b", "rm a/* c", false},
		"a comment of a shell":   {"run.sh", "rm a b # both", "rm a b", true},
		"after a semicolon":      {"run.sh", "rm a b;# both", "rm a b", true},
		"a mark in a word":       {"run.sh", "rm a#b", "rm a#c", false},
		"a mark in an expansion": {"run.sh", "rm ${a#x}", "rm ${a#y}", false},
		"a mark in YAML":         {"a.yml", "run: a#b", "run: a#c", false},
		"a comment of YAML":      {"a.yml", "privileged: yes # why", "privileged: yes", true},
		"variables alone":        {"a.py", "x = y", "x  =  y # so", true},
		"another variable alone": {"a.py", "x = y", "x = z", false},
		"a body":                 {"a.go", "go func() {", "go func() { // why", true},
		"all tokens":             {"a.py", "f(" + strings.Repeat("x+", 250) + "y)", "f(" + strings.Repeat("z+", 250) + "y)", true},
	}
	for name, test := range tests {
		one, other := match.ShapeOf(test.one, test.file), match.ShapeOf(test.other, test.file)
		if one == 0 || (one == other) != test.same {
			t.Errorf("%s: %s is %x, %s is %x, want them the same: %t", name, test.one, one, test.other, other, test.same)
		}
	}
	for _, nothing := range []string{"f(" + strings.Repeat("x + ", 512) + "1)", "", "x =", "return", "}", ";", "# eval(x)"} {
		if shape := match.ShapeOf(nothing, "a.py"); shape != 0 {
			t.Errorf("%q has the shape %x", nothing, shape)
		}
	}
}

func FuzzShapeOf(f *testing.F) {
	for _, seed := range []string{"eval(x)", "'", "\"\\", "/*", "#", "a->b::c", "\xff(", "`${x}`"} {
		f.Add(seed, "a.py")
		f.Add(seed, "a.js")
	}
	f.Fuzz(func(t *testing.T, code, file string) {
		if match.ShapeOf(code, file) != match.ShapeOf(code+" \n\t", file) {
			t.Error("white space at the end changes the shape")
		}
		match.Continues(code, file)
	})
}

func TestCompareRecognisesEditedLines(t *testing.T) {
	t.Parallel()
	changes := func(hunks ...core.Hunk) *core.Changes {
		return &core.Changes{Files: []core.FileChange{{Old: "a.py", New: "a.py", Hunks: hunks}}}
	}
	rule := func(id string, f core.Finding) core.Finding {
		f.RuleID = id
		return f
	}
	secret := func(code string) core.Finding { return at("a.py:5", "connect(key='REDACTED-"+code+"')") }
	type list = []core.Finding
	tests := map[string]struct {
		changes       *core.Changes
		before, after list
		want          []int
	}{
		"quotes":                    {changes(hunk(5, 1, 5, 1)), list{at("a.py:5", "eval('x')")}, list{at("a.py:5", `eval("x")`)}, []int{0}},
		"wrapped":                   {changes(hunk(5, 1, 5, 4)), list{at("a.py:5", "eval(x, y)")}, list{at("a.py:5", "eval(\n x,\n y,\n)")}, []int{0}},
		"a comment":                 {changes(hunk(5, 1, 5, 1)), list{at("a.py:5", "eval(x)")}, list{at("a.py:5", "eval(x) # why")}, []int{0}},
		"a renamed variable":        {changes(hunk(5, 1, 5, 1)), list{at("a.py:5", "eval(x)")}, list{at("a.py:5", "eval(text)")}, []int{0}},
		"another expression":        {changes(hunk(5, 1, 5, 1)), list{at("a.py:5", "eval(x)")}, list{at("a.py:5", "eval(x + 1)")}, []int{-1}},
		"in another hunk":           {changes(hunk(5, 1, 4, 0), hunk(9, 0, 9, 1)), list{at("a.py:5", "eval(x)")}, list{at("a.py:9", "eval(y)")}, []int{-1}},
		"of another rule":           {changes(hunk(5, 1, 5, 1)), list{at("a.py:5", "eval(x)")}, list{rule("q", at("a.py:5", "eval(y)"))}, []int{-1}},
		"two in their order":        {changes(hunk(5, 2, 5, 2)), list{at("a.py:5", "eval(a)"), at("a.py:6", "eval(b)")}, list{at("a.py:5", "eval(c)"), at("a.py:6", "eval(d)")}, []int{0, 1}},
		"one more":                  {changes(hunk(5, 1, 5, 2)), list{at("a.py:5", "eval(a)")}, list{at("a.py:5", "eval(c)"), at("a.py:6", "eval(d)")}, []int{0, -1}},
		"another secret":            {changes(hunk(5, 1, 5, 1)), list{secret("1111")}, list{secret("2222")}, []int{-1}},
		"the same secret, reworded": {changes(hunk(5, 1, 5, 1)), list{secret("1111")}, list{at("a.py:5", `connect(key="REDACTED-1111")`)}, []int{-1}},
		"without git":               {nil, list{at("a.py:5", "eval(x)")}, list{at("a.py:5", "eval(y)")}, []int{-1}},
		"an opaque file": {
			&core.Changes{Files: []core.FileChange{{Old: "a.py", New: "a.py", Opaque: true}}},
			list{at("a.py:5", "eval(x)")}, list{at("a.py:5", "eval(y)")}, []int{-1},
		},
		"in a renamed file": {
			&core.Changes{Files: []core.FileChange{{Old: "a.py", New: "b.py", Hunks: []core.Hunk{hunk(5, 1, 5, 1)}}}},
			list{at("a.py:5", "eval(x)")}, list{at("b.py:5", "eval(y)")}, []int{0},
		},
	}
	for name, test := range tests {
		for _, side := range []list{test.before, test.after} {
			for i := range side {
				side[i].Shape = match.ShapeOf(side[i].Snippet, side[i].File)
			}
		}
		got, _ := recognised(test.before, test.after, test.changes)
		for i, want := range test.want {
			if got[i] != want || want >= 0 && test.after[i].MatchedBy != string(match.ByEdit) {
				t.Errorf("%s: finding %d is %d by %q, want %d", name, i, got[i], test.after[i].MatchedBy, want)
			}
		}
	}
}
