package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Each project is leased to one of many concurrent claims.
func TestClaimDueProjectConcurrently(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const projects = 40
		for n := range projects {
			p := sighting(fmt.Sprint("acme/", n), fmt.Sprint(n))
			if err := s.TrackProjects(t.Context(), []store.KnownProject{p}); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		claims := map[string]int{}
		var claiming sync.WaitGroup
		for range 8 {
			claiming.Go(func() {
				for {
					w, err := s.ClaimDueProject(t.Context(), []string{"gitlab", "github"}, time.Minute)
					if errors.Is(err, core.ErrNotFound) {
						return
					}
					mu.Lock()
					claims[w.ProjectName]++
					mu.Unlock()
				}
			})
		}
		claiming.Wait()
		for name, times := range claims {
			if times != 1 {
				t.Errorf("%s was claimed %d times", name, times)
			}
		}
		if len(claims) != projects {
			t.Errorf("%d projects claimed, want %d", len(claims), projects)
		}
	})
}

func TestTrackedProjectLease(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		p := sighting("acme/shop", "42")
		first, err := s.ClaimProject(t.Context(), p, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimProject(t.Context(), p, time.Minute); !errors.Is(err, core.ErrConflict) {
			t.Errorf("second claim: %v, want core.ErrConflict", err)
		}
		now = now.Add(2 * time.Minute)
		second, err := s.ClaimDueProject(t.Context(), []string{"github"}, time.Minute)
		if err != nil {
			t.Fatalf("claim after the lease: %v", err)
		}
		if err := s.SettleProject(t.Context(), first, time.Hour, ""); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settling a lost lease: %v, want core.ErrConflict", err)
		}
		if err := s.SettleProject(t.Context(), second, time.Hour, "refused"); err != nil {
			t.Fatal(err)
		}
		if w, err := s.GetTrackedProject(t.Context(), "github", "acme/shop"); err != nil || w.Failures != 1 || w.SyncedAt != nil {
			t.Errorf("after a failure: %+v, %v", w, err)
		}
		if _, err := s.ClaimDueProject(t.Context(), []string{"github"}, time.Minute); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("claim before it is due: %v, want core.ErrNotFound", err)
		}
		if err := s.MarkProjectsDue(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		third, err := s.ClaimDueProject(t.Context(), []string{"github"}, time.Minute)
		if err != nil {
			t.Fatalf("claim when hastened: %v", err)
		}
		if err := s.SettleProject(t.Context(), third, time.Hour, ""); err != nil {
			t.Fatal(err)
		}
		if w, err := s.GetTrackedProject(t.Context(), "github", "acme/shop"); err != nil || w.Failures != 0 || w.SyncedAt == nil {
			t.Errorf("after a success: %+v, %v", w, err)
		}
	})
}

// A project that was named by hand in between is one project again when its call comes.
func TestTrackedProjectIsRenamedTwice(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		track := func(name, ref string) {
			t.Helper()
			if err := s.TrackProjects(t.Context(), []store.KnownProject{sighting(name, ref)}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		pushed(t, s, 1, called("acme/r1", "500"))
		track("acme/r1", "500")
		track("acme/r2", "")
		pushed(t, s, 2, called("acme/r2", "500"))
		track("acme/r2", "500")
		pushed(t, s, 3, called("acme/r3", "500"))
		track("acme/r3", "500")
		track("acme/other", "1")
		for name, want := range map[string]error{
			"acme/r1": core.ErrNotFound, "acme/r2": core.ErrNotFound, "acme/r3": nil, "acme/other": nil,
		} {
			if _, err := s.GetTrackedProject(t.Context(), "github", name); !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		names := []string{}
		for range 2 {
			w, err := s.ClaimDueProject(t.Context(), []string{"github"}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, w.ProjectName)
		}
		if w, err := s.ClaimDueProject(t.Context(), []string{"github"}, time.Minute); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("claimed %s and %s, then %s, %v: want nothing of a project that is gone", names[0], names[1], w.ProjectName, err)
		}
	})
}

func TestRenameProject(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		err := s.TrackProjects(t.Context(), []store.KnownProject{
			sighting("acme/a", "1"), sighting("acme/b2", "2"),
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.GetTrackedProject(t.Context(), "github", "acme/a")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RenameProject(t.Context(), a, "acme/b2"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("renaming onto another one: %v, want core.ErrConflict", err)
		}
		if _, err := s.GetTrackedProject(t.Context(), "github", "acme/a"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the forgotten one: %v, want core.ErrNotFound", err)
		}
	})
}
