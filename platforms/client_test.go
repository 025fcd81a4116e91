package platforms_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

func TestClientReadsAnswersWithinBounds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", 17<<20)))
	}))
	defer server.Close()
	response, err := platforms.NewClient(nil).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || len(body) != 16<<20 {
		t.Errorf("want 16 MiB, got %d bytes, %v", len(body), err)
	}
}

func TestClientKeepsTokensAtHome(t *testing.T) {
	t.Parallel()
	visited := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/moved":
			http.Redirect(w, r, "/found", http.StatusMovedPermanently)
		case "/renamed":
			http.Redirect(w, r, "/found", http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	for path, want := range map[string]int{"/elsewhere": 307, "/moved": 301, "/renamed": 200, "/loop": 307} {
		response, err := platforms.NewClient(nil).Post(server.URL+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: want %d, got %d", path, want, response.StatusCode)
		}
	}
	if visited {
		t.Error("want no call to another host")
	}
}

func TestLimited(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	github := map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772366430"}
	late := map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772373620", "Date": "Sun, 01 Mar 2026 14:00:00 GMT"}
	gitlab := map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1772366430"}
	tests := map[string]struct {
		code   int
		header map[string]string
		want   time.Duration // 0 is no limit
	}{
		"seconds":               {429, map[string]string{"Retry-After": "7"}, 7 * time.Second},
		"seconds before reset":  {403, map[string]string{"Retry-After": "7", "X-RateLimit-Remaining": "0"}, 7 * time.Second},
		"date":                  {429, map[string]string{"Retry-After": "Sun, 01 Mar 2026 12:00:09 GMT"}, 9 * time.Second},
		"date gone by":          {429, map[string]string{"Retry-After": "Sun, 01 Mar 2020 12:00:00 GMT"}, time.Second},
		"nonsense":              {429, map[string]string{"Retry-After": "-5"}, time.Minute},
		"github":                {403, github, 30 * time.Second},
		"gitlab":                {429, gitlab, 30 * time.Second},
		"our clock is late":     {403, late, 20 * time.Second},
		"reset is not told":     {403, map[string]string{"X-RateLimit-Remaining": "0"}, time.Minute},
		"a century":             {429, map[string]string{"Retry-After": "2000000000"}, time.Hour},
		"refusal with reserves": {403, map[string]string{"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "1772366430"}, 0},
		"success with none":     {200, github, 0},
		"server error":          {503, map[string]string{"Retry-After": "7"}, 0},
	}
	for name, test := range tests {
		header := make(http.Header)
		for key, value := range test.header {
			header.Set(key, value)
		}
		wait, limited := platforms.Limited(&http.Response{StatusCode: test.code, Header: header}, now)
		if limited != (test.want > 0) || limited && wait != test.want {
			t.Errorf("%s: want %s, got %s, %t", name, test.want, wait, limited)
		}
	}
}

func TestExcerptHidesTheSecret(t *testing.T) {
	t.Parallel()
	got := platforms.Excerpt("no\x1b[31m token-1 "+strings.Repeat("x", 5000), "token-1")
	if strings.Contains(got, "token-1") || strings.ContainsRune(got, '\x1b') || len(got) > 200 {
		t.Errorf("want a short printable text without the token, got %q", got)
	}
}
