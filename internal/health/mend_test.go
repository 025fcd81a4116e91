package health_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Strangers see the lines: they count webhooks to mend, and name none.
func TestWebhooksToMendAreCounted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w := newWard(t, e)
		lacks(t, w.Lines(t.Context()), "mend")
		for owner, state := range map[string]string{"acme/a": "disabled", "acme/b": "broken", "acme/c": "active"} {
			place := store.HookPlace{SourcePlatform: "github", Scope: "project", Owner: owner}
			claimed, err := w.store.ClaimHookPlaceNow(t.Context(), place, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			next := claimed
			next.State = state
			if err := w.store.SettleHookPlace(t.Context(), claimed, next, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		w.now = w.now.Add(time.Minute)
		contains(t, w.Lines(t.Context()), "warn  broken webhooks of github: 2 to mend; scanhook check names them")
		lacks(t, w.Lines(t.Context()), "acme")
	})
}
