package metrics_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/metrics"
)

func TestCallsLeft(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Build{Version: "v1"})
	if text := scrape(t, m); strings.Contains(text, "scanhook_platform_calls") {
		t.Errorf("a platform without a limit has a series:\n%s", text)
	}
	m.CallsLeft("github", 4999, 5000)
	m.CallsLeft("github", 4998, 5000)
	for _, want := range []string{`scanhook_platform_calls_left{platform="github"} 4998`, `scanhook_platform_calls_allowed{platform="github"} 5000`} {
		if text := scrape(t, m); !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	var none *metrics.Meter
	none.CallsLeft("github", 1, 2)
}
