package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// scopesHeader lists the scopes of a classic token. Answers to other tokens do not have it.
const scopesHeader = "X-Oauth-Scopes"

// CheckCredential asks for the rate limit, which any kind of token may and which counts against none. Where an
// Enterprise Server keeps no limits, and so has no such page, it asks for the token's owner.
func (p *Platform) CheckCredential(ctx context.Context) (found platforms.Credential, err error) {
	switch {
	case p.app != nil:
		err = p.checkApp(ctx)
	case p.Clients == nil:
		return found, platforms.ErrNoToken
	default:
		found, err = p.checkToken(ctx)
	}
	return found, ghapi.Wrap(err, "checking the token")
}

func (p *Platform) checkToken(ctx context.Context) (found platforms.Credential, err error) {
	answer, err := p.ProbeToken(ctx, "rate_limit")
	if platforms.CodeOf(err) == http.StatusNotFound {
		answer, err = p.ProbeToken(ctx, "user")
		if platforms.CodeOf(err) == http.StatusForbidden {
			return found, nil // the token of an App has no owner
		}
	}
	if err != nil {
		return found, err
	}
	found.ExpiresAt = answer.TokenExpiration.Time
	scopes := strings.Join(answer.Header.Values(scopesHeader), ", ")
	if _, classic := answer.Header[scopesHeader]; classic && !mayPost(scopes) {
		return found, &platforms.Denied{Err: fmt.Errorf("the token of %s has the scopes %q and lacks repo (or repo:status,"+
			" where all projects are public): add it", p.Name, platforms.Clean(scopes))}
	}
	return found, nil
}

// mayPost tells whether the scopes of a classic token let it post statuses, in public projects at least.
func mayPost(scopes string) bool {
	return slices.ContainsFunc(strings.Split(scopes, ","), func(scope string) bool {
		return slices.Contains([]string{"repo", "public_repo", "repo:status"}, strings.TrimSpace(scope))
	})
}

// checkApp checks the permissions that the App asks of those who install it. Whether they have granted them shows in
// their projects.
func (p *Platform) checkApp(ctx context.Context) error {
	found, answer, err := p.app.asApp.Apps.Get(ctx, "")
	notFound := fmt.Sprintf("it has no App %d, correct app.id", p.app.config.ID)
	if err := p.ProbeError(answer, err, notFound); err != nil {
		return err
	}
	if granted := found.GetPermissions(); granted != nil && granted.GetStatuses() != "write" {
		return &platforms.Denied{Err: fmt.Errorf("the App %d of %s lacks the permission \"Commit statuses: write\": give it in"+
			" its settings, and have its owners accept it where it is installed", p.app.config.ID, p.Name)}
	}
	return nil
}
