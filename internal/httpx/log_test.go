package httpx_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

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
