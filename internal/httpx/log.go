package httpx

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	reasonKey = "reason" // in Gin's context
	maxPath   = 200      // bytes of a path in the log; longer ones lead nowhere
)

// Refuse says in the log why the request is refused. The reasons must be few: see LimitedLog.
func Refuse(c *gin.Context, reason string) { c.Set(reasonKey, reason) }

// logRequest logs each request; refused ones, and those while the database is away, once a minute for each reason and
// client. It logs the path without the query: a query can carry secrets by mistake.
func logRequest(log *slog.Logger) gin.HandlerFunc {
	limited := NewLimitedLog(log)
	return func(c *gin.Context) {
		start := time.Now()
		c.Next()
		status, path := c.Writer.Status(), c.Request.URL.Path
		args := []any{
			"method", Method(c.Request), "path", path[:min(len(path), maxPath)], "status", status,
			"duration", time.Since(start).Round(time.Microsecond),
		}
		switch {
		case status >= http.StatusBadRequest && status != http.StatusInternalServerError:
			if err := c.Errors.Last(); err != nil {
				args = append(args, "error", err.Err)
			}
			level, message := refusal(c, status)
			limited.Log(level, message, reasonOf(c, status), Client(c), args...)
		default:
			log.Log(c.Request.Context(), answeredLevel(c), "request", append(args, "client", Client(c))...)
		}
	}
}

// reasonOf is the handler's, or the status with the route.
func reasonOf(c *gin.Context, status int) string {
	return cmp.Or(c.GetString(reasonKey), fmt.Sprintf("%d %s", status, cmp.Or(c.FullPath(), "no route")))
}

func refusal(c *gin.Context, status int) (level slog.Level, message string) {
	switch {
	case status >= http.StatusInternalServerError:
		return slog.LevelError, "request failed"
	case c.GetString(reasonKey) != "":
		return slog.LevelWarn, "request refused"
	}
	return slog.LevelInfo, "request refused"
}

func answeredLevel(c *gin.Context) slog.Level {
	if slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, c.FullPath()) || isAsset(c) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// isAsset tells the files that a page brings along, which would be three lines for each page.
func isAsset(c *gin.Context) bool { return strings.HasSuffix(c.FullPath(), "/static/:file") }
