package reconcile

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestFirstSyncScansOnlyTheDefaultBranch(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
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
			t.Errorf("%d scans after another sync, want the same 3", got)
		}
	})
}

// The first sync does not forget what webhooks announced before.
func TestFirstSyncKnowsTheScans(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.announce(t, 2, storetest.OnBranch("side"))
		b.git.push(shop, branch("main", 3), branch("side", 4), branch("stale", 5))
		b.pass(t, time.Second)
		wantScans(t, b, "main:1<0 push", "side:2<1 push", "main:3<1 recover", "side:4<2 recover")
	})
}

func TestAnnouncedPushesAreNotMissed(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
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

// The push before the missed one is known by its webhook, though no sync has seen it.
func TestBeforeIsTheNewestKnown(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
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

func TestUnwantedAndGoneRefs(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.Policies[0].Policy.Branches = []string{"main", "release/**"}
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("release/1", 2))
		b.pass(t, time.Second)
		b.git.push(shop, branch("feature", 3), branch("release/2", 4), core.Ref{Name: "refs/tags/v1", SHA: storetest.SHA(5)})
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "release/2:4<none recover")
		b.git.cut(shop, 1)
		b.pass(t, 2*time.Hour)
		if heads, err := b.store.ListRefs(t.Context(), "github", shop, "", 9); err != nil || len(heads) != 1 {
			t.Errorf("remembered %+v, %v, want main alone", heads, err)
		}
		b.git.cut(shop, 0)
		b.pass(t, 2*time.Hour)
		if heads, err := b.store.ListRefs(t.Context(), "github", shop, "", 9); err != nil || len(heads) != 1 {
			t.Errorf("remembered %+v, %v, want nothing forgotten for an empty answer", heads, err)
		}
	})
}

// Another branch at a scanned commit makes the scan a shared one, as its webhook would have.
func TestMissedBranchSharesTheScan(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite)
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

// No webhook has announced the new name yet.
func TestMovedProjectIsFollowed(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("stale", 2))
		b.pass(t, time.Second)
		b.announce(t, 3)
		b.git.push(shop, branch("main", 3), branch("fresh", 4))
		b.git.rename(shop, "acme/store")
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "fresh:4<none recover")
		if _, err := b.store.GetTrackedProject(t.Context(), "github", "acme/store"); err != nil {
			t.Errorf("new name: %v", err)
		}
		scan, err := b.store.GetLastScan(t.Context(), "github", "acme/store")
		if err != nil || scan.CommitSHA != storetest.SHA(4) {
			t.Errorf("scan under the new name: %+v, %v", scan, err)
		}
		b.git.push("acme/store", branch("main", 5))
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "fresh:4<none recover", "main:5<3 recover")
	})
}

func TestMovedElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]string{
		"not configured": "other/store", "no project": "acme/../x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, storetest.SQLite)
			b.git.rename(shop, to)
			result, err := b.syncNow(t.Context(), theShop, SyncOrder{DryRun: true})
			if err != nil || result.Err == nil {
				t.Errorf("%+v, %v, want the project's error", result, err)
			}
		})
	}
}

// A webhook that is accepted while the server answers must not be taken for the past.
func TestWebhookOvertakesTheAnswer(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		b.git.push(shop, branch("main", 2))
		b.git.meanwhile = func() {
			d, p := storetest.PushOf(3)
			if _, err := b.store.Accept(context.Background(), storetest.With(d, p)); err != nil {
				t.Error(err)
			}
		}
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "main:2<1 recover")
		list, err := b.store.ListScans(t.Context(), store.ScanFilter{CommitSHA: storetest.SHA(3), Limit: 1})
		if err != nil || list[0].SupersededBy != "" {
			t.Errorf("%+v, %v, want the newest commit scanned", list, err)
		}
	})
}

// Many heads: what is beyond the limit is opened by the next sync.
func TestSyncOpensABoundedNumber(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite)
	const most = 20
	b.maxOpened = most
	b.announce(t, 1)
	b.git.push(shop, branch("main", 1))
	b.pass(t, time.Second)
	var many []core.Ref
	for n := range most + 7 {
		many = append(many, core.Ref{Name: "refs/heads/" + storetest.SHA(n), SHA: storetest.SHA(n + 2000)})
	}
	b.git.push(shop, many...)
	count := func() int {
		list, err := b.store.ListScans(t.Context(), store.ScanFilter{Limit: 5000})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	b.pass(t, 2*time.Hour)
	if got := count(); got != 1+most || !strings.Contains(b.log.String(), "left_for_the_next_sync=7") {
		t.Errorf("%d scans, want %d; log:\n%s", got, 1+most, b.log.String())
	}
	b.pass(t, 2*time.Minute)
	if got := count(); got != 1+most+7 {
		t.Errorf("%d scans, want %d", got, 1+most+7)
	}
}

// A branch went there and back, and the way back was announced first: what stands there is scanned.
func TestBranchThatWentThereAndBack(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		b.announce(t, 1, func(d *core.Delivery, p *core.Push) { d.Key, p.Before = "back", storetest.SHA(2) })
		b.announce(t, 2)
		wantSuperseded(t, b, map[int]string{1: "none", 2: "1"})
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:2<1 push")
		wantSuperseded(t, b, map[int]string{1: "none", 2: "1"})
		b.announce(t, 3, func(_ *core.Delivery, p *core.Push) { p.Before = storetest.SHA(1) })
		b.git.push(shop, branch("main", 3))
		b.pass(t, 2*time.Hour)
		wantSuperseded(t, b, map[int]string{1: "3", 2: "1", 3: "none"})
	})
}

// A branch of which no webhook told stands at a commit of main, which moves on before the commit is scanned: it is scanned then
// for the branch.
func TestSupersededWhereAnotherBranchStands(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("twin", 1))
		b.pass(t, time.Second)
		b.announce(t, 2)
		b.git.push(shop, branch("main", 2))
		wantSuperseded(t, b, map[int]string{1: "2"})
		b.pass(t, 2*time.Hour)
		wantSuperseded(t, b, map[int]string{1: "none", 2: "none"})
		wantScans(t, b, "main:1<0 push", "main:2<1 push")
	})
}

// A branch that is made anew at a commit is missed anew: its scan may have been removed meanwhile.
func TestMissedOnceMore(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		b.git.push(shop, branch("twin", 5))
		b.pass(t, 2*time.Hour)
		b.git.cut(shop, 1)
		b.pass(t, 2*time.Hour)
		scan, err := b.store.GetLastScan(t.Context(), "github", shop)
		if err == nil {
			err = b.store.DeleteScan(t.Context(), scan.ReferenceID, "ada")
		}
		if err != nil {
			t.Fatal(err)
		}
		b.git.push(shop, branch("twin", 5))
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "twin:5<none recover")
	})
}

// A push that does not begin where its branch stands has the platform asked within seconds, not with the next regular sync.
func TestPlatformIsAskedWhereABranchStands(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("side", 7))
		b.pass(t, time.Second)
		stands := func(when string, want string) {
			t.Helper()
			var got []string
			refs, err := b.store.ListRefs(t.Context(), "github", shop, "", 9)
			for _, ref := range refs {
				got = append(got, ref.Short()+":"+number(ref.SHA))
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s: %v, %v, want %s", when, got, err, want)
			}
		}
		b.git.push(shop, branch("main", 4))
		b.announce(t, 4) // onto 3, whose push is lost
		stands("before the question", "main:1 side:7")
		asked := b.git.asked
		b.pass(t, 5*time.Second)
		b.pass(t, 15*time.Second)
		stands("after the answer", "main:4 side:7")
		b.announce(t, 2) // late
		b.announce(t, 3)
		stands("after late pushes", "main:4 side:7")
		b.pass(t, 20*time.Second)
		b.pass(t, 20*time.Second)
		stands("after the next answer", "main:4 side:7")
		if b.git.asked != asked+2 {
			t.Errorf("asked %d times, want twice", b.git.asked-asked)
		}
		b.git.cut(shop, 1)
		b.pass(t, 2*time.Hour)
		stands("after a branch is gone", "main:4")
	})
}
