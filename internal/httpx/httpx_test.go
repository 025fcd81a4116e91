package httpx_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

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
