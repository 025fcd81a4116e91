package catchup

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const shop = "acme/shop"

func wantScans(t *testing.T, b *bench, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, b.scans(t)); diff != "" {
		t.Errorf("scans (-want +got):\n%s", diff)
	}
}

func TestFirstLookScansOnlyTheDefaultBranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.Policies = append(core.Policies{{Match: "github/acme/shop", Policy: storetest.Policy}}, b.Policies...)
		b.git.push(shop, branch("main", 1), branch("stale", 2), branch("staler", 3))
		b.pass(t, time.Second)
		wantScans(t, b, "main:1<none recover")
		b.git.push(shop, branch("stale", 4), branch("fresh", 5))
		b.pass(t, 30*time.Minute)
		wantScans(t, b, "main:1<none recover")
		b.pass(t, time.Hour)
		wantScans(t, b, "main:1<none recover", "stale:4<2 recover", "fresh:5<none recover")
		b.pass(t, 3*time.Hour)
		if got := len(b.scans(t)); got != 3 {
			t.Errorf("%d scans after another look, want the same 3", got)
		}
	})
}

// What webhooks announced before the first look is not forgotten by it.
func TestFirstLookKnowsTheScans(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.announce(t, 2, storetest.OnBranch("side"))
		b.git.push(shop, branch("main", 3), branch("side", 4), branch("stale", 5))
		b.pass(t, time.Second)
		wantScans(t, b, "main:1<0 push", "side:2<1 push", "main:3<1 recover", "side:4<2 recover")
	})
}

func TestAnnouncedPushesAreNotMissed(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		for n := 2; n < 5; n++ {
			b.git.push(shop, branch("main", n))
			b.announce(t, n)
		}
		b.pass(t, 2*time.Hour)
		b.git.push(shop, branch("main", 5))
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:2<1 push", "main:3<2 push", "main:4<3 push", "main:5<4 recover")
	})
}

// The push before the missed one is known by its webhook, though no look has seen it.
func TestBeforeIsTheNewestKnown(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		b.announce(t, 2)
		b.git.push(shop, branch("main", 4))
		b.pass(t, 2*time.Hour)
		b.announce(t, 3) // late
		wantScans(t, b, "main:1<0 push", "main:2<1 push", "main:4<2 recover", "main:3<2 push")
		var superseded []string
		list, err := b.store.ListScans(t.Context(), store.ScanFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.SupersededBy != "" {
				superseded = append(superseded, number(s.CommitSHA)+" by "+number(s.SupersededBy))
			}
		}
		if diff := cmp.Diff([]string{"2 by 4", "1 by 2"}, superseded); diff != "" {
			t.Errorf("superseded (-want +got):\n%s", diff)
		}
	})
}

// The late webhook of a recovered push, replicas and looks at the same moment: one scan.
func TestNeverASecondScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		twin := b.replica(b.store, b.Policies)
		for n := 2; n < 8; n++ {
			b.git.push(shop, branch("main", n), branch("side", n+100))
			b.now = b.now.Add(2 * time.Hour)
			var racing sync.WaitGroup
			for _, look := range []*Catchup{b.Catchup, twin, b.Catchup, twin} {
				racing.Go(func() { _, _ = look.once(t.Context()) })
				racing.Go(func() {
					_, _ = look.lookAt(t.Context(), store.KnownProject{SourcePlatform: "github", ProjectName: shop}, Order{})
				})
			}
			racing.Go(func() {
				d, p := storetest.PushOf(n)
				_, _ = b.store.AcceptPush(t.Context(), d, p)
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

func TestUnwantedAndGoneRefs(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.Policies[0].Policy.Branches = []string{"main", "release/**"}
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("release/1", 2))
		b.pass(t, time.Second)
		b.git.push(shop, branch("feature", 3), branch("release/2", 4), core.Head{Ref: "refs/tags/v1", SHA: storetest.SHA(5)})
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "release/2:4<none recover")
		b.git.mu.Lock()
		b.git.refs[shop] = b.git.refs[shop][:1]
		b.git.mu.Unlock()
		b.pass(t, 2*time.Hour)
		w, err := b.store.GetWatched(t.Context(), "github", shop)
		if err != nil {
			t.Fatal(err)
		}
		if heads, err := b.store.ListHeads(t.Context(), w.ID); err != nil || len(heads) != 1 {
			t.Errorf("remembered %+v, %v, want main alone", heads, err)
		}
		b.git.mu.Lock()
		b.git.refs[shop] = nil
		b.git.mu.Unlock()
		b.pass(t, 2*time.Hour)
		if heads, err := b.store.ListHeads(t.Context(), w.ID); err != nil || len(heads) != 1 {
			t.Errorf("remembered %+v, %v, want nothing forgotten for an empty answer", heads, err)
		}
	})
}

// Another branch at a scanned commit makes the scan a shared one, as its webhook would have.
func TestMissedBranchSharesTheScan(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Engines[0])
	b.announce(t, 1)
	b.git.push(shop, branch("main", 1))
	b.pass(t, time.Second)
	b.git.push(shop, branch("twin", 1))
	b.pass(t, 2*time.Hour)
	list, err := b.store.ListScans(t.Context(), store.ScanFilter{Limit: 10})
	if err != nil || len(list) != 1 || !list[0].SharedRefs {
		t.Fatalf("scans = %+v, %v, want one that is shared", list, err)
	}
	deliveries := func() int {
		list, err := b.store.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := deliveries()
	b.pass(t, 2*time.Hour)
	if after := deliveries(); before != 2 || after != before {
		t.Errorf("%d deliveries, then %d, want 2 both times", before, after)
	}
}

func TestRenamedProjectKeepsItsMemory(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("stale", 2))
		b.pass(t, time.Second)
		b.git.push("acme/store", branch("main", 3), branch("stale", 2), branch("fresh", 4))
		b.announce(t, 3, func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name = "acme/store", "acme/store" })
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "fresh:4<none recover")
		if _, err := b.store.GetWatched(t.Context(), "github", shop); err == nil {
			t.Error("want the old name watched no more")
		}
	})
}
