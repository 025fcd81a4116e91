package platforms_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

// After a limit the client makes no call until the time that was asked for has passed, whoever asks it to.
func TestClientKeepsQuiet(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	client := platforms.NewClient(nil)
	get := func() (int, error) {
		response, err := client.Get(server.URL)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		return response.StatusCode, nil
	}
	began := time.Now()
	if status, err := get(); err != nil || status != http.StatusTooManyRequests {
		t.Fatalf("first call: %d, %v", status, err)
	}
	limited := new(platforms.RateLimited)
	for {
		status, err := get()
		if err == nil {
			if took := time.Since(began); status != http.StatusOK || took < time.Second {
				t.Errorf("got %d after %s, want 200 after a second", status, took)
			}
			break
		}
		if !errors.As(err, &limited) || limited.After <= 0 || limited.After > time.Second {
			t.Fatalf("within the pause: %v, want RateLimited with what is left of a second", err)
		}
		time.Sleep(limited.After)
	}
	if calls != 2 {
		t.Errorf("%d calls were made, want 2", calls)
	}
}
