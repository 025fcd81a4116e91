// Package api is the JSON API under /api/v1: it shows scans and findings, and takes uploaded reports. It is written code
// first: /openapi.json and /docs are generated from the types of the answers. Reading order: api.go, routes.go (every
// operation), requests.go (who may call), then a resource.
package api

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Config holds what the API needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set // for whose commits scans can be created
	Tokens    auth.Tokens
	Jobs      auth.Jobs
	Limits    reports.Limits // of uploaded reports; zero fields have defaults
	Evidence  Evidence       // of git, for uploaded reports; nil for none
	Version   string
	PublicURL string                       // where programs reach Scanhook; empty where unknown
	Report    func(context.Context) string // the state of every hop, for /readyz?verbose; nil where unknown
	Throttle  *httpx.LoginThrottle         // shared with the pages; nil: its own
	Log       *slog.Logger
}

// API answers under /api/v1.
type API struct {
	Config
	guard   auth.Guard
	uploads *httpx.Bodies // that are being read; RegisterUploads sets its limits
}

// New returns the API; Register makes it reachable.
func New(cfg Config) *API {
	if cfg.Throttle == nil {
		cfg.Throttle = httpx.NewLoginThrottle()
	}
	return &API{Config: cfg, guard: auth.Guard{Store: cfg.Store}}
}

// operation describes one endpoint that does an act. Its security names the roles that may do it.
func operation(act access.Act, method, path, id, summary string) huma.Operation {
	var roles []string
	for _, role := range access.RolesFor(act) {
		roles = append(roles, string(role))
	}
	op := huma.Operation{
		OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary,
		Security: []map[string][]string{{bearer: roles}}, Metadata: map[string]any{actOf: act},
		Errors: []int{
			http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable,
		},
	}
	if strings.Contains(path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	return op
}

// naming is an input whose body or query names what the operation is about. What the path names is admitted before the input is
// read.
type naming interface {
	names() (store.Object, string) // the string is a scanner, or empty
}

// register adds an operation. Its handler returns plain errors; this is where they become answers.
func register[I, O any](a *API, api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	act, _ := op.Metadata[actOf].(access.Act)
	huma.Register(api, op, func(ctx context.Context, in *I) (out *O, err error) {
		if named, does := any(in).(naming); does {
			object, scanner := named.names()
			err = a.guard.AdmitTo(ctx, access.Wish{Act: act, Scanner: scanner}, object)
		}
		if err == nil {
			out, err = handler(ctx, in)
		}
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// problem turns an error into the answer of an operation. Well-formed input that makes no sense is 422 here.
func (a *API) problem(ctx context.Context, err error) error {
	request := ctx.Value(requestKey{}).(*gin.Context)
	problem := httpx.Report(request, a.Log, err)
	if problem.Status == http.StatusBadRequest {
		problem.Status = http.StatusUnprocessableEntity
	}
	return huma.NewError(problem.Status, problem.Detail)
}

// ProjectPath is part of the input of every operation on one project.
type ProjectPath struct {
	Platform string `path:"platform" maxLength:"200" example:"github"`
	Project  string `path:"project" maxLength:"500" doc:"full path as one segment, with %2F for /" example:"acme%2Fshop"`
}

// text is a string column that can be null, as JSON has it.
func text[T ~string](value *T) *string {
	if value == nil {
		return nil
	}
	s := string(*value)
	return &s
}

// present is nil for a value that is missing.
func present[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func views[T, V any](list []T, view func(T) V) []V {
	out := make([]V, len(list))
	for i, item := range list {
		out[i] = view(item)
	}
	return out
}
