// Package api is the JSON API under /api/v1: reading scans and findings, and the door through which scanners deliver
// their reports from outside. It is written code first: /openapi.json and /docs are made from the same types that
// answer.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Config holds what the API needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set // which commits may be named for
	Tokens    []Token
	Limits    reports.Limits // of uploaded reports; zero fields are ours
	Version   string
	Hops      func(context.Context) string // how every hop is, for /readyz?verbose; nil where nobody knows
	Guesses   *httpx.Guesses               // shared with the pages; nil: its own
	Log       *slog.Logger
}

// API answers under /api/v1.
type API struct {
	Config
	tokens  tokens
	uploads *httpx.Bodies
}

// New returns the API; Register makes it reachable.
func New(cfg Config) *API {
	if cfg.Guesses == nil {
		cfg.Guesses = httpx.NewGuesses()
	}
	return &API{Config: cfg, tokens: hashTokens(cfg.Tokens), uploads: newUploads()}
}

// Register mounts the API, its description at /openapi.json and /docs, and the two health checks.
func (a *API) Register(router *gin.Engine) {
	router.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	router.GET("/readyz", httpx.Handle(a.Log, a.ready))

	described := humagin.New(router, describe(a.Version))
	described.UseMiddleware(a.authorize(described), a.checkAddress(described), a.checkBody(described))
	for _, operations := range []func(huma.API){
		a.scanOperations, a.findingOperations, a.triageOperations, a.uploadOperations, a.epssOperations, a.exportOperations,
		a.metricOperations, a.auditOperations, a.explainOperations,
	} {
		operations(described)
	}
	router.GET("/docs", httpx.Handle(a.Log, docs(described.OpenAPI())))
}

// ready tells a load balancer whether webhooks can be accepted: the database answers and writes. Nothing else makes it
// fail; people are told of every hop with ?verbose.
func (a *API) ready(c *gin.Context) error {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	err := a.Store.Ready(ctx)
	if _, verbose := c.GetQuery("verbose"); verbose && a.Hops != nil {
		c.String(readiness(err), "%s", a.Hops(ctx))
		return nil
	}
	if err != nil {
		return err
	}
	c.String(http.StatusOK, "ready\n")
	return nil
}

func readiness(err error) int {
	if err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func describe(version string) huma.Config {
	cfg := huma.DefaultConfig("Scanhook", version)
	cfg.DocsPath = ""     // the default page loads scripts from elsewhere
	cfg.SchemasPath = ""  // the description has them all
	cfg.CreateHooks = nil // no $schema link in every answer
	cfg.RejectUnknownQueryParameters = true
	cfg.Info.Description = "Scans of commits, their findings, and the door for scanners' reports. " +
		"Errors are problem documents (RFC 9457) whose detail says what to do."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {Type: "http", Scheme: "bearer", Description: "A token from api.tokens in the configuration."},
	}
	return cfg
}

// operation describes one endpoint that takes a role.
func operation(role Role, method, path, id, summary string) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary,
		Security: []map[string][]string{{bearer: {string(role)}}},
		Errors: []int{
			http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable,
		},
	}
	if strings.Contains(path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	return op
}

// problem turns an error into the answer of an operation. Input that is well delivered but means nothing is 422 here.
func (a *API) problem(ctx context.Context, err error) error {
	problem := httpx.ProblemOf(err)
	switch {
	case problem.Status == http.StatusBadRequest:
		problem.Status = http.StatusUnprocessableEntity
	case problem.Status == http.StatusInternalServerError:
		a.Log.ErrorContext(ctx, "request failed", "error", err)
	}
	if request, ok := ctx.Value(requestKey{}).(*gin.Context); ok {
		_ = request.Error(err) // for the line of the request
	}
	answer := huma.NewError(problem.Status, problem.Detail)
	if problem.Status == http.StatusServiceUnavailable {
		return huma.ErrorWithHeaders(answer, http.Header{"Retry-After": {httpx.RetryAfter}})
	}
	return answer
}
