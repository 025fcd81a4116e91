// Package httpx is what the packages that answer HTTP requests share: handlers that return errors, the one table from
// errors to status codes, problem documents (RFC 9457), request logging, and limits on what clients may occupy or
// guess. Reading order: httpx.go, log.go, throttle.go, bodies.go with transfers.go.
package httpx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

// RetryAfter is the value of the header in answers with 503, in seconds.
const RetryAfter = "10"

const clientClosed = 499 // for the log only: the client did not wait for the answer

// Problem is an error as the client gets it (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // a sentence that says what to do
}

// Status maps an error to its HTTP status. It is the only place that decides this.
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
		{core.ErrOutside, http.StatusServiceUnavailable},
		{context.Canceled, clientClosed},
	} {
		if errors.Is(err, known.sentinel) {
			return known.status
		}
	}
	return http.StatusInternalServerError
}

// ProblemOf is what clients may know of an error: the whole text of what is wrong with their request, but only the kind
// of a fault inside Scanhook, because its text could hold secrets.
func ProblemOf(err error) Problem {
	status := Status(err)
	problem := Problem{Title: http.StatusText(status), Status: status, Detail: err.Error()}
	switch {
	case errors.Is(err, core.ErrBusy), errors.Is(err, core.ErrOutside):
	case status == http.StatusServiceUnavailable:
		problem.Detail = "The database does not answer, or cannot write. Nothing was stored; send the request again later."
	case status == http.StatusInternalServerError:
		problem.Detail = "Something failed inside Scanhook. The log has the reason, beside the id in this answer's header X-Request-Id."
	}
	return problem
}

// Report records an error that is about to be answered: in the log line of the request, and in a line of its own if the
// fault is internal. It sets Retry-After where a later request may succeed.
func Report(c *gin.Context, log *slog.Logger, err error) Problem {
	problem := ProblemOf(err)
	_ = c.Error(err)
	if problem.Status == http.StatusInternalServerError {
		log.Error("request failed", "method", c.Request.Method, "path", c.Request.URL.Path, idKey, c.GetString(idKey), "error", err)
	}
	if problem.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", RetryAfter)
	}
	return problem
}

// Abort reports an error and answers with its problem document.
func Abort(c *gin.Context, log *slog.Logger, err error) {
	problem := Report(c, log, err)
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(problem.Status, problem)
}

// Handle makes a Gin handler of one that returns an error.
func Handle(log *slog.Logger, handler func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handler(c); err != nil {
			Abort(c, log, err)
		}
	}
}

// NewRouter is a Gin engine that logs requests, recovers from panics, sets the headers that every answer has, and answers
// unknown routes with a problem document. The first handlers run before all others. It trusts no proxy until
// SetTrustedProxies names some, and then believes what they append to X-Forwarded-For.
func NewRouter(log *slog.Logger, first ...gin.HandlerFunc) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.HandleMethodNotAllowed = true
	router.UseRawPath = true // an escaped slash does not end a parameter: a project's path is one
	router.RemoteIPHeaders = []string{"X-Forwarded-For"}
	_ = router.SetTrustedProxies(nil) // cannot fail; Gin's own default is to trust everybody
	router.Use(first...)
	router.Use(logRequest(log), recoverPanic(log), protect)
	router.NoRoute(unrouted(http.StatusNotFound, "There is nothing at this path. The API is described at /docs."))
	router.NoMethod(unrouted(http.StatusMethodNotAllowed, "This path does not take this method. The API is described at /docs."))
	return router
}

// protect sets the headers that keep browsers safe on what a router answers without Protect around it.
func protect(c *gin.Context) { setProtection(c.Writer.Header()) }

func unrouted(status int, detail string) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Content-Type", "application/problem+json")
		c.JSON(status, Problem{Title: http.StatusText(status), Status: status, Detail: detail})
	}
}

func recoverPanic(log *slog.Logger) gin.HandlerFunc {
	return gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, cause any) {
		log.Error("request panicked", "method", c.Request.Method, "path", c.Request.URL.Path, idKey, c.GetString(idKey), "panic", cause)
		status := http.StatusInternalServerError
		c.Header("Content-Type", "application/problem+json")
		c.AbortWithStatusJSON(status, ProblemOf(errPanicked))
	})
}

var errPanicked = errors.New("panicked")
