package cage_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/cage"
)

func TestHiddenWithout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"app/config.yaml", "app/db/scanhook.db", "app/db/scanhook.db-wal", "app/db/rules", "app/bin/tool", "mirrors/a/objects"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("app", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	hidden := cage.Hidden{
		filepath.Join(dir, "link", "config.yaml"), filepath.Join(dir, "app", "db", "scanhook.db*"), filepath.Join(dir, "mirrors"),
		filepath.Join(dir, "none", "x"),
	}
	for granted, want := range map[string][]string{
		"":                  {"app/bin", "app/db/rules"},
		"app":               {"app/bin", "app/db/rules"},
		"link":              {"app/bin", "app/db/rules"},
		"app/bin":           {"app/bin"},
		"app/config.yaml":   nil,
		"link/config.yaml":  nil,
		"app/db":            {"app/db/rules"},
		"mirrors/a/objects": nil,
		"other":             {"other"},
	} {
		got := hidden.Without(filepath.Join(dir, granted))
		for i := range got {
			got[i], _ = filepath.Rel(dir, got[i])
		}
		got = slices.DeleteFunc(got, func(path string) bool { return path == "link" }) // to what is granted in its place
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("%q (-want +got):\n%s", granted, diff)
		}
	}
}

func TestProgramFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	venv := filepath.Join(dir, "venvs", "tool")
	if err := os.MkdirAll(filepath.Join(venv, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pyvenv.cfg", "bin/tool"} {
		if err := os.WriteFile(filepath.Join(venv, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "tool")
	if err := os.Symlink("venvs/tool/bin/tool", link); err != nil {
		t.Fatal(err)
	}
	want := []string{link, filepath.Join(venv, "bin", "tool"), venv}
	if diff := cmp.Diff(want, cage.ProgramFiles(link)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
