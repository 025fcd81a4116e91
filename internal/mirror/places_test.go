package mirror

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// Files are found at former places by what findings call them, also in a new mirror, which has no contents yet.
func TestFind(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	first := f.commit(t, "p", gittest.Files{"a": "one\n", "d/e f": "two\n", "x.zip": "three\n", "b!c": "four\n", "\xff.py": "five\n"})
	second := f.commit(t, "p", gittest.Files{"a": "other\n", "d/e f": ""})
	id := func(name string) string { return gittest.Git(t, f.dir("p"), "rev-parse", name) }
	places := []Place{
		{first, "a"}, {second, "a"}, {first, "d/e f"}, {first, "x.zip!m/n"}, {first, "b!c"}, {first, "b!c!d"}, {first, "\uFFFD.py"},
		{second, "d/e f"}, {first, "d"}, {first, ""}, {first, "a\nb"}, {strings.Repeat("a", 40), "a"}, {"HEAD", "a"},
	}
	want := []File{
		{"a", id(first + ":a")}, {"a", id(second + ":a")}, {"d/e f", id(first + ":d/e f")}, {"x.zip", id(first + ":x.zip")},
		{"b!c", id(first + ":b!c")}, {"b!c", id(first + ":b!c")}, {"\xff.py", id(first + ":\xff.py")}, {}, {}, {}, {}, {}, {},
	}
	for _, warm := range []bool{true, false} {
		if warm {
			read(t, c, f.project("p"), first)
		} else {
			c = New(Config{Dir: filepath.Join(t.TempDir(), "other")})
		}
		err := c.Use(t.Context(), f.project("p"), second, func(ctx context.Context, m *Mirror) error {
			got, err := m.Find(ctx, places)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("warm %t (-want +got):\n%s", warm, diff)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A commit with more paths than may be listed hides what is at places of others from nobody.
func TestFindBesideABomb(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	c.MaxPaths = 1000
	odd := "odd\nname"
	good := f.commit(t, "p", gittest.Files{"a": "1\n", odd: "1\n"})
	bomb := f.grow(t, "p", good, 5, "f")
	places := []Place{{bomb, "none"}, {good, core.Printable(odd)}}
	err := c.Use(t.Context(), f.project("p"), bomb, func(ctx context.Context, m *Mirror) error {
		found, err := m.Find(ctx, places)
		if err == nil && (found[0].Blob != "" || found[1].Path != odd) {
			t.Errorf("want what is there, got %q", found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Many findings at one place, and paths that could mean a thousand files, cost little and are found all the same.
func TestFindOfManyPlaces(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	c.MaxPaths = 100
	marks := strings.Repeat("!", 250)
	deep := marks + "/" + marks + "/" + marks
	first := f.commit(t, "p", gittest.Files{deep: "one\n", "x.zip": "two\n"})
	places := []Place{{first, "./a"}, {first, "../a"}, {first, "x.zip!" + deep}}
	for n := range 3000 {
		places = append(places, Place{first, deep}, Place{first, deep + fmt.Sprintf("!%d", n)}, Place{first, fmt.Sprintf("none %d", n)})
	}
	err := c.Use(t.Context(), f.project("p"), first, func(ctx context.Context, m *Mirror) error {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		found, err := m.Find(ctx, places)
		if err != nil {
			return err
		}
		runtime.ReadMemStats(&after)
		t.Logf("%d MiB allocated", (after.TotalAlloc-before.TotalAlloc)>>20)
		for n, file := range found {
			want := ""
			switch {
			case strings.HasPrefix(places[n].Path, marks):
				want = deep
			case strings.HasPrefix(places[n].Path, "x.zip"):
				want = "x.zip"
			}
			if file.Path != want || (file.Blob == "") != (want == "") {
				t.Fatalf("%.80q: got %.80q", places[n], file)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
