package reconcile

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

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
		if _, err := b.store.GetTrackedProject(t.Context(), "github", shop); err == nil {
			t.Error("want the old name tracked no more")
		}
	})
}
