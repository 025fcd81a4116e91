package runner

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// grepper reports each line with eval( in it, without any snippet, as a scanner would that is simple.
var grepper = Scanner{Command: sh(`grep -rn 'eval(' --include=*.js . | awk -F: '
	BEGIN { printf "{\"findings\":[" }
	{ printf "%s", (NR > 1 ? "," : "") }
	{ printf "{\"rule_id\":\"eval\",\"severity\":\"high\",\"message\":\"evil\",\"file\":\"%s\",\"line\":%s}", $1, $2 }
	END { print "]}" }'`)}

// function is code whose second line is found.
func function(name string) string {
	return "function " + name + "(x) {\n  return eval(x)\n}\nvar " + name + "_done = true\n"
}

// printsByNeighbour maps what stands in the line above a finding to its fingerprint.
func printsByNeighbour(t *testing.T, b *bench, reference, source string) map[string]string {
	t.Helper()
	_, _, findings := b.get(t, reference)
	lines := strings.Split(source, "\n")
	prints := map[string]string{}
	for _, f := range findings {
		prints[strings.Join(strings.Fields(lines[f.Line-2]), " ")] = f.Fingerprint
	}
	return prints
}

func TestFindingsAreRecognisedInTheNextCommit(t *testing.T) {
	t.Parallel()
	const from, to = "function a(x) {", "function b(x) {"
	before := function("a") + function("b")
	tests := map[string]struct {
		file, source string
		fresh        int
	}{
		"nothing":                {"app.js", before, 0},
		"lines moved":            {"app.js", "// one\n// two\n" + before, 0},
		"an equal line above":    {"app.js", function("c") + before, 1},
		"functions swapped":      {"app.js", function("b") + function("a"), 0},
		"re-indented":            {"app.js", strings.ReplaceAll(before, "\n", "\n\t"), 0},
		"renamed":                {"lib/eval.js", before, 0},
		"renamed, and added to":  {"lib/eval.js", function("c") + before, 1},
		"the line around edited": {"app.js", strings.ReplaceAll(before, "_done = true", "_finished = 1"), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, grepper)
			first := b.server.commit(t, "p", files{"app.js": before, "other.txt": "x\n"})
			old := b.accept(t, "p", first)
			b.mustWork(t, true)
			dir := filepath.Join(b.server.dir, "p.git")
			run(t, dir, "rm", "--quiet", "app.js")
			write(t, dir, files{test.file: test.source})
			next := b.accept(t, "p", b.server.amend(t, "p", "second"))
			b.mustWork(t, true)

			was, is := printsByNeighbour(t, b, old, before), printsByNeighbour(t, b, next, test.source)
			for _, neighbour := range []string{from, to} {
				if was[neighbour] != is[neighbour] || is[neighbour] == "" {
					t.Errorf("%q: want fingerprint %s, got %s", neighbour, was[neighbour], is[neighbour])
				}
			}
			if scan, job, _ := b.get(t, next); job.NumFindings != 2+test.fresh || job.NumAbsent != 0 {
				t.Errorf("want %d findings and none gone, got %+v: %s", 2+test.fresh, job, scan.Summary)
			}
		})
	}
}

// mergeBases knows one merge base.
type mergeBases struct {
	platform
	base string
}

func (h mergeBases) MergeBase(_ context.Context, _, branch, _ string) (string, error) {
	if branch != "main" || h.base == "" {
		return "", platforms.ErrUnknownCommit
	}
	return h.base, nil
}

func TestBranchIsComparedWithItsMergeBase(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"where it is known": true, "else with the default branch": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, grepper)
			base := b.server.commit(t, "p", files{"a.js": function("a")})
			b.accept(t, "p", base)
			b.mustWork(t, true)
			write(t, filepath.Join(b.server.dir, "p.git"), files{"b.js": function("b")})
			tip := b.server.amend(t, "p", "only on main")
			b.accept(t, "p", tip)
			b.mustWork(t, true)
			forked := mergeBases{platform: b.Platforms["github"].(platform)}
			want := tip
			if known {
				forked.base, want = base, base
			}
			b.Platforms["github"] = forked
			receipt, err := b.Jobs.AcceptCommit(t.Context(), core.Scan{
				SourcePlatform: "github", ProjectName: "p", CommitSHA: b.server.amend(t, "p", "branch"),
				Branch: "feature", DefaultBranch: "main",
			}, "")
			if err != nil {
				t.Fatal(err)
			}
			b.mustWork(t, true)
			scan, _, _ := b.get(t, receipt.Reference)
			got, err := b.Jobs.BaselineCommit(t.Context(), scan)
			if got != want || err != nil {
				t.Errorf("want to be compared with %s, got %s (%s), %v", want, got, scan.Summary, err)
			}
		})
	}
}

func TestChangesAreAnAidOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, grepper)
	b.accept(t, "p", b.server.commit(t, "p", files{"a.js": function("a")}))
	b.mustWork(t, true)
	gone := newGitServer(t, func(w http.ResponseWriter, _ *http.Request) bool { return false })
	sha := gone.commit(t, "p", files{"a.js": "\n\n" + function("a")})
	b.Platforms["github"] = platform{server: gone}
	reference := b.accept(t, "p", sha)
	b.mustWork(t, true)
	if scan, _, _ := b.get(t, reference); scan.Summary != "0 new, 1 known" {
		t.Errorf("want the finding to be known though its baseline cannot be fetched, got %+v", scan)
	}
	if !strings.Contains(b.log.String(), "baseline not compared line by line") {
		t.Errorf("want the log to tell, got:\n%s", b.log)
	}
}
