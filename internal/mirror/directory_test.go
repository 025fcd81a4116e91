package mirror

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

func TestTrimRemovesWhatWasNotUsedForTheLongestTime(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	shas := map[string]string{}
	for n, name := range []string{"old", "older", "in-use", "new"} {
		shas[name] = f.commit(t, name, gittest.Files{"a": strings.Repeat(name, 100)})
		read(t, c, f.project(name), shas[name])
		used := time.Now().Add(time.Duration(n-100) * time.Hour)
		if name == "older" {
			used = used.Add(-10 * time.Hour)
		}
		if err := os.Chtimes(c.directory().path(nameOf("test/"+name)+useLock), used, used); err != nil {
			t.Fatal(err)
		}
	}
	for _, rest := range []string{c.directory().path(nameOf("test/lost") + freshDir), c.directory().path(nameOf("test/lost") + goneDir + "12")} {
		if err := os.MkdirAll(rest, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mirrors, total := c.directory().list()
	c.Size = total - 1
	c.Trim()
	wantGone := func(names ...string) {
		t.Helper()
		for name := range shas {
			_, err := os.Stat(c.directory().path(nameOf("test/" + name)))
			if gone, want := err != nil, slices.Contains(names, name); gone != want {
				t.Errorf("%s: gone %t, want %t", name, gone, want)
			}
		}
	}
	if wantGone("older"); len(mirrors) != 4 {
		t.Errorf("want 4 mirrors listed, got %v", mirrors)
	}
	if left := left(c.Dir, freshDir, goneDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	err := c.Use(t.Context(), f.project("in-use"), shas["in-use"], func(context.Context, *Mirror) error {
		c.Size = 1
		c.Trim()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantGone("old", "older", "new")
	if got := read(t, c, f.project("older"), shas["older"]); !strings.HasPrefix(got["a"], "older") {
		t.Errorf("want it back, got %v", got)
	}
}
