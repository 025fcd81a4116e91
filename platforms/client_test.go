package platforms_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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

func TestExcerptHidesTheSecret(t *testing.T) {
	t.Parallel()
	got := platforms.Excerpt("no\x1b[31m token-1 "+strings.Repeat("x", 5000), "token-1")
	if strings.Contains(got, "token-1") || strings.ContainsRune(got, '\x1b') || len(got) > 200 {
		t.Errorf("want a short printable text without the token, got %q", got)
	}
}
