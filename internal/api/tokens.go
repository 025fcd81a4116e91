package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
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
	role Role
}

func hashTokens(list []Token) tokens {
	hashed := make(tokens, len(list))
	for i, t := range list {
		hashed[i].hash, hashed[i].role = sha256.Sum256([]byte(t.Token)), t.Role
	}
	return hashed
}

// roleOf is the role of a token, or empty. Every known token is compared.
func (t tokens) roleOf(token string) (role Role) {
	hash := sha256.Sum256([]byte(token))
	for _, known := range t {
		if subtle.ConstantTimeCompare(hash[:], known.hash[:]) == 1 {
			role = known.role
		}
	}
	return role
}

// authorize lets an operation run when the request's token has the role that the operation names.
func (a *API) authorize(described huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		status, detail := a.refuses(ctx)
		if status == 0 {
			next(ctx)
			return
		}
		if status == http.StatusUnauthorized {
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="scanhook"`)
		}
		_ = huma.WriteErr(described, ctx, status, detail)
	}
}

// refuses is the answer to a request that may not pass, or 0.
func (a *API) refuses(ctx huma.Context) (status int, detail string) {
	needed := Role(ctx.Operation().Security[0][bearer][0])
	scheme, token, _ := strings.Cut(ctx.Header("Authorization"), " ")
	switch role := a.tokens.roleOf(strings.TrimSpace(token)); {
	case len(a.tokens) == 0:
		return http.StatusUnauthorized, "The API is closed: no token is configured. Set one under api.tokens."
	case !strings.EqualFold(scheme, bearer) || role == "":
		return http.StatusUnauthorized, "Send a token from api.tokens in the header Authorization: Bearer TOKEN."
	case rank[role] < rank[needed]:
		return http.StatusForbidden, fmt.Sprintf("This needs a token with the role %s; yours has the role %s.", needed, role)
	}
	return 0, ""
}
