package source

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

func TestCodeAroundFindings(t *testing.T) {
	t.Parallel()
	space := sandboxtest.Open(t)
	gittest.Write(t, space.Source, gittest.Files{
		"app.py": "1\n2\n3\n\tfour\r\n5\n6\n7\n8\n9\n",
		"keys":   "# one\n" + privateKey + "\nuser = 'x'\nt = '" + githubToken + "'\nend\n",
		"wide":   strings.Repeat("ä", maxCodeWidth+1) + "\n",
		"none":   "\x00binary\n",
	})
	gittest.Write(t, space.Root, gittest.Files{"secret": "outside\n"})
	last := strings.Count("# one\n"+privateKey, "\n") + 2
	tests := map[string]struct {
		give core.Finding
		line int
		code string
	}{
		"three lines on either side":  {core.Finding{File: "app.py", Line: 4}, 1, "1\n2\n3\n\tfour\n5\n6\n7"},
		"at the end":                  {core.Finding{File: "app.py", Line: 9}, 6, "6\n7\n8\n9"},
		"over lines":                  {core.Finding{File: "app.py", Line: 5, EndLine: 6}, 2, "2\n3\n\tfour\n5\n6\n7\n8\n9"},
		"behind the end":              {core.Finding{File: "app.py", Line: 10}, 0, ""},
		"wide":                        {core.Finding{File: "wide", Line: 1}, 1, strings.Repeat("ä", maxCodeWidth) + "…"},
		"no text":                     {core.Finding{File: "none", Line: 1}, 0, ""},
		"outside":                     {core.Finding{File: "../secret", Line: 1}, 0, ""},
		"of git's own":                {core.Finding{File: ".git/config", Line: 1}, 0, ""},
		"a secret unknown to our own": {core.Finding{File: "keys", Line: last, CWE: "CWE-798"}, last - 3, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := []core.Finding{test.give}
			Quote(t.Context(), secrets.Key{}, found, found, space.Source)
			if found[0].CodeLine != test.line || test.code != "" && found[0].Code != test.code {
				t.Errorf("line %d: %q, want %d: %q", found[0].CodeLine, found[0].Code, test.line, test.code)
			}
			for _, secret := range append(strings.Split(privateKey, "\n")[1:3], githubToken, "'x'") {
				if strings.Contains(found[0].Code, secret) {
					t.Errorf("a secret is shown:\n%s", found[0].Code)
				}
			}
		})
	}
}

// Each file is looked at once for all of its findings.
func TestCodeOfManyFindings(t *testing.T) {
	t.Parallel()
	space := sandboxtest.Open(t)
	content := gittest.Files{}
	var found []core.Finding
	for n := range 500 {
		name := fmt.Sprintf("src/file%d.go", n)
		content[name] = strings.Repeat("func work(input []string) (result int, err error) { return len(input), nil }\n", 200)
		for line := range 10 {
			found = append(found, core.Finding{File: name, Line: 10*line + 1, Severity: core.Low})
		}
	}
	gittest.Write(t, space.Source, content)
	const shownFindings = 1000
	start := time.Now()
	Quote(t.Context(), secrets.Key{}, found[:shownFindings], found, space.Source)
	shown := 0
	for _, f := range found {
		shown += min(f.CodeLine, 1)
	}
	t.Logf("%d of %d findings in %d files have code after %s", shown, len(found), len(content), time.Since(start))
	if shown != shownFindings {
		t.Errorf("%d findings have code", shown)
	}
}
