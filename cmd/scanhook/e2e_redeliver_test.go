package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/storetest"
)

// declared makes n commits of acme/shop that exist by word alone.
func declared(t *testing.T, w *sandbox, n int) []string {
	t.Helper()
	commits := make([]string, n)
	for i := range commits {
		commits[i] = strings.Repeat(string("0123456789abcdef"[i+1]), 40)
		if err := w.platform.Declare("acme/shop", commits[i]); err != nil {
			t.Fatal(err)
		}
	}
	return commits
}

// uploadsOnly are the repositories of tests whose commits exist by word alone: nothing is fetched of them.
func uploadsOnly(kind string) string {
	return "repositories: [{match: " + kind + "/acme/shop, scanners: []}]"
}

func announceEach(t *testing.T, w *sandbox, commits ...string) (statuses []int) {
	t.Helper()
	for _, commit := range commits {
		spec := fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/b-" + commit[:4], After: commit}
		statuses = append(statuses, announce(t, w, spec)...)
	}
	return statuses
}

// pending waits until the platform shows that a commit's scan has been opened: longer than the two minutes for which a
// process killed in the midst of a check of webhooks keeps others from it.
func pending(t *testing.T, w *sandbox, commits ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for _, sha := range commits {
		if _, err := w.platform.Wait(ctx, func(s fakeforge.Status) bool { return s.SHA == sha }); err != nil {
			t.Fatalf("no status of %s: %v", sha, err)
		}
	}
}

// What the platform could not deliver while Scanhook was down is delivered soon after it is back, and only that.
func TestRedeliveredAfterAnOutage(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for _, kind := range kinds {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				w, _ := setup(t, sandboxConfig{kind: kind, database: e.URL(t), recover: "1h", extra: uploadsOnly(kind)})
				w.release(t)
				hook := addHook(w, fakeforge.Hook{})
				commits := declared(t, w, 4)
				first := process(t, w)
				announceEach(t, w, commits[0])
				pending(t, w, commits[0])
				inTime(t, "first check of the webhook", func() bool { return checked(w) })
				if err := first.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = first.Wait()
				if statuses := announceEach(t, w, commits[1:]...); !slices.Equal(statuses, []int{0, 0, 0}) {
					t.Errorf("answered %v while down", statuses)
				}
				process(t, w)
				pending(t, w, commits...)
				checkRedeliveries(t, w, hook.ID, commits)
			})
		}
	})
}

// checked tells whether Scanhook has asked for deliveries.
func checked(w *sandbox) bool {
	return slices.ContainsFunc(w.platform.Calls(), func(c fakeforge.Call) bool {
		return strings.HasSuffix(c.Path, "/deliveries") || strings.HasSuffix(c.Path, "/events")
	})
}

// checkRedeliveries makes sure that each event has arrived once, under the key that it had.
func checkRedeliveries(t *testing.T, w *sandbox, hook int64, commits []string) {
	t.Helper()
	arrived := map[string]int{}
	var keys []string
	for _, a := range w.platform.Attempts(hook) {
		if !strings.EqualFold(strings.TrimSuffix(a.Event, " Hook"), "push") {
			continue
		}
		keys = append(keys, a.Key)
		if a.Status/100 == 2 {
			arrived[a.Key]++
		}
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != len(commits) {
		t.Errorf("%d keys for %d events", len(keys), len(commits))
	}
	for _, key := range keys {
		if arrived[key] != 1 {
			t.Errorf("%s arrived %d times", key, arrived[key])
		}
	}
	for _, call := range w.platform.Refused() {
		if strings.Contains(call.Path, "/hooks") && call.Status < http.StatusInternalServerError {
			t.Errorf("the platform refused %+v", call)
		}
	}
}

// A webhook that GitLab has disabled is revived without a person, and what failed before comes then.
func TestDisabledWebhookIsRevived(t *testing.T) {
	t.Parallel()
	w, _ := setup(t, sandboxConfig{kind: "gitlab", recover: "200ms", extra: uploadsOnly("gitlab")})
	hook := addHook(w, fakeforge.Hook{Secret: "not the configured one"})
	commits := declared(t, w, 6)
	startSandbox(t, w)
	statuses := announceEach(t, w, commits...) // after the fourth failure, a repeated event's too, events are dropped
	if arrived := len(statuses); arrived == 0 || !slices.Equal(statuses, []int{401, 401, 401, 401}[:arrived]) {
		t.Fatalf("answered %v", statuses)
	}
	arrived, dropped := commits[:len(statuses)], commits[4:]
	check := command(t, "check", "--config", w.file(t))
	check.expect(t, exitFailed, "fail  webhook gitlab/acme/shop: ", "GitLab has paused it", "answered 401")
	_ = w.platform.ChangeHook(hook.ID, func(h *fakeforge.Hook) { h.Secret, h.Failures = w.secrets["SECRET"], 40 })
	pending(t, w, arrived...)
	if kept := w.platform.Hooks()[0]; kept.Failures != 0 {
		t.Errorf("the webhook is not revived: %+v", kept)
	}
	if statuses := announceEach(t, w, dropped...); !slices.Equal(statuses, []int{202, 202}) {
		t.Errorf("answered %v after the revival", statuses)
	}
	pending(t, w, append(arrived, dropped...)...)
}

// recover asks for what is missing at once, as fast as the platform allows.
func TestRecoverAsksForDeliveries(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"github": "7 events did not arrive and are sent again",
		"gitlab": "7 events did not arrive, 5 are sent again now, the others later: ",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, _ := setup(t, sandboxConfig{kind: kind, extra: uploadsOnly(kind)})
			hook := addHook(w, fakeforge.Hook{Secret: "not the configured one"})
			commits := declared(t, w, 7)
			startSandbox(t, w)
			for _, commit := range commits { // GitLab would pause the webhook
				announceEach(t, w, commit)
				_ = w.platform.ChangeHook(hook.ID, func(h *fakeforge.Hook) { h.Failures = 0 })
			}
			_ = w.platform.ChangeHook(hook.ID, func(h *fakeforge.Hook) { h.Secret = w.secrets["SECRET"] })
			file := w.file(t)
			command(t, "recover", "--dry-run", "--config", file, "acme/shop").expect(t, 0, "project acme/shop on "+kind+
				": 7 events did not arrive")
			got := command(t, "recover", "--config", file)
			got.expect(t, 0, "webhook of project acme/shop on "+kind+": "+want)
			pending(t, w, commits[:5]...)
			for _, call := range w.platform.Refused() {
				if strings.Contains(call.Path, "/hooks") {
					t.Errorf("the platform refused %+v", call)
				}
			}
		})
	}
}
