package health_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/store/storetest"
)

func TestSilenceIsNoticed(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w := newFixture(t, e)
		w.callDaily(t, 30, "acme/a", "acme/b")
		w.judge(t)
		if silent := w.Silent(); len(silent) != 0 {
			t.Fatalf("silent: %+v, want none", silent)
		}
		w.callDaily(t, 8, "acme/a")
		w.judge(t)
		silent := w.Silent()
		if len(silent) != 1 || silent[0].Project != "acme/b" || silent[0].Usual != 24*time.Hour {
			t.Fatalf("silent: %+v, want acme/b", silent)
		}
		contains(t, w.Report(t.Context()),
			"warn  webhooks of github: 1 of 2 silent, the first since 2026-06-02")
		lacks(t, w.Report(t.Context()), "acme")
		expect(t, w, "scanhook_hooks_silent",
			`scanhook_hooks_silent{platform="gitea"} 0`, `scanhook_hooks_silent{platform="github"} 1`)
		expect(t, w, "scanhook_longest_hook_silence_seconds", `{platform="github"} 777600`)
		w.call(t, "acme/b")
		w.judge(t)
		if hook, heard := w.Hook("github", "acme/b"); !heard || hook.Silent || !hook.Last.Equal(w.now) {
			t.Errorf("after a call: %+v", hook)
		}
		w.now = w.now.AddDate(0, 0, 9)
		w.judge(t)
		contains(t, w.Report(t.Context()),
			"warn  webhooks of github: all silent for longer than their past explains; last call 9 days ago")
		expect(t, w, "scanhook_platform_silent", `scanhook_platform_silent{platform="github"} 1`)
	})
}
