package source

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

func TestMakeRelativeAndDescribe(t *testing.T) {
	t.Parallel()
	space := sandboxtest.Open(t)
	gittest.Write(t, space.Source, gittest.Files{
		"src/app.js": "one\n\t two  \nthree\x00\xff\nfour", "long": strings.Repeat("ä", maxLine) + "\nafter\n",
	})
	gittest.Write(t, space.Root, gittest.Files{"secret": "outside\n"})
	for link, target := range map[string]string{"out": "../secret", "in": "src/app.js", "dir": ".."} {
		if err := os.Symlink(target, filepath.Join(space.Source, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(space.Source, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	const app = "src/app.js"
	tests := map[string]struct {
		give          core.Finding
		file, snippet string
	}{
		"the line at Line":        {core.Finding{File: app, Line: 2}, app, "two"},
		"the last line":           {core.Finding{File: app, Line: 4}, app, "four"},
		"no such line":            {core.Finding{File: app, Line: 9}, app, ""},
		"what is no text":         {core.Finding{File: app, Line: 3}, app, "three\uFFFD\uFFFD"},
		"after a long line":       {core.Finding{File: "long", Line: 2}, "long", "after"},
		"the report's own":        {core.Finding{File: app, Line: 1, Snippet: "own"}, app, "own"},
		"absolute path":           {core.Finding{File: space.Source + "/" + app, Line: 1}, app, "one"},
		"path without its slash":  {core.Finding{File: space.Source[1:] + "/" + app, Line: 1}, app, "one"},
		"file URL":                {core.Finding{File: "file://" + space.Source + "/" + app, Line: 1}, app, "one"},
		"path out of it":          {core.Finding{File: "../secret", Line: 1}, "../secret", ""},
		"absolute path elsewhere": {core.Finding{File: space.Root + "/secret", Line: 1}, space.Root + "/secret", ""},
		"link out of it":          {core.Finding{File: "out", Line: 1}, "out", ""},
		"link inside":             {core.Finding{File: "in", Line: 1}, "in", ""},
		"directory link out":      {core.Finding{File: "dir/secret", Line: 1}, "dir/secret", ""},
		"pipe":                    {core.Finding{File: "pipe", Line: 1}, "pipe", ""},
		"directory":               {core.Finding{File: "src", Line: 1}, "src", ""},
		"about a secret by rule":  {core.Finding{File: app, Line: 1, RuleID: "hardcoded-password"}, app, ""},
		"about a secret by CWE":   {core.Finding{File: app, Line: 1, CWE: "CWE-798"}, app, ""},
		"about a secret by tool":  {core.Finding{File: app, Line: 1, Tool: "trufflehog"}, app, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := core.Report{Findings: []core.Finding{test.give}}
			MakeRelative(&report, space.Source)
			Describe(report.Findings, secrets.Key{}, space.Source)
			want := test.give
			want.File, want.Snippet = test.file, test.snippet
			if strings.HasPrefix(name, "about a secret") {
				want.SecretHash = secrets.Key{}.HashLines("one")
			}
			if diff := cmp.Diff(want, report.Findings[0], cmpopts.IgnoreFields(core.Finding{}, "Surroundings")); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
	message := core.Report{Findings: []core.Finding{{Message: "see " + space.Source + "/a.c:1"}}}
	MakeRelative(&message, space.Source)
	if got := message.Findings[0].Message; got != "see a.c:1" {
		t.Errorf("want a message without the place of the checkout, got %q", got)
	}
	left := core.Report{Coverage: new(core.Coverage)}
	left.Coverage.LeaveOut(core.LeftError, 1, strings.TrimPrefix(space.Source, "/")+"/a.c")
	MakeRelative(&left, space.Source)
	if got := left.Coverage.Left[0].Names[0]; got != "a.c" {
		t.Errorf("want the name of what was not searched without the place of the checkout, got %q", got)
	}
	long := core.Report{Findings: []core.Finding{{File: "long", Line: 1}}}
	Describe(long.Findings, secrets.Key{}, space.Source)
	if got := len(long.Findings[0].Snippet); got == 0 || got > maxLine {
		t.Errorf("want at most %d bytes of a long line, got %d", maxLine, got)
	}
}

func TestReadText(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "source")
	gittest.Write(t, parent, gittest.Files{"outside": "secret\n", "source/.git/config": "secret\n"})
	gittest.Write(t, dir, gittest.Files{
		"a.go": "package a\n", "deep/er/b.go": "package b\n", "binary": "MZ\x00\x01", "empty": "",
		"latin1": "caf\xe9\n", "just fits": strings.Repeat("x", maxTextFile),
		"too large": strings.Repeat("x", maxTextFile+1), ".gitignore": "bin\n",
	})
	for name, target := range map[string]string{
		"link": "a.go", "away": "../outside", "absolute": filepath.Join(parent, "outside"), "git": ".git", "dir": "deep",
		"up": "..", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	readable := map[string]bool{
		"a.go": true, "./a.go": true, "deep/er/b.go": true, "deep/../a.go": true, "latin1": true, "just fits": true, ".gitignore": true,
	}
	for _, name := range []string{
		"a.go", "./a.go", "deep/er/b.go", "deep/../a.go", "latin1", "just fits", ".gitignore",
		"", ".", "..", "/", "deep", "deep/", "missing", "a.go/x", "empty", "binary", "too large",
		"link", "away", "absolute", "dir/er/b.go", "git/config", "up/outside", "loop",
		"../outside", "deep/../../outside", filepath.Join(parent, "outside"), ".git/config", ".GIT/config", "./.git/config", "a\x00b",
	} {
		if text, ok := ReadText(root, name); ok != readable[name] || ok && text == "" || strings.Contains(text, "secret") {
			t.Errorf("%q: read %t %.20q, want %t", name, ok, text, readable[name])
		}
	}
}

// What a finding flags goes on until its brackets are closed, so that a formatter may wrap it. Of secrets nothing is kept.
func TestDescribeFollowsExpressions(t *testing.T) {
	t.Parallel()
	space := sandboxtest.Open(t)
	gittest.Write(t, space.Source, gittest.Files{
		"a.py": "import os\nx = eval(text, {'a': 1})\n",
		"b.py": "import os\n\n\nx = eval(\n    text,\n    {\"a\": 1},\n)\nother()\n",
		"c.py": "x = eval(\n" + strings.Repeat("    text,\n", 2*maxExpression) + ")\n",
		"d.py": "x = eval(text)" + strings.Repeat(" ", maxLine) + "+ 1\n",
	})
	found := []core.Finding{
		{RuleID: "r", File: "a.py", Line: 2}, {RuleID: "r", File: "b.py", Line: 4}, {RuleID: "r", File: "b.py", Line: 8},
		{RuleID: "r", File: "a.py", Line: 2, CWE: "CWE-798"}, {RuleID: "r", File: "c.py", Line: 1}, {RuleID: "r", File: "d.py", Line: 1},
	}
	Describe(found, secrets.Key{}, space.Source)
	switch one := found[0].Shape; {
	case one == 0 || one != found[1].Shape || one == found[2].Shape || found[2].Shape == 0:
		t.Errorf("shapes %x, %x of the wrapped one, %x of another", one, found[1].Shape, found[2].Shape)
	case found[4].Shape != 0 || found[5].Shape != 0:
		t.Errorf("what is too long to be seen whole has the shape %x or %x", found[4].Shape, found[5].Shape)
	case found[3].Shape != 0:
		t.Errorf("a secret has the shape %x", found[3].Shape)
	}
}
