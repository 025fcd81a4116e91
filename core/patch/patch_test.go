package patch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core/patch"
)

const goodPatch = `--- a/main.go
+++ b/main.go
@@ -1,3 +1,3 @@ func main() {
 first
-secret := "x"
+secret := os.Getenv("SECRET")
 last
`

func TestCheckTakes(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"one hunk":                     goodPatch,
		"no end of line":               strings.TrimSuffix(goodPatch, "\n"),
		"lines end with CR":            strings.ReplaceAll(goodPatch, "\n", "\r\n"),
		"times after the names":        "--- x\t2026-11-23 10:00:00\n+++ x\t2026-11-23 10:01:00\n@@ -1 +1 @@\n-a\n+b\n",
		"a new file":                   "--- /dev/null\n+++ b/new.go\n@@ -0,0 +1,2 @@\n+a\n+b\n",
		"a deleted file":               "--- a/old.go\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n",
		"two files, two hunks":         goodPatch + "@@ -9 +9 @@\n-x\n+y\n" + strings.ReplaceAll(goodPatch, "main", "other"),
		"no newline at the end":        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline\n+b\n\\ No newline\n",
		"stripped blank context":       "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n\n-a\n+b\n",
		"removes a line like a header": "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- a/../../y\n k\n",
		"git format-patch": "From 0123 Mon Sep 17 00:00:00 2001\nSubject: mend\n---\n main.go | 2 +-\n\n" +
			"diff --git a/main.go b/main.go\nindex 1..2 100644\n" + goodPatch + "-- \n2.39.0\n",
		"a name that git quotes": "--- \"a/f\\303\\274r.go\"\n+++ \"b/f\\303\\274r.go\"\n@@ -1 +1 @@\n-a\n+b\n",
	}
	for name, text := range cases {
		if err := patch.Check(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	on := func(from, to string) string { return "--- " + from + "\n+++ " + to + "\n@@ -1 +1 @@\n-a\n+b\n" }
	cases := map[string]struct{ text, want string }{
		"empty":                    {"", "not a unified diff"},
		"prose":                    {"replace line 3 by a lookup", "not a unified diff"},
		"one header":               {"--- a/x\n@@ -1 +1 @@\n-a\n+b\n", "line 2: the header --- is not followed by +++"},
		"no header":                {"@@ -1 +1 @@\n-a\n+b\n", "line 1: it stands without the header"},
		"no hunk":                  {"--- a/x\n+++ b/x\n", "line 3: no hunk follows"},
		"a crooked hunk header":    {"--- a/x\n+++ b/x\n@@ somewhere @@\n-a\n+b\n", "line 3: it is not a hunk header"},
		"a hunk that is too short": {"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n+b\n", "line 6: the diff ends inside a hunk"},
		"a hunk that is too long":  {"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n", "line 6: the hunk has more lines"},
		"counts of the wrong side": {"--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-a\n-b\n+c\n+d\n", "line 5: the hunk has other lines"},
		"prose inside a hunk":      {"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\nand then\n+b\n", "line 5: inside a hunk"},
		"out of the repository":    {on("a/../../etc/passwd", "b/../../etc/passwd"), "not inside the repository"},
		"an absolute path":         {on("/etc/passwd", "/etc/passwd"), "not inside the repository"},
		"absolute under a prefix":  {on("a//etc/passwd", "b//etc/passwd"), "not inside the repository"},
		"a drive":                  {on(`C:\x`, `C:\x`), "not inside the repository"},
		"out on Windows":           {on(`a\..\..\x`, `b\..\..\x`), "not inside the repository"},
		"out in quotes":            {on(`"a/\056\056/x"`, `"b/\056\056/x"`), "not inside the repository"},
		"git's own files":          {on("a/.git/hooks/x", "b/.GIT/hooks/x"), "not inside the repository"},
		"renamed out":              {"rename from x\nrename to ../y\n" + goodPatch, "line 2: the path"},
		"binary":                   {goodPatch + "GIT binary patch\n", "binary patches"},
		"second file is bad":       {goodPatch + "--- a/x\n", "line 9: the header --- is not followed"},
	}
	for name, c := range cases {
		err := patch.Check(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What git itself writes must be taken, whatever the files hold.
func FuzzCheck(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nB\nc\nd")
	f.Add("", "--- a\n+++ b\n@@ -1 +1 @@\n")
	f.Add("-- \n+\n\n", "\r\n \n")
	f.Fuzz(func(t *testing.T, before, after string) {
		_ = patch.Check(before) // must not panic
		if before == after || strings.ContainsRune(before+after, 0) {
			return
		}
		dir := t.TempDir()
		for name, text := range map[string]string{"old.txt": before, "new.txt": after} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "git", "diff", "--no-index", "--text", "old.txt", "new.txt")
		cmd.Dir = dir
		text, _ := cmd.Output() // exits 1 where the files differ
		if err := patch.Check(string(text)); err != nil {
			t.Errorf("%v in:\n%s", err, text)
		}
	})
}

func FuzzFits(f *testing.F) {
	f.Add("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-import os\n+import sys\n\\ No newline at end of file\n", "import os\n")
	f.Fuzz(func(_ *testing.T, text, source string) { patch.Fits(text, "f", source) })
}

func TestLineKind(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"diff --git a/x b/x": "hunk", "--- a/x": "hunk", "+++ b/x": "hunk", "@@ -1 +1 @@": "hunk",
		"+new": "add", "++": "add", "-old": "del", "---": "del", " same": "", "": "", "\\ No newline at end of file": "",
	} {
		if got := patch.LineKind(line); got != want {
			t.Errorf("LineKind(%q) = %q, want %q", line, got, want)
		}
	}
}
