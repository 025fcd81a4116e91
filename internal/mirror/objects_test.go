package mirror

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

func TestObjects(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	large := strings.Repeat("0123456789", 100_000)
	sha := f.commit(t, "p", gittest.Files{"empty": "", "small": "a\x00b\n", "large": large})
	ids := map[string]string{}
	for _, name := range []string{"empty", "small", "large"} {
		ids[name] = gittest.Git(t, f.dir("p"), "rev-parse", sha+":"+name)
	}
	err := c.Use(t.Context(), f.project("p"), sha, func(ctx context.Context, m *Mirror) error {
		objects, err := m.Objects(ctx)
		if err != nil {
			return err
		}
		if _, _, err := objects.Blob(ctx, ids["small"], 100); !errors.Is(err, ErrMissing) {
			t.Errorf("want contents left for later, got %v", err)
		}
		objects.Close()
		if err := m.Ensure(ctx, []string{ids["empty"], ids["small"], ids["large"]}); err != nil {
			return err
		}
		if objects, err = m.Objects(ctx); err != nil {
			return err
		}
		for name, want := range map[string]string{"empty": "", "small": "a\x00b\n"} {
			if data, size, err := objects.Blob(ctx, ids[name], 100); err != nil || string(data) != want || data == nil || int(size) != len(want) {
				t.Errorf("%s: got %q, %d, %v", name, data, size, err)
			}
		}
		if data, size, err := objects.Blob(ctx, ids["large"], 1000); err != nil || data != nil || size != 1_000_000 {
			t.Errorf("want the size of what is too large, got %d bytes, %d, %v", len(data), size, err)
		}
		if data, _, err := objects.Blob(ctx, ids["large"], 1_000_000); err != nil || string(data) != large {
			t.Errorf("want it whole, got %d bytes, %v", len(data), err)
		}
		if _, _, err := objects.Blob(ctx, sha, 1000); !errors.As(err, new(Damaged)) {
			t.Errorf("want a commit refused, got %v", err)
		}
		if _, _, err := objects.Blob(ctx, "HEAD\ncontents", 1000); err == nil || errors.As(err, new(Damaged)) {
			t.Errorf("want what is no id refused, got %v", err)
		}
		objects.Close()
		objects.Close()
		if _, _, err := objects.Blob(ctx, ids["small"], 100); err == nil {
			t.Error("want nothing after the end")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A server may send what changed as differences to contents that a mirror never read, and leaves large ones for later.
func TestContentsOfWhatWasNeverRead(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	var small, large strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&small, "line %d %x\n", n, sha256.Sum256(fmt.Append(nil, n)))
		fmt.Fprintf(&large, "line %d %x\n", n, sha512.Sum512(fmt.Append(nil, n)))
	}
	first := f.commit(t, "p", gittest.Files{"small": small.String()[:120_000], "large": large.String()})
	err := c.Use(t.Context(), f.project("p"), first, func(context.Context, *Mirror) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	content := gittest.Files{"small": "new\n" + small.String()[:120_000], "large": "new\n" + large.String()}
	second := f.commit(t, "p", content)
	err = c.Use(t.Context(), f.project("p"), second, func(ctx context.Context, m *Mirror) error {
		objects, err := m.Objects(ctx)
		if err != nil {
			return err
		}
		defer objects.Close()
		missing, err := objects.missing(ctx, []string{
			gittest.Git(t, f.dir("p"), "rev-parse", "HEAD:small"), gittest.Git(t, f.dir("p"), "rev-parse", "HEAD:large"),
		})
		if len(missing) != 1 {
			t.Errorf("want the large file to be missing, got %v", missing)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, c, f.project("p"), second)
	if delete(got, "README"); !maps.Equal(got, content) {
		t.Errorf("got %d files of other contents", len(got))
	}
}

// More objects are asked for than git answers before somebody reads.
func TestObjectsAnswerManyRequests(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "1\n"})
	err := c.Use(t.Context(), f.project("p"), sha, func(ctx context.Context, m *Mirror) error {
		objects, err := m.Objects(ctx)
		if err != nil {
			return err
		}
		defer objects.Close()
		var ids []string
		for n := range 5000 {
			ids = append(ids, fmt.Sprintf("%064x", n))
		}
		missing, err := objects.missing(ctx, append(ids, sha))
		if len(missing) != len(ids) {
			t.Errorf("want %d missing, got %d", len(ids), len(missing))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestObjectsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "1\n"})
	why := errors.New("time is up")
	err := c.Use(t.Context(), f.project("p"), sha, func(ctx context.Context, m *Mirror) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		objects, err := m.Objects(ctx)
		if err != nil {
			return err
		}
		cancel(why)
		_, _, err = objects.Blob(ctx, sha, 100)
		objects.Close()
		return err
	})
	if !errors.Is(err, why) {
		t.Errorf("want the cause, got %v", err)
	}
}

// A process that reads since before a mirror was damaged does not notice that; a fetch does, which is not the server's refusal.
func TestDamageIsNoRefusal(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *Mirror) error{
		"of a commit": func(ctx context.Context, m *Mirror) error {
			_, err := m.Reach(ctx, strings.Repeat("a", 40))
			return err
		},
		"of a file": func(ctx context.Context, m *Mirror) error { return m.Ensure(ctx, []string{strings.Repeat("a", 40)}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newForge(t), newCache(t)
			sha := f.commit(t, "p", gittest.Files{"a": "1\n"})
			tries := 0
			err := c.Use(t.Context(), f.project("p"), sha, func(ctx context.Context, m *Mirror) error {
				if _, err := m.Files(ctx, sha, func(File) {}); err != nil {
					return err
				}
				if tries++; tries > 1 {
					return nil
				}
				if err := os.Truncate(filepath.Join(gitDir(t, c), "HEAD"), 0); err != nil {
					return err
				}
				return ask(ctx, m)
			})
			if err != nil || tries != 2 {
				t.Errorf("want the mirror made anew once, got %d tries, %v", tries, err)
			}
		})
	}
}
