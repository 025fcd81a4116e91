package reconcile

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// The late webhook of a recovered push, replicas and syncs at the same moment: one scan.
func TestNeverASecondScan(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		twin := b.replica(b.store, b.Policies)
		for n := 2; n < 8; n++ {
			b.git.push(shop, branch("main", n), branch("side", n+100))
			b.now = b.now.Add(2 * time.Hour)
			var racing sync.WaitGroup
			for _, replica := range []*Projects{b.Projects, twin, b.Projects, twin} {
				racing.Go(func() { _, _ = replica.syncs(false).Once(t.Context()) })
				racing.Go(func() {
					_, _ = replica.syncNow(t.Context(), theShop, SyncOrder{})
				})
			}
			racing.Go(func() {
				d, p := storetest.PushOf(n)
				_, _ = b.store.Accept(t.Context(), storetest.With(d, p))
			})
			racing.Wait()
			b.pass(t, 2*time.Hour)
		}
		commits := map[string]int{}
		for _, scan := range b.scans(t) {
			commit, _, _ := strings.Cut(scan, "<")
			commits[commit]++
		}
		if len(commits) != 1+2*6 {
			t.Errorf("%d commits scanned, want 13: %v", len(commits), commits)
		}
		for commit, times := range commits {
			if times != 1 {
				t.Errorf("%s has %d scans", commit, times)
			}
		}
	})
}

func TestSyncNowOfAllRefs(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e, "v*")
		tag := core.Ref{Name: "refs/tags/v1", SHA: storetest.SHA(3)}
		b.git.push(shop, branch("main", 1), branch("old", 2), branch("twin", 2), tag)
		b.announce(t, 1)
		b.pass(t, time.Minute)
		for _, test := range []struct {
			order SyncOrder
			want  []string
		}{
			{SyncOrder{}, nil},
			{SyncOrder{All: true, DryRun: true}, []string{"refs/heads/old", "refs/heads/twin", "refs/tags/v1"}},
			{SyncOrder{All: true}, []string{
				"refs/heads/old scan_created", "refs/heads/twin scan_exists", "refs/tags/v1 scan_created",
			}},
			{SyncOrder{All: true}, nil},
		} {
			var got []string
			test.order.Report = func(result SyncResult) {
				for _, m := range result.Missed {
					got = append(got, strings.TrimSpace(m.Push.Ref+" "+string(m.Receipt.Outcome)))
				}
			}
			if err := b.replica(b.store, b.Policies).SyncNow(t.Context(), test.order); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", test.order, diff)
			}
		}
	})
}

// What a webhook has announced is not missed, though the project is not tracked yet.
func TestDryRunOfAnUntrackedProject(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		result, err := b.syncNow(t.Context(), theShop, SyncOrder{DryRun: true})
		if err != nil || result.Err != nil || result.Refs != 1 || len(result.Missed) != 0 {
			t.Errorf("%+v, %v, want nothing missed", result, err)
		}
		if _, err := b.store.GetTrackedProject(t.Context(), "github", shop); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("tracked after a dry run: %v", err)
		}
	})
}

func TestSyncNowLeavesLeasedProjectsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite)
	if _, err := b.store.ClaimProject(t.Context(), theShop, time.Minute); err != nil {
		t.Fatal(err)
	}
	err := b.SyncNow(t.Context(), SyncOrder{Projects: []store.KnownProject{theShop}, Report: func(result SyncResult) {
		if !errors.Is(result.Err, core.ErrConflict) {
			t.Errorf("result %+v, want core.ErrConflict", result)
		}
	}})
	if err != nil || b.git.asked > 0 {
		t.Errorf("%v, asked %d times", err, b.git.asked)
	}
}

func TestRefusalIsLoggedOnceAndBacksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite)
	b.announce(t, 1)
	b.git.answer(http.StatusUnauthorized)
	for range 24 * 60 {
		b.pass(t, time.Minute)
	}
	if got := strings.Count(b.log.String(), "level=WARN"); got != 1 || !strings.Contains(b.log.String(), "answers 401") {
		t.Errorf("%d warnings, want one with the status:\n%s", got, b.log.String())
	}
	if b.git.asked > 6 {
		t.Errorf("asked %d times in a day, want ever less often", b.git.asked)
	}
	if strings.Contains(b.log.String(), "c2VjcmV0") {
		t.Error("the credential stands in the log")
	}
	b.git.answer(0)
	b.git.push(shop, branch("main", 2))
	b.pass(t, 24*time.Hour)
	wantScans(t, b, "main:1<0 push", "main:2<1 recover")
	if !strings.Contains(b.log.String(), "can be read again") {
		t.Errorf("log:\n%s", b.log.String())
	}
}

func TestRateLimitPausesThePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite)
	for _, project := range []string{"acme/a", "acme/b", "acme/c"} {
		b.announce(t, 1, func(d *core.Delivery, p *core.Push) {
			d.Key, d.Project, p.Project.Name, p.Project.Ref = project, project, project, project
		})
	}
	b.git.answer(http.StatusTooManyRequests, "Retry-After", "600")
	for range 9 {
		b.pass(t, time.Minute)
	}
	if b.git.asked != 1 {
		t.Errorf("asked %d times, want once: the platform wants to be left alone for ten minutes", b.git.asked)
	}
}
