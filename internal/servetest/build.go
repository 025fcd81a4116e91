package servetest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Build compiles the scanhook of this source with flags of go build.
func Build(t testing.TB, flags ...string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "scanhook")
	if err := Compile(binary, ".", flags...); err != nil {
		t.Fatal(err)
	}
	return binary
}

// Compile builds scanhook from the module that dir is in.
func Compile(binary, dir string, flags ...string) error {
	args := append(append([]string{"build", "-o", binary}, flags...), "github.com/scanhook/scanhook/cmd/scanhook")
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building scanhook: %w\n%s", err, said)
	}
	return nil
}

// Edit changes the source for one build. Code that moves or changes must take its edits along.
type Edit struct {
	File     string // below the module's root
	Old, New string // Old must be there once; where it is empty, New is a file of its own
}

// Overlay returns flags that let the compiler take edited copies of source files, and added files.
func Overlay(t testing.TB, edits []Edit) (flags []string) {
	t.Helper()
	dir, replace := t.TempDir(), map[string]string{}
	for i, text := range edited(t, edits) {
		file := filepath.Join(dir, fmt.Sprint(len(replace), "-", filepath.Base(i)))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[i] = file
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-overlay", filepath.Join(dir, "overlay.json")}
}

// edited returns the texts of the edited files, by their paths.
func edited(t testing.TB, edits []Edit) map[string]string {
	t.Helper()
	texts, root := map[string]string{}, Root(t)
	for _, e := range edits {
		file := filepath.Join(root, filepath.FromSlash(e.File))
		if e.Old == "" {
			texts[file] = e.New
			continue
		}
		if _, read := texts[file]; !read {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(text)
		}
		if strings.Count(texts[file], e.Old) != 1 {
			t.Fatalf("%s has changed: change this edit so that it makes the mistake again: %s", e.File, e.Old)
		}
		texts[file] = strings.Replace(texts[file], e.Old, e.New, 1)
	}
	return texts
}

// Root is the folder of the module.
func Root(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	return strings.TrimSpace(string(out))
}
