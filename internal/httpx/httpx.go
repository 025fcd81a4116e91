// Package httpx is what the HTTP rooms share: handlers that return errors, the one table from errors to answers,
// request logging, and problem documents (RFC 9457).
package httpx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

// RetryAfter is what callers are told with a 503, in seconds.
const RetryAfter = "10"

const hungUp = 499 // for the log only: the caller did not wait for the answer

// Problem is an error as its reader gets it, per RFC 9457.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // a sentence that says what to do
}

// Status maps an error to its HTTP status; the only place where that is decided.
func Status(err error) int {
	for _, known := range []struct {
		sentinel error
		status   int
	}{
		{core.ErrTooLarge, http.StatusRequestEntityTooLarge},
		{core.ErrDenied, http.StatusUnauthorized},
		{core.ErrForbidden, http.StatusForbidden},
		{core.ErrNotFound, http.StatusNotFound},
		{core.ErrGone, http.StatusGone},
		{core.ErrConflict, http.StatusConflict},
		{core.ErrInvalid, http.StatusBadRequest},
		{core.ErrUnavailable, http.StatusServiceUnavailable},
		{core.ErrBusy, http.StatusServiceUnavailable},
		{context.Canceled, hungUp},
	} {
		if errors.Is(err, known.sentinel) {
			return known.status
		}
	}
	return http.StatusInternalServerError
}

// ProblemOf is what may be told outside about an error: what is wrong with the request in full, what is wrong with us
// only in kind.
func ProblemOf(err error) Problem {
	status := Status(err)
	problem := Problem{Title: http.StatusText(status), Status: status, Detail: err.Error()}
	switch {
	case errors.Is(err, core.ErrBusy):
	case status == http.StatusServiceUnavailable:
		problem.Detail = "The database does not answer, or cannot write. Nothing was stored; send the request again later."
	case status == http.StatusInternalServerError:
		problem.Detail = "Something failed inside Scanhook. The log tells what, under this request's time and path."
	}
	return problem
}

// Abort answers with err's problem document and logs what is our own fault.
func Abort(c *gin.Context, log *slog.Logger, err error) {
	problem := ProblemOf(err)
	_ = c.Error(err) // for the line of the request
	if problem.Status == http.StatusInternalServerError {
		log.Error("request failed", "method", c.Request.Method, "path", c.Request.URL.Path, "error", err)
	}
	if problem.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", RetryAfter)
	}
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(problem.Status, problem)
}

// Handle makes a Gin handler of one that returns its error.
func Handle(log *slog.Logger, handler func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handler(c); err != nil {
			Abort(c, log, err)
		}
	}
}

// NewRouter is a Gin engine that logs requests, survives panics, sets the headers that every answer has, and answers
// unknown routes with a problem. The first handlers see every request before all others. It trusts no proxy until
// SetTrustedProxies names some, and then what they append to X-Forwarded-For.
func NewRouter(log *slog.Logger, first ...gin.HandlerFunc) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.HandleMethodNotAllowed = true
	router.UseRawPath = true // an escaped slash does not end a parameter: a project's path is one
	router.RemoteIPHeaders = []string{"X-Forwarded-For"}
	_ = router.SetTrustedProxies(nil) // nothing to go wrong; Gin's own default is everybody
	router.Use(first...)
	router.Use(logRequest(log), recoverPanic(log), protect)
	router.NoRoute(unrouted(http.StatusNotFound, "There is nothing at this path. The API is described at /docs."))
	router.NoMethod(unrouted(http.StatusMethodNotAllowed, "This path does not take this method. The API is described at /docs."))
	return router
}

// protect is for what browsers make of an answer. Handlers of what may be kept or framed say so themselves.
func protect(c *gin.Context) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("X-Frame-Options", "DENY")
	c.Header("Referrer-Policy", "same-origin")
	c.Header("Cache-Control", "no-store")
}

// DropFinalSlash takes a slash off the end of the path of every request that may have a body. The router would answer
// with a redirect, which platforms and most programs do not follow with what they have sent.
func DropFinalSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimRight(r.URL.Path, "/")
		if path == r.URL.Path || path == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		shorter := *r
		shorter.URL = new(url.URL)
		*shorter.URL = *r.URL
		shorter.URL.Path, shorter.URL.RawPath = path, strings.TrimRight(r.URL.RawPath, "/")
		next.ServeHTTP(w, &shorter)
	})
}

func unrouted(status int, detail string) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Content-Type", "application/problem+json")
		c.JSON(status, Problem{Title: http.StatusText(status), Status: status, Detail: detail})
	}
}

func recoverPanic(log *slog.Logger) gin.HandlerFunc {
	return gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, cause any) {
		log.Error("request panicked", "method", c.Request.Method, "path", c.Request.URL.Path, "panic", cause)
		status := http.StatusInternalServerError
		c.Header("Content-Type", "application/problem+json")
		c.AbortWithStatusJSON(status, ProblemOf(errPanicked))
	})
}

var errPanicked = errors.New("panicked")
