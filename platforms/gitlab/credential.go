package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/platforms"
)

const (
	neededScope   = "api"
	granularScope = "granular" // permissions one by one, which GitLab does not list here
)

// CheckCredential asks GitLab about the token: those of persons, projects and groups may read about themselves with any
// scope. Of others, and of any before GitLab 15.5, it only learns whether they are valid.
func (p *Platform) CheckCredential(ctx context.Context) (platforms.Credential, error) {
	if p.token == "" {
		return platforms.Credential{}, platforms.ErrNoToken
	}
	found, err := p.checkToken(ctx)
	if err != nil {
		return platforms.Credential{}, fmt.Errorf("checking the token: %w", err)
	}
	return found, nil
}

func (p *Platform) checkToken(ctx context.Context) (found platforms.Credential, err error) {
	token, answer, err := p.api.PersonalAccessTokens.GetSinglePersonalAccessToken(gogitlab.WithContext(ctx))
	if err == nil {
		return p.judgeToken(token)
	}
	if answered(answer, http.StatusBadRequest, http.StatusNotFound) {
		_, answer, err = p.api.Users.CurrentUser(gogitlab.WithContext(ctx))
	}
	switch {
	case err == nil:
		return found, nil
	case answered(answer, http.StatusNotFound):
		return found, &platforms.HTTPError{Code: http.StatusNotFound, Err: fmt.Errorf(
			"GitLab answered 404: its API is not at %s, correct url or api_url of platform %s", p.api.BaseURL(), p.name)}
	}
	return found, p.readError(answer, err)
}

func answered(answer *gogitlab.Response, codes ...int) bool {
	return answer != nil && answer.Response != nil && slices.Contains(codes, answer.StatusCode)
}

func (p *Platform) judgeToken(token *gogitlab.PersonalAccessToken) (platforms.Credential, error) {
	var found platforms.Credential
	if token.ExpiresAt != nil {
		found.ExpiresAt = time.Time(*token.ExpiresAt) // midnight UTC, at which it ends
	}
	scopes := platforms.Clean(strings.Join(token.Scopes, ", "))
	switch {
	case token.ID == 0:
		return found, fmt.Errorf("%w: the answer describes no token: correct url or api_url of platform %s",
			platforms.ErrRefused, p.name)
	case token.Revoked || !token.Active:
		return found, denied("the token of platform %s is revoked or has expired, renew it", p.name)
	case !slices.Contains(token.Scopes, neededScope) && !slices.Contains(token.Scopes, granularScope):
		return found, denied("the token of platform %s has the scopes %s and lacks %s, make one that has it", p.name, scopes,
			neededScope)
	}
	return found, nil
}
