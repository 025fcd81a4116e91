package httpx_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/httpx"
)

func TestCompress(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("the same again ", 1000)
	for name, c := range map[string]struct {
		kind, accepts, body string
		want                bool
	}{
		"a page":                 {"text/html; charset=utf-8", "gzip, br", text, true},
		"JSON":                   {"application/json", "gzip", text, true},
		"a problem":              {"application/problem+json", "gzip", text, true},
		"a short one":            {"application/json", "gzip", "{}", false},
		"an event stream":        {"text/event-stream", "gzip", text, false},
		"a patch":                {"text/plain; charset=utf-8", "gzip", text, false},
		"for who cannot read it": {"text/html", "", text, false},
		"for who refuses it":     {"text/html", "gzip;q=0", text, false},
	} {
		handler, err := httpx.Compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			_, _ = io.WriteString(w, c.body)
			if c.kind == "text/event-stream" {
				w.(http.Flusher).Flush()
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.Header.Set("Accept-Encoding", c.accepts)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		var body io.Reader = answer.Body
		if packed := answer.Header().Get("Content-Encoding") == "gzip"; packed != c.want {
			t.Errorf("%s: compressed %t", name, packed)
		} else if packed {
			if body, err = gzip.NewReader(answer.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != c.body {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
