package httpx_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

// HEAD answers like GET, without the body. A path without GET has no HEAD.
func TestHeadAnswersWhereGetDoes(t *testing.T) {
	t.Parallel()
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	router.GET("/page", func(c *gin.Context) {
		c.Header("X-Method", httpx.Method(c.Request))
		c.String(http.StatusOK, "text")
	})
	router.POST("/form", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	server := httptest.NewServer(httpx.AnswerHead(router))
	t.Cleanup(server.Close)
	for path, want := range map[string]int{"/page": 200, "/form": 405, "/nothing": 404} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != want || (len(body) == 0) != (method == http.MethodHead) {
				t.Errorf("%s %s: %d with %d bytes", method, path, answer.StatusCode, len(body))
			}
			if path == "/page" && (answer.ContentLength != 4 || answer.Header.Get("X-Method") != method) {
				t.Errorf("%s %s: %v", method, path, answer.Header)
			}
		}
	}
}

// A proxy may take the base away, or leave it.
func TestAcceptBase(t *testing.T) {
	t.Parallel()
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	router.GET("/scans/:ref", func(c *gin.Context) { c.String(http.StatusOK, c.Param("ref")+" "+c.Request.URL.RawQuery) })
	router.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "first page") })
	for _, test := range []struct{ base, path, want string }{
		{"", "/scans/a?b=c", "a b=c"},
		{"/scan/hook", "/scans/a", "a "}, {"/scan/hook", "/scan/hook/scans/a%2Fb?c=d", "a/b c=d"}, {"/scan/hook", "/scan/hook/", "first page"},
		{"/scan/hook", "/scan/hooked/scans/a", ""}, {"/scan/hook", "/scan/scans/a", ""},
		{"/scans", "/scans/a", "a "}, {"/scans", "/scans/scans/a", ""}, // nobody could tell
	} {
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, nil)
		httpx.AcceptBase(httpx.Base(test.base), router, router).ServeHTTP(answer, request)
		if got := answer.Body.String(); answer.Code == http.StatusOK != (test.want != "") || test.want != "" && got != test.want {
			t.Errorf("%s below %q: %d %q, want %q", test.path, test.base, answer.Code, got, test.want)
		}
	}
}

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

// A redirect would lose the body of a request; requests without a body are redirected to the right address.
func TestFinalSlashLosesNoBody(t *testing.T) {
	t.Parallel()
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet} {
		router.Handle(method, "/things/:name", func(c *gin.Context) { c.String(http.StatusOK, c.Param("name")) })
	}
	handler := httpx.DropFinalSlash(router)
	for request, want := range map[string]string{
		"POST /things/a": "200 a", "POST /things/a/": "200 a", "POST /things/a//": "200 a", "PUT /things/a%2Fb/": "200 a/b",
		"PATCH /things/a/?x=/": "200 a", "DELETE /things/a/": "200 a", "GET /things/a": "200 a", "POST /": "404 ",
	} {
		method, path, _ := strings.Cut(request, " ")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		body := recorder.Body.String()
		if recorder.Code == http.StatusNotFound {
			body = ""
		}
		if got := fmt.Sprint(recorder.Code, " ", body); got != want {
			t.Errorf("%s: got %q, want %q", request, got, want)
		}
	}
}

// Whoever gets a part of an answer gets an error with it, however long the part is and whether or not it is compressed.
func TestBreakOff(t *testing.T) {
	t.Parallel()
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	router.GET("/:size", func(c *gin.Context) {
		size, _ := strconv.Atoi(c.Param("size"))
		c.Header("Content-Type", "application/json")
		_, _ = io.WriteString(c.Writer, strings.Repeat("x", size))
		httpx.BreakOff(c.Writer)
	})
	handler, err := httpx.Compress(httpx.AnswerHead(router))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	for _, size := range []string{"10", "5000", "5000000"} {
		for _, encoding := range []string{"identity", "gzip"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+size, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", encoding)
			answer, err := http.DefaultClient.Do(request)
			if err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			if err == nil {
				t.Errorf("%s bytes, %s: taken for a whole answer", size, encoding)
			}
		}
	}
}
