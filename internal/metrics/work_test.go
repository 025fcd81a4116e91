package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/metrics"
)

func TestReadLimits(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Build{Version: "v1"})
	header := http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
	}))
	defer server.Close()
	client := http.Client{Transport: m.ReadLimits("github", http.DefaultTransport)}
	call := func(pairs ...string) string {
		header = http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			header.Set(pairs[i], pairs[i+1])
		}
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return scrape(t, m)
	}
	if text := call(); strings.Contains(text, "scanhook_platform_calls") {
		t.Errorf("a platform without a limit has a series:\n%s", text)
	}
	for want, pairs := range map[string][]string{
		`scanhook_platform_calls_left{platform="github"} 4999`:    {"X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "4999", "X-RateLimit-Resource", "core"},
		`scanhook_platform_calls_allowed{platform="github"} 5000`: {"X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "4998"},
		`scanhook_platform_calls_left{platform="github"} 1999`:    {"RateLimit-Limit", "2000", "RateLimit-Remaining", "1999"},
	} {
		if text := call(pairs...); !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	before := call("RateLimit-Limit", "2000", "RateLimit-Remaining", "7")
	call("X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "29", "X-RateLimit-Resource", "search")
	call("X-RateLimit-Limit", "many", "X-RateLimit-Remaining", "few")
	if !strings.Contains(before, `calls_left{platform="github"} 7`) || !strings.Contains(scrape(t, m), `calls_left{platform="github"} 7`) {
		t.Error("another limit, or none that can be read, counts")
	}
	var none *metrics.Meter
	if got := none.ReadLimits("github", http.DefaultTransport); got != http.DefaultTransport {
		t.Error("no meter does not leave calls alone")
	}
}
