// Package ci verifies the OpenID Connect tokens that platforms give to the jobs of their CI. Such a token is signed by the platform, so a
// job needs no secret of Scanhook's, and says which commit of which project the job works on. What a job may do is in core/access.
// Reading order: ci.go (what is asked of a token), keys.go (by which keys it is verified).
package ci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
)

const (
	maxToken = 16 << 10 // bytes
	maxName  = 200      // bytes that a message repeats of an audience or issuer
	remember = 10_000   // tokens whose commit is remembered

	// maxAge is how old a token may be, whatever it says: those of GitLab last as long as their job may.
	maxAge = 3 * time.Hour
	// leeway is by how much the clock of an issuer may be ahead, as for the start of a token's life.
	leeway = 5 * time.Minute
)

// Platform is a platform whose jobs may bring reports.
type Platform struct {
	Name     string // key in the configuration
	Issuer   string // of its jobs' tokens, as these write it
	Scanners []string
	Read     func(claims []byte) (access.Job, error)
}

// Config says whose tokens are taken.
type Config struct {
	Audience  string // for which tokens must be made out: the address of Scanhook
	Platforms []Platform
	Client    *http.Client // asks issuers for their keys; bounded in time and size
	Now       func() time.Time
	Log       *slog.Logger
}

// Verifier verifies tokens. Make it with New.
type Verifier struct {
	Config
	issuers map[string]*keys
	used    *lru.Cache[string, string] // commits by the tokens that were used for them
}

// New makes a verifier; nil where no platform's tokens are taken. It asks no issuer yet.
func New(cfg Config) *Verifier {
	if len(cfg.Platforms) == 0 {
		return nil
	}
	used, err := lru.New[string, string](remember)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	v := &Verifier{Config: cfg, issuers: map[string]*keys{}, used: used}
	for _, platform := range cfg.Platforms {
		if v.issuers[platform.Issuer] == nil {
			v.issuers[platform.Issuer] = &keys{issuer: platform.Issuer, client: cfg.Client, now: cfg.Now, log: cfg.Log}
		}
	}
	return v
}

// IsToken tells whether what a client sent has the form of such a token, which no token of the configuration should have.
func IsToken(sent string) bool {
	return strings.HasPrefix(sent, "eyJ") && strings.Count(sent, ".") == 2
}

// Verified is what a verified token says to one platform.
type Verified struct {
	Job      access.Job
	Scanners []string // globs of those whose reports the job may bring; none: all
	token    string   // names the token
}

// Verify returns what a token says, for each platform that its issuer speaks for. Errors wrap core.ErrDenied, with what is wrong and what
// to do; core.ErrForbidden for a genuine token of a job that may not bring reports; ErrNoKeys where the issuer is out of reach.
func (v *Verifier) Verify(ctx context.Context, sent string) (list []Verified, err error) {
	if len(sent) > maxToken {
		return nil, fmt.Errorf("%w: the token has more than %d bytes", core.ErrDenied, maxToken)
	}
	issuer, err := v.issuerOf(sent)
	if err != nil {
		return nil, err
	}
	payload, err := v.issuers[issuer].verify(ctx, sent)
	if err != nil {
		return nil, err
	}
	token, err := v.check(ctx, issuer, sent, payload)
	if err != nil {
		return nil, err
	}
	for _, platform := range v.Platforms {
		if platform.Issuer != issuer {
			continue
		}
		job, err := platform.Read(payload)
		if err != nil {
			return nil, err
		}
		job.Platform = platform.Name
		list = append(list, Verified{Job: job, Scanners: platform.Scanners, token: platform.Name + " " + token})
	}
	return list, nil
}

// issuerOf reads who is said to have signed a token, and is a configured issuer.
func (v *Verifier) issuerOf(sent string) (string, error) {
	parsed, err := jwt.ParseSigned(sent, algorithms)
	if err != nil {
		return "", fmt.Errorf("%w: the token is no JSON Web Token with a signature by %s, as those of CI jobs are", core.ErrDenied, algorithms[0])
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return "", fmt.Errorf("%w: the token has no claims that can be read", core.ErrDenied)
	}
	if v.issuers[claims.Issuer] == nil {
		known := slices.Sorted(maps.Keys(v.issuers))
		return "", fmt.Errorf("%w: the token is of the issuer %q, and those of %s are taken: the configuration names others in platforms.NAME.ci",
			core.ErrDenied, shown(claims.Issuer), strings.Join(known, ", "))
	}
	return claims.Issuer, nil
}

// check looks at the life and the audience of a token whose signature is right. It returns what names the token.
func (v *Verifier) check(ctx context.Context, issuer, sent string, payload []byte) (id string, err error) {
	verifier := oidc.NewVerifier(issuer, verified(payload), &oidc.Config{
		SkipClientIDCheck: true, SupportedSigningAlgs: []string{string(algorithms[0])}, Now: v.Now,
	})
	token, err := verifier.Verify(ctx, sent)
	if expired := new(oidc.TokenExpiredError); errors.As(err, &expired) {
		return "", fmt.Errorf("%w: the token expired at %s: get another one for each upload", core.ErrDenied, expired.Expiry.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return "", fmt.Errorf("%w: the token is not valid: %s", core.ErrDenied, shown(err.Error()))
	}
	switch age := v.Now().Sub(token.IssuedAt); {
	case token.IssuedAt.Unix() <= 0 || age < -leeway:
		return "", fmt.Errorf("%w: the token does not say when it was issued (iat), or that is not yet: do the clocks agree?", core.ErrDenied)
	case age > maxAge:
		return "", fmt.Errorf("%w: the token was issued at %s, more than %s ago: bring the report in a job of its own, or send a token from "+
			"api.tokens", core.ErrDenied, token.IssuedAt.UTC().Format(time.RFC3339), maxAge)
	}
	if err := v.checkAudience(token.Audience); err != nil {
		return "", err
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.ID == "" || len(claims.ID) > maxName {
		return "", fmt.Errorf("%w: the token has no id (jti)", core.ErrDenied)
	}
	return claims.ID, nil
}

// checkAudience wants a token for Scanhook alone: who else is named in it could send it here.
func (v *Verifier) checkAudience(audience []string) error {
	wanted := strings.TrimRight(v.Audience, "/")
	if len(audience) == 1 && strings.TrimRight(audience[0], "/") == wanted {
		return nil
	}
	return fmt.Errorf("%w: the token is for the audience %q, and must be for %q alone: ask for it with that audience (aud: of id_tokens in GitLab; "+
		"scanhook upload asks for SCANHOOK_AUDIENCE, else for the address of the server)", core.ErrDenied, shown(strings.Join(audience, ", ")), wanted)
}

// Use notes the commit that a token is used for. core.ErrForbidden where it was used for another: a request may have moved on meanwhile.
func (v *Verifier) Use(of Verified, commit string) error {
	used, known, _ := v.used.PeekOrAdd(of.token, commit)
	if known && used != commit {
		return fmt.Errorf("%w: the token was used for the commit %s, and is good for that one only: the request has moved on, and the job of its new "+
			"head brings the report", core.ErrForbidden, used)
	}
	return nil
}

// verified is the payload of a token whose signature is right.
type verified []byte

// VerifySignature is part of oidc.KeySet.
func (p verified) VerifySignature(context.Context, string) ([]byte, error) { return p, nil }

// shown is a text of a stranger as messages repeat it.
func shown(text string) string { return core.Clip(core.Printable(text), maxName) }
