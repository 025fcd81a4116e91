package github

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

// classify turns what go-github reports into the errors of the port. It decides by status and headers, because v62
// takes a 429 for any other failure; only where go-github refuses a call itself there are none.
func (p *Platform) classify(answer *gogithub.Response, err error) error {
	if err == nil {
		return nil
	}
	response := responseOf(answer, err)
	switch {
	case response == nil:
		return p.pauseOf(err, err)
	case response.StatusCode < http.StatusMultipleChoices && answer != nil:
		return nil // the status stands, only the answer was not as go-github expects it
	case response.StatusCode < http.StatusMultipleChoices:
		return err // a token that cannot be read
	}
	reason := p.pauseOf(err, p.refusal(response))
	if wait, ok := platforms.Limited(response, p.now()); ok {
		reason = limited(wait)
	}
	return &platforms.HTTPError{Code: response.StatusCode, Err: reason}
}

// pauseOf is the pause that go-github keeps to, or otherwise.
func (p *Platform) pauseOf(err, otherwise error) error {
	var primary *gogithub.RateLimitError
	var secondary *gogithub.AbuseRateLimitError
	switch {
	case errors.As(err, &primary):
		return limited(primary.Rate.Reset.Sub(p.now()))
	case errors.As(err, &secondary):
		return limited(afterSecondary(secondary))
	}
	return otherwise
}

// responseOf finds the HTTP response, also where the lookup of an installation or the renewal of its token failed.
func responseOf(answer *gogithub.Response, err error) *http.Response {
	if answer != nil && answer.Response != nil {
		return answer.Response
	}
	var renewal *ghinstallation.HTTPError
	if errors.As(err, &renewal) && renewal.Response != nil {
		renewal.Response.Body.Close()
		return renewal.Response
	}
	var lookup *gogithub.ErrorResponse
	if errors.As(err, &lookup) {
		return lookup.Response
	}
	return nil
}

func limited(wait time.Duration) error {
	return &platforms.RateLimited{
		After: platforms.Wait(wait),
		Err:   errors.New("GitHub asks for a pause"),
	}
}

// afterSecondary is a minute where GitHub gives no time, as its documentation asks for.
func afterSecondary(limit *gogithub.AbuseRateLimitError) time.Duration {
	if limit.RetryAfter == nil {
		return time.Minute
	}
	return *limit.RetryAfter
}

func (p *Platform) refusal(response *http.Response) error {
	answer := p.answer(response)
	switch code := response.StatusCode; code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Errorf("%s answered %d: the project was renamed, or api_url is not the final address", p.name, code)
	case http.StatusUnauthorized:
		return &platforms.Denied{
			Err: fmt.Errorf("%s: the token or the key of the App is wrong or expired, renew it", answer),
		}
	case http.StatusForbidden, http.StatusNotFound:
		return &platforms.Denied{
			Hidden: code == http.StatusNotFound, Err: fmt.Errorf("%s: %s", answer, p.advice(response, p.permission())),
		}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return p.invalid(response)
	default:
		return errors.New(answer)
	}
}

// answer tells what GitHub answered, in its own words.
func (p *Platform) answer(response *http.Response) string {
	return platforms.DescribeError(p.name, response, p.token)
}

// advice is what to do about a 403 or 404: the usual thing, unless GitHub says what the reason is.
func (p *Platform) advice(response *http.Response, usual string) string {
	said := platforms.ErrorMessage(response, p.token)
	if required := response.Header.Get(ssoHeader); required == "" && !strings.Contains(said, "SAML") {
		return platforms.Advice(said, usual)
	}
	return "authorise the token for single sign-on to the organisation, " + p.whereToSignOn(response)
}

// ssoHeader comes with a refusal because of an organisation's single sign-on: required; url=https://…
const ssoHeader = "X-Github-Sso"

// whereToSignOn is the page that GitHub names, without its query, which is another one in each answer.
func (p *Platform) whereToSignOn(response *http.Response) string {
	_, address, _ := strings.Cut(response.Header.Get(ssoHeader), "url=")
	page, err := url.Parse(address)
	if err != nil || page.Host != p.web.Host || page.Scheme != p.web.Scheme {
		return "in the list of your tokens"
	}
	page.RawQuery, page.Fragment, page.User = "", "", nil
	return "in the list of your tokens or at " + platforms.Clean(page.String())
}

func (p *Platform) permission() string {
	switch {
	case p.app != nil:
		return "install the App on the project and give it the permission \"Commit statuses: write\""
	case p.isGitea():
		return "give the token the scope write:repository, and its owner the right to write to the project"
	}
	advice := "give the token access to the project and the permission \"Commit statuses: write\" (classic tokens: repo:status)"
	if p.web.Hostname() != "github.com" {
		advice += ", or mend api_url (on Gitea and Forgejo it is " + p.web.String() + "/api/v1)"
	}
	return advice
}

// invalid tells an unknown commit from a status that GitHub will never take. GitHub lists the fields at fault for the
// latter; for the former it has no code, only a sentence.
func (p *Platform) invalid(response *http.Response) error {
	said := platforms.ErrorMessage(response, p.token)
	if strings.HasPrefix(said, "No commit found") {
		return fmt.Errorf("%w: %s", platforms.ErrUnknownCommit, p.answer(response))
	}
	return platforms.Refusal(p.answer(response))
}
