package platforms_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

// Calls that nobody waits for leave half of the allowance to the others.
func TestIdleCallsAreLeftOutWhenCallsAreScarce(t *testing.T) {
	t.Parallel()
	remaining := 60
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10))
	}))
	defer server.Close()
	client := platforms.NewClient(nil)
	get := func(idle bool) error {
		ctx := t.Context()
		if idle {
			ctx = platforms.Idle(ctx)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := errors.Join(get(false), get(true)); err != nil {
		t.Fatalf("with enough left: %v", err)
	}
	remaining = 49
	if err := get(false); err != nil {
		t.Fatal(err)
	}
	limited := new(platforms.RateLimited)
	if err := get(true); !errors.As(err, &limited) || limited.After > time.Minute {
		t.Errorf("an idle call with little left: %v", err)
	}
	if err := get(false); err != nil {
		t.Errorf("another call with little left: %v", err)
	}
}
