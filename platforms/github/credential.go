package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

// scopesHeader lists the scopes of a classic token. Answers to others have it not.
const scopesHeader = "X-Oauth-Scopes"

var _ platforms.CredentialChecker = (*Platform)(nil)

// CheckCredential asks for the rate limit, which any kind of token may and which counts against none. Where an
// Enterprise Server keeps no limits, and so has no such page, it asks for the token's owner. Gitea and Forgejo are asked
// for projects: about its owner they do not answer a token with the scope write:repository alone.
func (p *Platform) CheckCredential(ctx context.Context) (found platforms.Credential, err error) {
	switch {
	case p.app != nil:
		err = p.checkApp(ctx)
	case p.posting == nil:
		return found, platforms.ErrNoToken
	case p.isGitea():
		_, err = p.askAfterToken(ctx, "repos/search?limit=1")
	default:
		found, err = p.checkToken(ctx)
	}
	return found, wrapped(err, "checking the token")
}

func (p *Platform) checkToken(ctx context.Context) (found platforms.Credential, err error) {
	answer, err := p.askAfterToken(ctx, "rate_limit")
	if platforms.CodeOf(err) == http.StatusNotFound {
		answer, err = p.askAfterToken(ctx, "user")
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
			" where all projects are public): add it", p.name, platforms.Clean(scopes))}
	}
	return found, nil
}

// mayPost tells whether the scopes of a classic token let it post statuses, in public projects at least.
func mayPost(scopes string) bool {
	return slices.ContainsFunc(strings.Split(scopes, ","), func(scope string) bool {
		return slices.Contains([]string{"repo", "public_repo", "repo:status"}, strings.TrimSpace(scope))
	})
}

func (p *Platform) askAfterToken(ctx context.Context, path string) (*gogithub.Response, error) {
	request, err := p.posting.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	answer, err := p.posting.Do(ctx, request, &object)
	return answer, p.tokenError(answer, err)
}

// checkApp looks at what the App asks of those who install it; whether they have granted it, their projects tell.
func (p *Platform) checkApp(ctx context.Context) error {
	found, answer, err := p.app.asApp.Apps.Get(ctx, "")
	if err := p.tokenError(answer, err); err != nil {
		return err
	}
	if granted := found.GetPermissions(); granted != nil && granted.GetStatuses() != "write" {
		return &platforms.Denied{Err: fmt.Errorf("the App %d of %s lacks the permission \"Commit statuses: write\": give it in"+
			" its settings, and have its owners accept it where it is installed", p.app.config.ID, p.name)}
	}
	return nil
}

// tokenError adds to classify that there is no project here that could be hidden, and that the answer has to be one of
// the API.
func (p *Platform) tokenError(answer *gogithub.Response, err error) error {
	classified := p.classify(answer, err)
	switch {
	case err != nil && classified == nil:
		return fmt.Errorf("%w: the answer cannot be read: is %s the address of the API? Mend api_url of platform %s",
			platforms.ErrRefused, p.api, p.name)
	case platforms.CodeOf(classified) != http.StatusNotFound:
		return classified
	case p.app != nil:
		classified = fmt.Errorf("%s answered 404: it has no App %d, mend app.id", p.name, p.app.config.ID)
	default:
		classified = p.notTheAPI()
	}
	return &platforms.HTTPError{Code: http.StatusNotFound, Err: classified}
}

func (p *Platform) notTheAPI() error {
	advice := "mend api_url"
	if !p.isGitea() && p.web.Hostname() != "github.com" {
		advice += " (on Gitea and Forgejo it is " + p.web.String() + "/api/v1)"
	}
	return errors.New(p.name + " answered 404: its API is not at " + p.api.String() + ", " + advice)
}
