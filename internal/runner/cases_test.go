package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadText(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "source")
	write(t, parent, files{"outside": "secret\n", "source/.git/config": "secret\n"})
	write(t, dir, files{
		"a.go": "package a\n", "deep/er/b.go": "package b\n", "binary": "MZ\x00\x01", "empty": "",
		"latin1": "caf\xe9\n", "just fits": strings.Repeat("x", maxReviewedFile),
		"too large": strings.Repeat("x", maxReviewedFile+1), ".gitignore": "bin\n",
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
		if text, ok := readText(root, name); ok != readable[name] || ok && text == "" || strings.Contains(text, "secret") {
			t.Errorf("%q: read %t %.20q, want %t", name, ok, text, readable[name])
		}
	}
}
