package catchup

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A branch went there and back, and the way back was announced first: the scan of where it stands was ended for
// nothing.
func TestWhereABranchWentBackToIsScannedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		b.announce(t, 1, func(d *core.Delivery, p *core.Push) { d.Key, p.Before = "back", storetest.SHA(2) })
		b.announce(t, 2)
		wantSuperseded(t, b, map[int]string{1: "2", 2: "none"})
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:2<1 push")
		wantSuperseded(t, b, map[int]string{1: "none", 2: "none"})
		b.announce(t, 3, func(_ *core.Delivery, p *core.Push) { p.Before = storetest.SHA(1) })
		b.git.push(shop, branch("main", 3))
		b.pass(t, 2*time.Hour)
		wantSuperseded(t, b, map[int]string{1: "3", 2: "none", 3: "none"})
	})
}

// wantSuperseded compares by which commits the scans of others were ended.
func wantSuperseded(t *testing.T, b *bench, want map[int]string) {
	t.Helper()
	for n, by := range want {
		shops := store.Watched{SourcePlatform: "github", ProjectName: shop}
		scans, err := b.store.ListScansOf(t.Context(), shops, []string{storetest.SHA(n)})
		if err != nil || len(scans) != 1 || number(scans[0].SupersededBy) != by {
			t.Errorf("commit %d: %+v, %v, want one scan, superseded by %s", n, scans, err, by)
		}
	}
}
