package git

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

// compare fetches two commits and compares them.
func compare(t *testing.T, r Repo, base, head string) (*core.Changes, error) {
	t.Helper()
	bare, err := fetch(t.Context(), r, head, base)
	if err != nil {
		return nil, err
	}
	return bare.Compare(t.Context(), base, head)
}

func TestDiffCommits(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t)
	lines := strings.Repeat("line\nother\n", 10)
	base := server.Commit(t, "p", gittest.Files{
		"edited": "a\nb\nc\n", "gone": "x\n", "moved": lines, "space\tand \"ü": lines + "1\n", "binary": "\x00\x01",
		"blank": "a\n b\n", "same": "s\n", "tail": "a\nb",
	})
	dir := filepath.Join(server.Dir, "p.git")
	gittest.Git(t, dir, "rm", "--quiet", "gone", "moved", "space\tand \"ü")
	gittest.Write(t, dir, gittest.Files{
		"edited": "--- a/x\na\nc\n+++ b/x\n", "added": "new\n", "dir/moved to": lines, "ü\n": lines + "2\n",
		"binary": "\x00\x02", "blank": "a\n\t\tb\n", "tail": "a\nc",
	})
	head := server.Amend(t, "p", "second")
	space := sandboxtest.Open(t)
	got, err := compare(t, Repo{Space: space, Remote: server.Remote("p")}, base, head)
	if err != nil {
		t.Fatal(err)
	}
	want := &core.Changes{Base: base, Files: []core.FileChange{
		{New: "added", Hunks: []core.Hunk{hunk(0, 0, 1, 1)}},
		{Old: "binary", New: "binary", Opaque: true},
		{Old: "moved", New: "dir/moved to"},
		{Old: "edited", New: "edited", Hunks: []core.Hunk{hunk(0, 0, 1, 1), hunk(2, 1, 2, 0), hunk(3, 0, 4, 1)}},
		{Old: "gone", Hunks: []core.Hunk{hunk(1, 1, 0, 0)}},
		{Old: "tail", New: "tail", Hunks: []core.Hunk{hunk(2, 1, 2, 1)}},
		{Old: "space\tand \"ü", New: "ü\n", Hunks: []core.Hunk{hunk(21, 1, 21, 1)}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// Neither commit can keep git from telling which lines are the same, or have it ask a program of its own.
func TestDiffCommitsHeedsNoAttributes(t *testing.T) {
	t.Parallel()
	for _, attributes := range []string{"* -diff", "* binary", "* diff=foo", "[attr]blind -diff\n* blind", "* -text -diff merge=foo"} {
		server := gittest.NewServer(t)
		base := server.Commit(t, "p", gittest.Files{"a.go": "a\nb\n", ".gitattributes": attributes + "\n"})
		gittest.Write(t, filepath.Join(server.Dir, "p.git"), gittest.Files{"a.go": "a\nnew\nb\n"})
		head := server.Amend(t, "p", "second")
		space := sandboxtest.Open(t)
		got, err := compare(t, Repo{Space: space, Remote: server.Remote("p")}, base, head)
		want := &core.Changes{Base: base, Files: []core.FileChange{
			{Old: "a.go", New: "a.go", Hunks: []core.Hunk{hunk(1, 0, 2, 1)}},
		}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, changes (-want +got):\n%s", attributes, err, diff)
		}
	}
}

// A file whose lines change places says so, and no other one.
func TestDiffCommitsTellsReordered(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxDiffLine)
	server := gittest.NewServer(t)
	base := server.Commit(t, "p", gittest.Files{
		"swapped": "a\nb\nc\nd\n", "indented": "a\nb\nc\n", "edited": "a\nb\nc\n", "less": "a\nb\nb\nc\n", "long": long + "1\na\nb\n", "same": "s\n",
	})
	gittest.Write(t, filepath.Join(server.Dir, "p.git"), gittest.Files{
		"swapped": "c\nd\na\nb\n", "indented": "\tb\n\tc\na\n", "edited": "b\na\nd\n", "less": "b\na\nc\n", "long": "a\nb\n" + long + "2\n", "added": "a\n",
	})
	head := server.Amend(t, "p", "second")
	got, err := compare(t, Repo{Space: sandboxtest.Open(t), Remote: server.Remote("p")}, base, head)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range got.Files {
		if want := file.New == "swapped" || file.New == "indented"; file.Reordered != want {
			t.Errorf("%s: reordered is %t", file.New, file.Reordered)
		}
	}
}

func hunk(oldLine, oldCount, newLine, newCount int) core.Hunk {
	return core.Hunk{OldLine: oldLine, OldCount: oldCount, NewLine: newLine, NewCount: newCount}
}

func TestDiffCommitsFails(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t)
	head := server.Commit(t, "p", gittest.Files{"a": "b\n"})
	bare, err := fetch(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: server.Remote("p")}, head)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bare.Compare(t.Context(), strings.Repeat("a", 40), head)
	if err == nil || !strings.Contains(err.Error(), "comparing with aaaaaaa") {
		t.Errorf("want word of the commit that is not there, got %v", err)
	}
}

func TestParseDiffRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"what":                               "before the first file",
		"diff --git a/x b/x\n@@ -1 +x @@\n":  "not the head of a hunk",
		"diff --git a/x b/x\n@@ -1,-2 +1\n":  "not the head of a hunk",
		"diff --git \"a/\\xx\" \"b/\\xx\"\n": "has no name",
		"diff --git a/x b/x\n" + strings.Repeat("@@ -1,0 +1,0 @@\n", maxHunks+1): "more than",
	} {
		if _, err := parseDiff(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: want ...%s..., got %v", text, want, err)
		}
	}
}

func FuzzParseDiff(f *testing.F) {
	f.Add("diff --git a/x b/y\nrename from x\nrename to y\n@@ -1,2 +3 @@ func\n-a\n-b\n\\ No newline\n+c\n")
	f.Add("diff --git \"a/\\303\\274\" \"b/\\303\\274\"\nnew file mode 100644\n@@ -0,0 +1,9 @@\n")
	f.Fuzz(func(_ *testing.T, text string) {
		changed, err := parseDiff(strings.NewReader(text))
		if err != nil {
			return
		}
		findings := []core.Finding{
			{RuleID: "r", File: "x", Line: 2, Snippet: "s"}, {RuleID: "r", File: "y", Line: 1, Snippet: "s"},
		}
		match.Compare(findings, match.Previous{})
		known := []match.BaselineFinding{{Fingerprint: findings[0].Fingerprint, Anchor: findings[0].Anchor, File: "x", Line: 2}}
		match.Compare(findings, match.Previous{Baseline: match.BaselineOf(known...), Changes: &core.Changes{Files: changed}})
	})
}
