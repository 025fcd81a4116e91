package reconcile

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestRenamedProjectKeepsItsMemory(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("stale", 2))
		b.pass(t, time.Second)
		b.git.push("acme/store", branch("main", 3), branch("stale", 2), branch("fresh", 4))
		b.announce(t, 3, func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name = "acme/store", "acme/store" })
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "fresh:4<none recover")
		if _, err := b.store.GetTrackedProject(t.Context(), "github", shop); err == nil {
			t.Error("want the old name tracked no more")
		}
	})
}

// A project that was gone at the first look is tracked once it is back, however many others have become known since.
func TestRestoredProjectIsTracked(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, b *bench) {
		own := func(d *core.Delivery, p *core.Push) { p.Project.Ref, p.Project.AsOf = "42", b.now }
		b.announce(t, 1, own)
		d, p := storetest.PushOf(2, own)
		gone := core.ProjectChange{Project: p.Project, Action: "deleted", Deleted: true}
		if _, err := b.store.Accept(t.Context(), storetest.With(d, gone)); err != nil {
			t.Fatal(err)
		}
		b.pass(t, time.Second)
		if _, err := b.store.GetTrackedProject(t.Context(), "github", shop); err == nil {
			t.Fatal("a deleted project is tracked")
		}
		b.discovery.last = 2 * overlap // others have become known
		b.announce(t, 3, own)
		b.git.push(shop, branch("main", 3))
		b.pass(t, time.Hour)
		if tracked, err := b.store.GetTrackedProject(t.Context(), "github", shop); err != nil || tracked.SyncedAt == nil {
			t.Errorf("%+v, %v: want it synced", tracked, err)
		}
	})
}
