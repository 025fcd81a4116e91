package api

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

const bearer = "bearer"

// guard adds what every request must pass before its operation runs.
func guard(described huma.API, tokens httpx.Tokens, throttle *httpx.LoginThrottle) {
	authorizer := authorizer{tokens, throttle, described}
	described.UseMiddleware(authorizer.authorize, checkAddress(described), checkBody(described))
}

// authorizer lets a request pass if its token has the role of the operation.
type authorizer struct {
	tokens    httpx.Tokens
	throttle  *httpx.LoginThrottle
	described huma.API
}

func (a authorizer) authorize(ctx huma.Context, next func(huma.Context)) {
	name, status, detail := a.check(ctx)
	if status == 0 {
		ctx = huma.WithValue(ctx, requestKey{}, humagin.Unwrap(ctx))
		next(huma.WithValue(ctx, bearerName{}, name))
		return
	}
	if status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="scanhook"`)
	}
	_ = huma.WriteErr(a.described, ctx, status, detail)
}

const sendToken = "Send a token from api.tokens in the header Authorization: Bearer TOKEN"

// check returns the name of the token of a request that may pass, or the status and text of the answer.
func (a authorizer) check(ctx huma.Context) (name string, status int, detail string) {
	needed := httpx.Role(ctx.Operation().Security[0][bearer][0])
	scheme, sent, _ := strings.Cut(ctx.Header("Authorization"), " ")
	sent = strings.TrimSpace(sent)
	switch token, ok := a.tokens.Find(sent); {
	case len(a.tokens) == 0:
		return "", http.StatusUnauthorized, "The API is closed: no token is configured. Set one under api.tokens."
	case !strings.EqualFold(scheme, bearer) || sent == "":
		httpx.Refuse(humagin.Unwrap(ctx), "API call without a token")
		return "", http.StatusUnauthorized, sendToken + "."
	case !ok:
		return a.refuse(ctx)
	case !token.Role.Includes(needed):
		httpx.Refuse(humagin.Unwrap(ctx), "API call with a token of a lower role")
		return "", http.StatusForbidden,
			fmt.Sprintf("This needs a token with the role %s; yours has the role %s.", needed, token.Role)
	default:
		return token.Name, 0, ""
	}
}

// refuse is the answer to a wrong token; it is delayed after many of them.
func (a authorizer) refuse(ctx huma.Context) (name string, status int, detail string) {
	if wait := a.throttle.Refuse(humagin.Unwrap(ctx), "API call with a wrong token"); wait > 0 {
		return "", http.StatusTooManyRequests, sendToken + "; this one is not among them, like many before it from your address."
	}
	return "", http.StatusUnauthorized, sendToken + "; this one is not among them."
}

// requestKey is the key under which a request's context holds Gin's.
type requestKey struct{}

// bearerName is the key under which a request's context holds the name of its token.
type bearerName struct{}

// author is the name of the token with which the request came.
func author(ctx context.Context) string {
	name, _ := ctx.Value(bearerName{}).(string)
	return name
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
