package store_test

import (
	"io/fs"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/migrations"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func names(t *testing.T, engine string) []string {
	t.Helper()
	entries, err := fs.ReadDir(migrations.Files, engine)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func TestMigrationsHaveTheSameNames(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(names(t, "postgres"), names(t, "sqlite")); diff != "" {
		t.Errorf("migrations (-postgres +sqlite):\n%s", diff)
	}
}

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	all := len(names(t, "sqlite"))
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for _, step := range []struct {
			direction store.Direction
			want      int
		}{{store.Up, all}, {store.Up, 0}, {store.Down, all}, {store.Up, all}} {
			n, err := store.Migrate(t.Context(), store.Config{URL: url}, step.direction, 0)
			if err != nil || n != step.want {
				t.Fatalf("direction %d: %d migrations, %v, want %d", step.direction, n, err, step.want)
			}
		}
	})
}

// Replicas that start together must all come up.
func TestOpenConcurrently(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := store.Open(t.Context(), store.Config{URL: url})
				if err != nil {
					t.Error(err)
					return
				}
				_ = s.Close()
			})
		}
		wg.Wait()
	})
}
