package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// A token is tried before a commit waits for its status.
func TestCheckTriesTokens(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(3 * 24 * time.Hour)
	said := map[string]string{"github": `"Bad credentials"`, "gitlab": `"401 Unauthorized"`}
	for _, kind := range kinds {
		for name, test := range map[string]struct {
			change func(*sandbox)
			code   int
			want   string
		}{
			"right": {func(*sandbox) {}, 0, "ok    platform NAME: "},
			"wrong": {func(w *sandbox) { w.secrets["TOKEN"] = "of another platform" }, exitFailed, "answered 401, SAID: the token"},
			"too narrow": {func(w *sandbox) { w.platform.TokenIs(time.Time{}, "read_api", "gist") }, exitFailed,
				"fail  platform NAME: verifies webhooks at "},
			"ends soon": {func(w *sandbox) { w.platform.TokenIs(soon) }, 0,
				" until its token ends on " + soon.UTC().Format(time.DateOnly) + "; renew it there and set platforms.NAME.token"},
			"ends one day": {func(w *sandbox) { w.platform.TokenIs(soon.AddDate(0, 1, 0)) }, 0, "ok    platform NAME: "},
			"busy":         {func(w *sandbox) { w.platform.Fail(fakeforge.RateLimited(time.Minute)) }, 0, "rate limited for 1m0s"},
			"broken":       {func(w *sandbox) { w.platform.Fail(fakeforge.BadGateway()) }, 0, "which cannot be asked now: "},
			"away":         {func(w *sandbox) { w.platform.Fail(fakeforge.Drop()) }, 0, "let this host reach it"},
			"refused":      {func(w *sandbox) { w.platform.Fail(fakeforge.Fault{Status: http.StatusForbidden}) }, exitFailed, "answered 403"},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				w, _ := setup(t, sandboxConfig{kind: kind})
				test.change(w)
				got := command(t, "check", "--config", w.file(t))
				got.expect(t, test.code, strings.NewReplacer("NAME", kind, "SAID", said[kind]).Replace(test.want))
				got.hides(t, w.secrets["TOKEN"])
				if calls := w.platform.Calls(); len(calls) != 1 {
					t.Errorf("it asked %d times: %+v", len(calls), calls)
				}
			})
		}
	}
}
