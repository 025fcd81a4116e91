package httpx_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

// HEAD answers as GET does, without the body; what takes no GET takes no HEAD.
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
