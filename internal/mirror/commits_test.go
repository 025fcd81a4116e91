package mirror

import (
	"context"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// A tag may name a file or a directory, which is no damage; and a server may lack a commit or refuse it.
func TestReachTellsWhatIsNoCommit(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p, dir := f.project("p"), f.dir("p")
	head := f.commit(t, "p", gittest.Files{"a": "1\n", "d/b": "2\n"})
	tags := make(map[string]Absence)
	for _, of := range []string{"HEAD:a", "HEAD:d", "HEAD^{tree}"} {
		tags[gittest.Git(t, dir, "rev-parse", of)] = NoCommit
		gittest.Git(t, dir, "tag", "--force", "--annotate", "--message", "no commit", "t", of)
		tags[gittest.Git(t, dir, "rev-parse", "t")] = NoCommit
		gittest.Git(t, dir, "tag", strings.NewReplacer(":", "-", "^{", "-", "}", "").Replace(of), "t") // so that it stays
	}
	tags[strings.Repeat("a", 40)] = Gone
	gittest.Git(t, dir, "tag", "--annotate", "--message", "a release", "v1", head)
	release := gittest.Git(t, dir, "rev-parse", "v1")
	tries := 0
	err := c.Use(t.Context(), p, head, func(ctx context.Context, m *Mirror) error {
		tries++
		for range 2 {
			for sha, want := range tags {
				if reached, err := m.Reach(ctx, sha); reached || err != nil || m.WhyNot(sha) != want {
					t.Errorf("%s: reached %t, %d, %v, want %d", sha, reached, m.WhyNot(sha), err, want)
				}
			}
			if reached, err := m.Reach(ctx, release); !reached || err != nil {
				t.Errorf("want the release reached, got %t, %v", reached, err)
			}
		}
		return nil
	})
	if err != nil || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
}
