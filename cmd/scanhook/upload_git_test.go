package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// Outside CI the commit is HEAD of the working directory, which only a process of its own can have elsewhere.
func TestUploadAsksGitForTheCommit(t *testing.T) {
	t.Parallel()
	sample, err := fakeforge.SampleRepository(t.Context(), filepath.Join(t.TempDir(), "sample"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ dir, path, want string }{
		"repository":    {sample.Dir, os.Getenv("PATH"), "commit=" + sample.Head},
		"no repository": {t.TempDir(), os.Getenv("PATH"), "the commit is not known: run this inside the git repository"},
		"no git":        {sample.Dir, t.TempDir(), "git is not installed to ask"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "upload", writeFile(t, "[]"), "--scanner", "trivy",
				"--server", "http://127.0.0.1:1", "--retry-for", "0", "--token", "t", "--platform", "github", "--project", "acme/shop")
			cmd.Dir = test.dir
			cmd.Env = []string{"PATH=" + test.path, beMain + "=1"}
			if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), test.want) {
				t.Errorf("output: %s, want %q", out, test.want)
			}
		})
	}
}
