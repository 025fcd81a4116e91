package httpx_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

// Who sends a body would lose it to a redirect; who reads is led to the address that is the right one.
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

func TestLogLeavesOutProbesAndAssets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	router := httpx.NewRouter(slog.New(slog.NewTextHandler(&log, nil)))
	for _, route := range []string{"/healthz", "/static/:file", "/sub/static/:file", "/scans/:reference"} {
		router.GET(route, func(c *gin.Context) { c.Status(http.StatusOK) })
	}
	for _, path := range []string{"/healthz", "/static/style.css", "/sub/static/live.js", "/scans/static"} {
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	if n := strings.Count(log.String(), "msg=request"); n != 1 || !strings.Contains(log.String(), "path=/scans/static") {
		t.Errorf("%d requests logged, want that of /scans/static:\n%s", n, log.String())
	}
}

// However often a call is refused, the log has it once, with what the handler says of it.
func TestLogTellsRefusalsOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	router := httpx.NewRouter(slog.New(slog.NewTextHandler(&log, nil)))
	router.POST("/hooks/:name", httpx.Handle(slog.New(slog.DiscardHandler), func(c *gin.Context) error {
		if c.Param("name") != "known" {
			return core.ErrNotFound
		}
		httpx.Refuse(c, "no signature")
		return fmt.Errorf("%w: sign it", core.ErrDenied)
	}))
	for i := range 50 {
		for _, path := range []string{"/hooks/known", fmt.Sprintf("/hooks/x%d", i), fmt.Sprintf("/%d", i), strings.Repeat("/x", 9000)} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
			router.ServeHTTP(httptest.NewRecorder(), request)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || log.Len() > 2000 {
		t.Errorf("%d lines, %d bytes:\n%s", len(lines), log.Len(), log.String())
	}
	for _, want := range []string{
		`level=WARN msg="request refused" method=POST path=/hooks/known status=401`, `error="denied: sign it" reason="no signature" client=192.0.2.1`,
		`reason="404 /hooks/:name"`, `reason="404 no route"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not said in:\n%s", want, log.String())
		}
	}
}

// Failures that are none of the caller's are told in full each time, but for those while the database is away.
func TestLogTellsOurFaults(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	router := httpx.NewRouter(logger)
	for path, err := range map[string]error{"/broken": errors.New("broken"), "/away": core.ErrUnavailable} {
		router.GET(path, httpx.Handle(logger, func(*gin.Context) error { return err }))
	}
	for range 5 {
		for _, path := range []string{"/broken", "/away"} {
			router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		}
	}
	if n := strings.Count(log.String(), "error=broken"); n != 5 {
		t.Errorf("%d faults told, want 5:\n%s", n, log.String())
	}
	if n := strings.Count(log.String(), "path=/away"); n != 1 || !strings.Contains(log.String(), "level=ERROR msg=\"request failed\"") {
		t.Errorf("the database's absence told %d times, want once:\n%s", n, log.String())
	}
}

func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	router.GET("/", func(c *gin.Context) { c.Status(http.StatusOK) })
	for _, path := range []string{"/", "/nothing"} {
		answer := httptest.NewRecorder()
		router.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		header := answer.Header()
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" || header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, header)
		}
	}
}
