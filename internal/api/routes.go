package api

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

//go:embed docs.html
var docsHTML string

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
	router.GET("/docs", httpx.Handle(a.Log, docs(described.OpenAPI())))
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

// endpoint is one line of the page at /docs.
type endpoint struct {
	Method, Path, Summary, Description, Roles string
	Parameters                                []*huma.Param
}

// docs renders the description for people, without scripts and without files from other hosts. The page never changes, so
// it is made once.
func docs(described *huma.OpenAPI) func(*gin.Context) error {
	var page bytes.Buffer
	parsed, err := template.New("docs").Parse(docsHTML)
	if err == nil {
		err = parsed.Execute(&page, endpoints(described))
	}
	return func(c *gin.Context) error {
		if err != nil {
			return fmt.Errorf("rendering /docs: %w", err)
		}
		c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		c.Data(http.StatusOK, "text/html; charset=utf-8", page.Bytes())
		return nil
	}
}

func endpoints(described *huma.OpenAPI) []endpoint {
	var list []endpoint
	for path, item := range described.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
			http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				roles := strings.Join(op.Security[0][bearer], ", ")
				list = append(list, endpoint{method, path, op.Summary, op.Description, roles, op.Parameters})
			}
		}
	}
	sort.Slice(list, func(i, j int) bool {
		return strings.Compare(list[i].Path+list[i].Method, list[j].Path+list[j].Method) < 0
	})
	return list
}
