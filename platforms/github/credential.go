package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
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
		found, err = p.checkApp(ctx)
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
	_, classic := answer.Header[scopesHeader]
	if classic && !mayPost(scopes) {
		return found, &platforms.Denied{Err: fmt.Errorf("the token of %s has the scopes %q and lacks repo (or repo:status,"+
			" where all projects are public): add it", p.Name, platforms.Clean(scopes))}
	}
	found.Lacks = map[platforms.Use]string{}
	if classic && !hasScope(scopes, "repo", "public_repo") {
		found.Lacks[platforms.UseNotes] = p.Traits.NoteAdvice
	}
	return found, nil
}

// mayPost tells whether the scopes of a classic token let it post statuses, in public projects at least.
func mayPost(scopes string) bool { return hasScope(scopes, "repo", "public_repo", "repo:status") }

func hasScope(scopes string, wanted ...string) bool {
	return slices.ContainsFunc(strings.Split(scopes, ","), func(scope string) bool {
		return slices.Contains(wanted, strings.TrimSpace(scope))
	})
}

// checkApp checks the permissions that the App asks of those who install it. Whether they have granted them shows in
// their projects.
func (p *Platform) checkApp(ctx context.Context) (credential platforms.Credential, err error) {
	found, answer, err := p.app.asApp.Apps.Get(ctx, "")
	notFound := fmt.Sprintf("it has no App %d, correct app.id", p.app.config.ID)
	if err := p.ProbeError(answer, err, notFound); err != nil {
		return credential, err
	}
	granted := found.GetPermissions()
	if granted == nil {
		return credential, nil
	}
	if granted.GetStatuses() != "write" {
		return credential, &platforms.Denied{Err: fmt.Errorf("the App %d of %s lacks the permission \"Commit statuses: write\": give it in"+
			" its settings, and have its owners accept it where it is installed", p.app.config.ID, p.Name)}
	}
	credential.Lacks = map[platforms.Use]string{}
	if granted.GetChecks() != "write" {
		credential.Lacks[platforms.UseChecks] = checksAdvice
	}
	if granted.GetPullRequests() != "write" && granted.GetIssues() != "write" {
		credential.Lacks[platforms.UseNotes] = p.Traits.NoteAdvice
	}
	return credential, nil
}

func (p *Platform) addAdvice() {
	traits := &p.Traits
	traits.Advise = p.singleSignOn
	traits.ActsAsApp = p.app != nil
	traits.AddressAdvice = "correct api_url"
	traits.PostAdvice = "give the token access to the project and the permission \"Commit statuses: write\" (classic" +
		" tokens: repo:status)"
	traits.NoteAdvice = "give the token the permission \"Pull requests: read and write\" (classic tokens: repo, or public_repo where all" +
		" projects are public)"
	traits.HookAdvice = "the token the permission \"Webhooks: read and write\" (classic tokens: admin:repo_hook)"
	if p.Web.Hostname() != host {
		onGitea := " (on Gitea and Forgejo, configure the type gitea)"
		traits.AddressAdvice += onGitea
		traits.PostAdvice += ", or correct api_url" + onGitea
	}
	if p.app != nil {
		traits.PostAdvice = "install the App on the project and give it the permission \"Commit statuses: write\""
		traits.NoteAdvice = "give the App the permission \"Pull requests: read and write\", and accept that for the installation"
		traits.HookAdvice = "the App a webhook in its settings, or the permission \"Webhooks: read and write\""
	}
}

// ssoHeader comes with a refusal because of an organisation's single sign-on: required; url=https://…
const ssoHeader = "X-Github-Sso"

// singleSignOn is the advice about a refusal because of an organisation's single sign-on.
func (p *Platform) singleSignOn(response *http.Response) string {
	required := response.Header.Get(ssoHeader)
	if required == "" && !strings.Contains(platforms.ErrorMessage(response, p.Token), "SAML") {
		return ""
	}
	advice := "authorise the token for single sign-on to the organisation, in the list of your tokens"
	_, address, _ := strings.Cut(required, "url=")
	page, err := url.Parse(address)
	if err != nil || page.Host != p.Web.Host || page.Scheme != p.Web.Scheme {
		return advice
	}
	page.RawQuery, page.Fragment, page.User = "", "", nil // the query differs in each answer
	return advice + " or at " + platforms.Clean(page.String())
}
