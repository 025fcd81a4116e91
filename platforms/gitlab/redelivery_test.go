package gitlab_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/platforms"
)

func TestRedelivery(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hook  fakeforge.Hook
		place platforms.HookTarget
	}{
		"project": {fakeforge.Hook{}, ofWidgets},
		"group":   {fakeforge.Hook{Group: "acme"}, ofAcme},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, test.hook.Group == "")
			kept := f.AddHook(f.complete(test.hook))
			f.announce(t)
			f.code.Store(http.StatusServiceUnavailable)
			f.announce(t)
			hook := f.hook(t, test.place)
			missed := f.attempts(t, hook)
			lost := f.Attempts(kept.ID)[1]
			parsed, err := f.platform.Parse(lost.Header, lost.Body)
			if err != nil {
				t.Fatal(err)
			}
			want := platforms.Attempt{ID: lost.ID, Key: parsed.Key}
			if len(missed) != 1 || missed[0] != want || !strings.Contains(hook.Problem, "503") {
				t.Fatalf("missed %+v of %+v, want %+v", missed, hook, want)
			}
			if err := f.platform.Redeliver(t.Context(), hook, missed[0]); !errors.Is(err, platforms.ErrUndelivered) {
				t.Errorf("while the receiver is down: %v", err)
			}
			f.code.Store(http.StatusAccepted)
			if err := f.platform.Redeliver(t.Context(), hook, missed[0]); err != nil {
				t.Error(err)
			}
			made := f.Attempts(kept.ID)
			if last := made[len(made)-1]; last.Key != lost.Key || last.Status != http.StatusAccepted {
				t.Errorf("sent again: %+v", last)
			}
		})
	}
}

func TestAttemptsArePaged(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	f.AddHook(f.complete(fakeforge.Hook{}))
	f.code.Store(http.StatusUnauthorized)
	for range 45 {
		for f.announce(t) == 0 {
			f.turn(24 * time.Hour) // the hook is paused
			if f.Hooks()[0].Failures >= 40 {
				break
			}
		}
	}
	hook := f.hook(t, ofWidgets)
	if attempts := f.attempts(t, hook); len(attempts) != 40 {
		t.Errorf("%d attempts, want the 40 after which GitLab gives up", len(attempts))
	}
	faults := strings.Join(hook.Faults, "; ")
	told := strings.Contains(faults, "many failures") && strings.Contains(faults, "401")
	if hook.State != platforms.HookDisabled || !told {
		t.Errorf("hook: %+v", hook)
	}
}

// GitLab lets five events a minute be sent again; a sixth call would silence the whole platform for a minute.
func TestRedeliveryKeepsToGitLabsPace(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	f.AddHook(f.complete(fakeforge.Hook{}))
	f.code.Store(http.StatusServiceUnavailable)
	for range 3 {
		f.announce(t)
	}
	f.code.Store(http.StatusAccepted)
	hook := f.hook(t, ofWidgets)
	missed := f.attempts(t, hook)
	for range 5 {
		if err := f.platform.Redeliver(t.Context(), hook, missed[0]); err != nil {
			t.Fatal(err)
		}
	}
	f.turn(20 * time.Second)
	limited := new(platforms.RateLimited)
	err := f.platform.Redeliver(t.Context(), hook, missed[1])
	if !errors.As(err, &limited) || limited.After != 40*time.Second {
		t.Errorf("sixth: %v, want a pause of 40 s", err)
	}
	f.turn(limited.After)
	if err := f.platform.Redeliver(t.Context(), hook, missed[1]); err != nil {
		t.Errorf("after the pause: %v", err)
	}
	if refused := f.Refused(); len(refused) > 0 {
		t.Errorf("GitLab refused %+v", refused)
	}
}

// A disabled hook is not called; a test that succeeds revives it, one that fails does not.
func TestTestHookRevives(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	kept := f.AddHook(f.complete(fakeforge.Hook{}))
	if err := f.ChangeHook(kept.ID, func(h *fakeforge.Hook) { h.Failures = 40 }); err != nil {
		t.Fatal(err)
	}
	if code := f.announce(t); code != 0 {
		t.Errorf("a disabled hook was called: %d", code)
	}
	hook := f.hook(t, ofWidgets)
	if hook.State != platforms.HookDisabled || !hook.Broken {
		t.Fatalf("hook: %+v", hook)
	}
	f.AddRepository(sampleOf(t))
	f.code.Store(http.StatusServiceUnavailable)
	if err := f.platform.TestHook(t.Context(), hook); !errors.Is(err, platforms.ErrUndelivered) {
		t.Errorf("test while the receiver is down: %v", err)
	}
	f.code.Store(http.StatusAccepted)
	if err := f.platform.TestHook(t.Context(), hook); err != nil {
		t.Error(err)
	}
	if revived := f.hook(t, ofWidgets); revived.State != platforms.HookActive || revived.Broken || f.announce(t) != 202 {
		t.Errorf("revived: %+v", revived)
	}
}
