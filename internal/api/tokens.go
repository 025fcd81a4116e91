package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/scanhook/scanhook/internal/httpx"
)

const (
	bearer       = "bearer"
	readyTimeout = 2 * time.Second
)

// Role is what the bearer of a token may do. Each includes the ones before it.
type Role string

// The roles.
const (
	Viewer  Role = "viewer"  // read
	Scanner Role = "scanner" // and deliver reports, ask for scans
	Admin   Role = "admin"   // and delete
)

var rank = map[Role]int{Viewer: 1, Scanner: 2, Admin: 3}

// Token opens the API.
type Token struct {
	Name  string
	Token string
	Role  Role
}

// tokens holds hashes, so that comparing takes the same time whatever was sent.
type tokens []struct {
	hash [sha256.Size]byte
	name string
	role Role
}

func hashTokens(list []Token) tokens {
	hashed := make(tokens, len(list))
	for i, t := range list {
		hashed[i].hash, hashed[i].name, hashed[i].role = sha256.Sum256([]byte(t.Token)), t.Name, t.Role
	}
	return hashed
}

// find gives the name and role of a token, or neither. Every known token is compared.
func (t tokens) find(token string) (name string, role Role) {
	hash := sha256.Sum256([]byte(token))
	for _, known := range t {
		if subtle.ConstantTimeCompare(hash[:], known.hash[:]) == 1 {
			name, role = known.name, known.role
		}
	}
	return name, role
}

// authorize lets an operation run when the request's token has the role that the operation names.
func (a *API) authorize(described huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		name, status, detail := a.admits(ctx)
		if status == 0 {
			ctx = huma.WithValue(ctx, requestKey{}, humagin.Unwrap(ctx))
			next(huma.WithValue(ctx, bearerName{}, name))
			return
		}
		if status == http.StatusUnauthorized {
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="scanhook"`)
		}
		_ = huma.WriteErr(described, ctx, status, detail)
	}
}

const sendToken = "Send a token from api.tokens in the header Authorization: Bearer TOKEN"

// refuseToken is the answer to a wrong token; it takes a while after many of them.
func (a *API) refuseToken(ctx huma.Context) (name string, status int, detail string) {
	request := humagin.Unwrap(ctx)
	httpx.Refuse(request, "API call with a wrong token")
	wait := a.Guesses.Wrong(ctx.Context(), httpx.Client(request))
	if wait == 0 {
		return "", http.StatusUnauthorized, sendToken + "; this one is none of them."
	}
	ctx.SetHeader("Retry-After", strconv.Itoa(int(wait.Seconds())))
	return "", http.StatusTooManyRequests, sendToken + "; this one is none of them, like many before it from your address."
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

// admits names the bearer of a request that may pass; the status is the answer to one that may not.
func (a *API) admits(ctx huma.Context) (name string, status int, detail string) {
	needed := Role(ctx.Operation().Security[0][bearer][0])
	scheme, token, _ := strings.Cut(ctx.Header("Authorization"), " ")
	token = strings.TrimSpace(token)
	switch name, role := a.tokens.find(token); {
	case len(a.tokens) == 0:
		return "", http.StatusUnauthorized, "The API is closed: no token is configured. Set one under api.tokens."
	case !strings.EqualFold(scheme, bearer) || token == "":
		httpx.Refuse(humagin.Unwrap(ctx), "API call without a token")
		return "", http.StatusUnauthorized, sendToken + "."
	case role == "":
		return a.refuseToken(ctx)
	case rank[role] < rank[needed]:
		httpx.Refuse(humagin.Unwrap(ctx), "API call with a token of a lower role")
		return "", http.StatusForbidden, fmt.Sprintf("This needs a token with the role %s; yours has the role %s.", needed, role)
	default:
		return name, 0, ""
	}
}
