package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/api/docs"
	"github.com/scanhook/scanhook/internal/httpx"
)

const readyTimeout = 2 * time.Second // for the database to answer

// MountHealth mounts the two health checks, which every process has.
func (a *API) MountHealth(router gin.IRouter) {
	router.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	router.GET("/readyz", httpx.Handle(a.Log, a.ready))
}

// Register mounts the API, and its description at /openapi.json and /docs.
func (a *API) Register(router *gin.Engine) {
	described := humagin.New(router, describe(a.Version, a.PublicURL))
	protect(described, authorizer{tokens: a.Tokens, jobs: a.Jobs, throttle: a.Throttle, guard: a.guard, now: a.Store.Now, log: a.Log})
	huma.AutoRegister(described, a) // calls every method of API whose name begins with Register
	router.GET("/docs", httpx.Handle(a.Log, a.showDocs(described.OpenAPI())))
	router.GET("/docs/try.js", func(c *gin.Context) { c.Data(http.StatusOK, "text/javascript; charset=utf-8", docs.Script) })
}

// ready tells a load balancer whether webhooks can be accepted: the database answers and writes. Nothing else makes it
// fail. With ?verbose it reports on every hop, for people.
func (a *API) ready(c *gin.Context) error {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	err := a.Store.Ready(ctx)
	if _, verbose := c.GetQuery("verbose"); verbose && a.Report != nil {
		c.String(readiness(err), "%s", a.Report(ctx))
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

func describe(version, address string) huma.Config {
	cfg := huma.DefaultConfig("Scanhook", version)
	cfg.DocsPath = ""     // the default page loads scripts from elsewhere
	cfg.SchemasPath = ""  // the description has them all
	cfg.CreateHooks = nil // no $schema link in every answer
	cfg.RejectUnknownQueryParameters = true
	if address != "" {
		cfg.Servers = []*huma.Server{{URL: address}}
	}
	cfg.Info.Description = "Scans of commits, their findings, and the upload of scanners' reports. " +
		"Errors are problem documents (RFC 9457) whose detail says what to do."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {Type: "http", Scheme: "bearer", Description: "A token from api.tokens in the configuration; in CI jobs, where the " +
			"platform's ci.tokens is on, the OpenID Connect token of the job for the audience server.public_url, which brings reports for the job's commit."},
	}
	return cfg
}

// showDocs answers with the description for people. The page never changes, so it is made once.
func (a *API) showDocs(described *huma.OpenAPI) func(*gin.Context) error {
	page, err := docs.Render(described, a.PublicURL, func(op *huma.Operation) []string { return op.Security[0][bearer] })
	return func(c *gin.Context) error {
		if err != nil {
			return err
		}
		c.Header("Content-Security-Policy", docs.Policy)
		c.Data(http.StatusOK, "text/html; charset=utf-8", page)
		return nil
	}
}
