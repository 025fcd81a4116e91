package httpx

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	reasonKey = "reason"  // in Gin's context
	idKey     = "request" // in Gin's context, and in the log

	idHeader = "X-Request-Id"
	maxPath  = 200 // bytes of a path in the log; longer ones lead nowhere

	logEvery    = time.Minute // for each reason and client
	maxLogged   = 256         // reasons and clients that are distinguished in a minute
	otherClient = "others"    // all clients beyond those
)

// Refuse sets the reason that the log gives for the refusal of a request. The reasons must be few: see LimitedLog.
func Refuse(c *gin.Context, reason string) { c.Set(reasonKey, reason) }

// someID is an id that a client or a proxy may have given to a request.
var someID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identify gives a request the id by which the log, the answer and whoever asks about it name it: that which it came with,
// so that a proxy's log has the same one, or a new one.
func identify(c *gin.Context) string {
	id := c.GetHeader(idHeader)
	if !someID.MatchString(id) {
		id = rand.Text()
	}
	c.Set(idKey, id)
	c.Header(idHeader, id)
	return id
}

// logRequest logs each request with its id. Requests that are refused, or that fail because the database is unreachable, are logged
// once a minute for each reason and client. The path is logged without the query, which could hold secrets by mistake.
func logRequest(log *slog.Logger) gin.HandlerFunc {
	limited := NewLimitedLog(log)
	return func(c *gin.Context) {
		start, id := time.Now(), identify(c)
		c.Next()
		status, path := c.Writer.Status(), c.Request.URL.Path
		args := []any{
			"method", Method(c.Request), "path", path[:min(len(path), maxPath)], "status", status,
			"duration", time.Since(start).Round(time.Microsecond), idKey, id,
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

// reasonOf is the reason that the handler gave, or the status with the route.
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

// isAsset recognizes the files that each page loads: three lines for each page would be too many.
func isAsset(c *gin.Context) bool { return strings.HasSuffix(c.FullPath(), "/static/:file") }

// Limited is for what clients can cause as often as they like, such as refused requests, and what is told once a minute of it for each
// reason and client's network: the first is told at once, further ones are counted. Its memory is bounded. The zero value is ready.
type Limited struct {
	Every time.Duration // 0 is a minute
	Most  int           // how many reasons and networks are distinguished within Every; 0 is 256

	mu      sync.Mutex
	leftOut map[limited]int // by what was told within Every
}

// limited is what is counted by. The reasons must be few: no text of a client may be part of one.
type limited struct{ reason, network string }

// First counts, and tells whether this is the first of a reason and a client's network. Where others come within Every, rest is called at
// its end with how many there were, and again while more come. When there are too many networks, that of the others is "others".
func (l *Limited) First(reason, client string, rest func(n int, network string)) bool {
	key := limited{reason, Network(client)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.leftOut[key]; !known && len(l.leftOut) >= cmp.Or(l.Most, maxLogged) {
		key.network = otherClient
	}
	if n, known := l.leftOut[key]; known {
		l.leftOut[key] = n + 1
		return false
	}
	if l.leftOut == nil {
		l.leftOut = map[limited]int{}
	}
	l.begin(key, rest)
	return true
}

// begin counts from 0 again until the time is over.
func (l *Limited) begin(key limited, rest func(n int, network string)) {
	l.leftOut[key] = 0
	time.AfterFunc(cmp.Or(l.Every, logEvery), func() { l.end(key, rest) })
}

// end tells how many came and begins anew, or forgets the key if none did.
func (l *Limited) end(key limited, rest func(n int, network string)) {
	l.mu.Lock()
	n := l.leftOut[key]
	if n == 0 {
		delete(l.leftOut, key)
	} else {
		l.begin(key, rest)
	}
	l.mu.Unlock()
	if n > 0 {
		rest(n, key.network)
	}
}

// LimitedLog is for lines that clients can cause as often as they like: refused requests, failures while the database is
// unreachable. There is at most one line a minute for each reason and client's network; see Limited.
type LimitedLog struct {
	log *slog.Logger
	Limited
}

// NewLimitedLog writes to log.
func NewLimitedLog(log *slog.Logger) *LimitedLog { return &LimitedLog{log: log} }

// Log logs message with args, the reason and the client, unless the same was logged less than a minute ago.
func (l *LimitedLog) Log(level slog.Level, message, reason, client string, args ...any) {
	first := l.First(reason, client, func(n int, network string) {
		l.log.Log(context.Background(), level, "left out of the log", "times", n, "within", logEvery, "reason", reason, "client", network)
	})
	if first {
		l.log.Log(context.Background(), level, message, append(args, "reason", reason, "client", client)...)
	}
}
