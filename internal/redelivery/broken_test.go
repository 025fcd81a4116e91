package redelivery_test

import (
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A webhook that is called but lets no push through is as bad as one that is not called.
func TestWebhooksWithoutPushesAreBroken(t *testing.T) {
	t.Parallel()
	mute := platforms.Hook{State: platforms.HookActive, Broken: true, Faults: []string{"it does not send push events"}}
	lax := platforms.Hook{State: platforms.HookActive, Faults: []string{"it does not send pipeline events"}}
	for state, hook := range map[string]platforms.Hook{"broken": mute, "active": lax} {
		db := storetest.Open(t, store.Config{})
		if found := newHookForge(hook).round(t, db, false); found.State != state || found.Note != hook.Faults[0] {
			t.Errorf("want the state %s, got %+v", state, found)
		}
		failing, err := db.ListFailingHooks(t.Context())
		if err != nil || len(failing) != 1 || failing[0].State != state || failing[0].ArrivedUntil == nil {
			t.Errorf("%s: kept as %+v, %v", state, failing, err)
		}
	}
}
