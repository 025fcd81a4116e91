package api

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/auth/ci"
	"github.com/scanhook/scanhook/internal/httpx"
)

const bearer = "bearer"

// actOf is the key under which an operation's metadata hold what it does.
const actOf = "act"

// protect adds what every request must pass before its operation runs.
func protect(described huma.API, who authorizer) {
	who.described = described
	described.UseMiddleware(who.authorize, checkAddress(described), checkBody(described))
}

// authorizer lets a request pass if who sent it may do what the operation does, to what its path names.
type authorizer struct {
	tokens    auth.Tokens
	jobs      auth.Jobs
	throttle  *httpx.LoginThrottle
	guard     auth.Guard
	now       func() time.Time
	log       *slog.Logger
	described huma.API
}

func (a authorizer) authorize(ctx huma.Context, next func(huma.Context)) {
	actor, status, detail := a.identify(ctx)
	if status == 0 {
		ctx = huma.WithContext(ctx, context.WithValue(access.With(ctx.Context(), actor), requestKey{}, humagin.Unwrap(ctx)))
		act, _ := ctx.Operation().Metadata[actOf].(access.Act)
		err := a.guard.Admit(ctx.Context(), act, ctx.Operation().Path, ctx.Param)
		if err == nil {
			next(ctx)
			return
		}
		problem := httpx.Report(humagin.Unwrap(ctx), a.log, err)
		status, detail = problem.Status, problem.Detail
	}
	if status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="scanhook"`)
	}
	_ = huma.WriteErr(a.described, ctx, status, detail)
}

const sendToken = "Send a token from api.tokens in the header Authorization: Bearer TOKEN"

// identify finds out who sent a request, or the status and text of the answer.
func (a authorizer) identify(ctx huma.Context) (actor access.Actor, status int, detail string) {
	scheme, sent, _ := strings.Cut(ctx.Header("Authorization"), " ")
	sent = strings.TrimSpace(sent)
	token, ok := a.tokens.Find(sent)
	switch {
	case len(a.tokens) == 0 && a.jobs.Tokens == nil:
		return actor, http.StatusUnauthorized, "The API is closed: no token is configured. Set one under api.tokens."
	case !strings.EqualFold(scheme, bearer) || sent == "":
		httpx.Refuse(humagin.Unwrap(ctx), "API call without a token")
		return actor, http.StatusUnauthorized, sendToken + "."
	case !ok && a.jobs.Takes(sent):
		return a.identifyJob(ctx, sent)
	case !ok:
		status, detail = a.refuse(ctx)
		return actor, status, detail
	}
	if err := token.Check(a.now()); err != nil {
		httpx.Refuse(humagin.Unwrap(ctx), "API call with a token that has expired")
		return actor, http.StatusUnauthorized, err.Error()
	}
	return token.Actor(), 0, ""
}

// identifyJob finds out which CI job sent a request with the token of its platform.
func (a authorizer) identifyJob(ctx huma.Context, sent string) (actor access.Actor, status int, detail string) {
	actor, err := a.jobs.Find(ctx.Context(), sent)
	switch {
	case err == nil:
		return actor, 0, ""
	case errors.Is(err, core.ErrDenied):
		if wait := a.throttle.Refuse(humagin.Unwrap(ctx), "API call with a wrong token of a CI job"); wait > 0 {
			return actor, http.StatusTooManyRequests, err.Error() + "; it is like many before it from your address"
		}
		return actor, http.StatusUnauthorized, err.Error()
	}
	problem := httpx.Report(humagin.Unwrap(ctx), a.log, err)
	if errors.Is(err, ci.ErrNoKeys) {
		problem.Detail = err.Error()
	}
	return actor, problem.Status, problem.Detail
}

// refuse is the answer to a wrong token; it is delayed after many of them.
func (a authorizer) refuse(ctx huma.Context) (status int, detail string) {
	if wait := a.throttle.Refuse(humagin.Unwrap(ctx), "API call with a wrong token"); wait > 0 {
		return http.StatusTooManyRequests, sendToken + "; this one is not among them, like many before it from your address."
	}
	return http.StatusUnauthorized, sendToken + "; this one is not among them."
}

// requestKey is the key under which a request's context holds Gin's.
type requestKey struct{}

// author is the name of who sent the request.
func author(ctx context.Context) string {
	actor, _ := access.Of(ctx)
	return actor.Name
}

// checkAddress refuses paths and queries that no database can store.
func checkAddress(described huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		address := ctx.URL()
		if err := httpx.CheckAddress(&address); err != nil {
			_ = huma.WriteErr(described, ctx, http.StatusUnprocessableEntity, err.Error())
			return
		}
		next(ctx)
	}
}

// checkBody refuses JSON with text that decoders would replace silently, or that no database can store. Uploaded reports
// are not checked here.
func checkBody(described huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		op := ctx.Operation()
		if op.RequestBody == nil || op.RequestBody.Content["application/json"].Schema == nil || ctx.BodyReader() == nil {
			next(ctx)
			return
		}
		_ = ctx.SetReadDeadline(time.Now().Add(op.BodyReadTimeout)) // fails only in tests without a connection
		body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), op.MaxBodyBytes))
		if at, fault := core.JSONFault(body); fault != "" {
			_ = huma.WriteErr(described, ctx, http.StatusUnprocessableEntity,
				fmt.Sprintf("%v: the body holds %s at byte %d", core.ErrInvalid, fault, at))
			return
		}
		next(readBody{ctx, io.MultiReader(bytes.NewReader(body), ended{err})})
	}
}

// request has another name than the method Context, which would hide it.
type request = huma.Context

// readBody is a request whose body is in memory.
type readBody struct {
	request
	body io.Reader
}

// BodyReader implements huma.Context.
func (r readBody) BodyReader() io.Reader { return r.body }

// ended is the end of a body, or the error that it broke off with.
type ended struct{ err error }

// Read implements io.Reader.
func (e ended) Read([]byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	return 0, io.EOF
}
