package check

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckComparesClocks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead   time.Duration
		verdict Verdict
		says    string
	}{
		"agrees":     {0, OK, "agrees with this host's"},
		"is behind":  {time.Minute, Warn, "behind its; synchronise it (NTP)"},
		"is ahead":   {-time.Minute, Warn, "ahead of its; synchronise it (NTP)"},
		"is useless": {time.Hour, Fail, "behind its; synchronise it (NTP): signed webhooks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(test.ahead).UTC().Format(http.TimeFormat))
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(http.StatusFound)
			}))
			t.Cleanup(server.Close)
			got := platformClock(t.Context(), "github", server.URL)
			if got.Verdict != test.verdict || got.Subject != "clock of github" || !strings.Contains(got.Text, test.says) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCheckSaysThatAClockCannotBeAsked(t *testing.T) {
	t.Parallel()
	got := platformClock(t.Context(), "github", "http://127.0.0.1:1")
	if got.Verdict != Warn || !strings.Contains(got.Text, "let this host reach it") {
		t.Errorf("got %+v", got)
	}
}
