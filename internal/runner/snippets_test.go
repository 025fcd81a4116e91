package runner

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
)

func TestTidyAndLookAround(t *testing.T) {
	t.Parallel()
	space := open(t)
	write(t, space.source, files{
		"src/app.js": "one\n\t two  \nthree\x00\xff\nfour", "long": strings.Repeat("ä", maxSnippet) + "\nafter\n",
	})
	write(t, space.root, files{"secret": "outside\n"})
	for link, target := range map[string]string{"out": "../secret", "in": "src/app.js", "dir": ".."} {
		if err := os.Symlink(target, filepath.Join(space.source, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(space.source, "pipe"), 0o600); err != nil {
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
		"absolute path":           {core.Finding{File: space.source + "/" + app, Line: 1}, app, "one"},
		"path without its slash":  {core.Finding{File: space.source[1:] + "/" + app, Line: 1}, app, "one"},
		"file URL":                {core.Finding{File: "file://" + space.source + "/" + app, Line: 1}, app, "one"},
		"path out of it":          {core.Finding{File: "../secret", Line: 1}, "../secret", ""},
		"absolute path elsewhere": {core.Finding{File: space.root + "/secret", Line: 1}, space.root + "/secret", ""},
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
			tidy(&report, space.source)
			lookAround(report.Findings, space.source)
			want := test.give
			want.File, want.Snippet = test.file, test.snippet
			if diff := cmp.Diff(want, report.Findings[0], cmpopts.IgnoreFields(core.Finding{}, "Surroundings")); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
	message := core.Report{Findings: []core.Finding{{Message: "see " + space.source + "/a.c:1"}}}
	tidy(&message, space.source)
	if got := message.Findings[0].Message; got != "see a.c:1" {
		t.Errorf("want a message without the place of the checkout, got %q", got)
	}
	long := core.Report{Findings: []core.Finding{{File: "long", Line: 1}}}
	lookAround(long.Findings, space.source)
	if got := len(long.Findings[0].Snippet); got == 0 || got > maxSnippet {
		t.Errorf("want at most %d bytes of a long line, got %d", maxSnippet, got)
	}
}
