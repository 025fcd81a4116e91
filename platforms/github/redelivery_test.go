package github_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/platforms"
)

func TestRedelivery(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, true)
	var code atomic.Int32
	code.Store(503)
	address := receiverOf(t, &code)
	server.AddHook(complete(fakeforge.Hook{URL: address, Events: []string{"*"}}))
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	made, err := server.Announce(t.Context(), pushOf(sha))
	if err != nil || len(made) != 1 || made[0].Status != 503 {
		t.Fatalf("announced %+v, %v", made, err)
	}
	hooks, err := platform.Hooks(t.Context(), ofWidgets, address)
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.TestHook(t.Context(), hooks[0]); err != nil { // a ping, which Scanhook does not miss
		t.Fatal(err)
	}
	missed := attemptsOf(t, platform, hooks[0], noon.Add(-time.Hour))
	parsed, err := platform.Parse(made[0].Header, made[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	want := platforms.Attempt{ID: made[0].ID, Key: parsed.Key, At: noon}
	if len(missed) != 1 || missed[0] != want {
		t.Fatalf("missed %+v, want %+v", missed, want)
	}
	code.Store(202)
	if err := platform.Redeliver(t.Context(), hooks[0], missed[0]); err != nil {
		t.Fatal(err)
	}
	after := attemptsOf(t, platform, hooks[0], noon.Add(-time.Hour))
	if len(after) != 2 || after[0].Key != want.Key || !after[0].Delivered || after[0].ID == want.ID {
		t.Errorf("after the redelivery: %+v", after)
	}
	if later := attemptsOf(t, platform, hooks[0], noon.Add(time.Second)); len(later) != 0 {
		t.Errorf("attempts of the future: %+v", later)
	}
}

func TestAttemptsArePaged(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, true)
	var code atomic.Int32
	code.Store(500)
	address := receiverOf(t, &code)
	server.AddHook(complete(fakeforge.Hook{URL: address}))
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	const pushes = 230
	for range pushes {
		if _, err := server.Announce(t.Context(), pushOf(sha)); err != nil {
			t.Fatal(err)
		}
	}
	hooks, err := platform.Hooks(t.Context(), ofWidgets, address)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, attempt := range attemptsOf(t, platform, hooks[0], noon.Add(-time.Hour)) {
		keys[attempt.Key] = true
	}
	if len(keys) != pushes {
		t.Errorf("%d of %d deliveries were seen", len(keys), pushes)
	}
}

func TestRedeliveryOfOrganisations(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, false)
	var code atomic.Int32
	code.Store(503)
	address := receiverOf(t, &code)
	server.AddHook(fakeforge.Hook{Group: "acme", URL: address, Secret: "x", Events: []string{"push", "workflow_run", "status"}})
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	made, err := server.Announce(t.Context(), pushOf(sha))
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := platform.Hooks(t.Context(), platforms.HookTarget{Scope: platforms.ScopeGroup, Owner: "acme"}, address)
	if err != nil || len(hooks) != 1 {
		t.Fatal(hooks, err)
	}
	missed := attemptsOf(t, platform, hooks[0], time.Time{})
	parsed, err := platform.Parse(made[0].Header, made[0].Body)
	if err != nil || len(missed) != 1 || missed[0].Key != parsed.Key {
		t.Fatalf("missed %+v, want %s, %v", missed, parsed.Key, err)
	}
	if err := platform.Redeliver(t.Context(), hooks[0], missed[0]); err != nil {
		t.Error(err)
	}
	if err := platform.RepairHook(t.Context(), hooks[0], address); err != nil {
		t.Error(err)
	}
}
