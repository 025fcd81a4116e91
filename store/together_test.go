package store_test

import (
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// burst is pushes that come at the same time.
type burst struct {
	deliveries []core.Delivery
	pushes     []core.Push
}

// add announces that a branch moved between two commits.
func (b *burst) add(branch string, before, after int) {
	d, p := storetest.PushOf(after, storetest.OnBranch(branch))
	d.Key, p.Before = fmt.Sprintf("%s %d-%d", branch, before, after), storetest.SHA(before)
	b.deliveries, b.pushes = append(b.deliveries, d), append(b.pushes, p)
}

func (b *burst) accept(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.AcceptTogether(b.deliveries, b.pushes); err != nil {
		t.Fatal(err)
	}
}

func scanOf(t *testing.T, s *store.Store, n int) core.Scan {
	t.Helper()
	list, err := s.ListScans(t.Context(), store.ScanFilter{CommitSHA: storetest.SHA(n), Limit: 2})
	if err != nil || len(list) != 1 {
		t.Fatalf("scans of commit %d: %+v, %v", n, list, err)
	}
	return list[0]
}

// A branch that is set back while its way there is still being announced stands at a commit that is scanned.
func TestBranchGoesThereAndBackAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		var b burst
		b.add("main", 1, 2)
		b.add("main", 2, 1)
		b.accept(t, s)
		if scan := scanOf(t, s, 1); scan.Status != core.ScanPending || scan.SupersededBy != "" {
			t.Errorf("the commit that main stands at is %s, superseded by %q", scan.Status, scan.SupersededBy)
		}
		b = burst{}
		b.add("main", 1, 3)
		b.accept(t, s)
		if scan := scanOf(t, s, 1); scan.SupersededBy != storetest.SHA(3) {
			t.Errorf("the commit that main has left is %s, superseded by %q", scan.Status, scan.SupersededBy)
		}
	})
}

// The facts that one push brings to a commit do not undo that another one points a second branch at it.
func TestFactsAndSecondBranchAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		_, err := s.AcceptCommit(t.Context(), core.Scan{
			SourcePlatform: "github", ProjectName: "acme/shop", CommitSHA: storetest.SHA(1), Branch: "main", Origin: "upload",
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		var b burst
		b.add("side", 0, 1)
		b.add("main", 0, 1)
		b.accept(t, s)
		if scan := scanOf(t, s, 1); !scan.SharedRefs {
			t.Error("nobody knows any more that side stands there")
		}
	})
}
