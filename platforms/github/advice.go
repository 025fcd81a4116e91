package github

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/platforms"
)

func (p *Platform) addAdvice() {
	traits := &p.Traits
	traits.Advise = p.singleSignOn
	traits.ActsAsApp = p.app != nil
	traits.AddressAdvice = "correct api_url"
	traits.PostAdvice = "give the token access to the project and the permission \"Commit statuses: write\" (classic" +
		" tokens: repo:status)"
	traits.HookAdvice = "the token the permission \"Webhooks: read and write\" (classic tokens: admin:repo_hook)"
	if p.Web.Hostname() != host {
		onGitea := " (on Gitea and Forgejo, configure the type gitea)"
		traits.AddressAdvice += onGitea
		traits.PostAdvice += ", or correct api_url" + onGitea
	}
	if p.app != nil {
		traits.PostAdvice = "install the App on the project and give it the permission \"Commit statuses: write\""
		traits.HookAdvice = "the App a webhook in its settings, or the permission \"Webhooks: read and write\""
	}
}

// ssoHeader comes with a refusal because of an organisation's single sign-on: required; url=https://…
const ssoHeader = "X-Github-Sso"

// singleSignOn is the advice about a refusal that an organisation's single sign-on is the reason of.
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
