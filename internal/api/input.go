package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

// checkAddress refuses paths and queries that no database can look for.
func (a *API) checkAddress(described huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		address := ctx.URL()
		if err := httpx.CheckAddress(&address); err != nil {
			_ = huma.WriteErr(described, ctx, http.StatusUnprocessableEntity, err.Error())
			return
		}
		next(ctx)
	}
}

// checkBody refuses JSON with text that decoders would replace silently, or that no database stores. Reports are read by
// another door.
func (a *API) checkBody(described huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		op := ctx.Operation()
		if op.RequestBody == nil || op.RequestBody.Content["application/json"].Schema == nil || ctx.BodyReader() == nil {
			next(ctx)
			return
		}
		_ = ctx.SetReadDeadline(time.Now().Add(op.BodyReadTimeout)) // fails in tests without a connection only
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

// ended is the end of a body, or how it broke off.
type ended struct{ err error }

// Read implements io.Reader.
func (e ended) Read([]byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	return 0, io.EOF
}
