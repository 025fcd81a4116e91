package gitlab

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/platforms"
)

// classify turns what go-gitlab reports into the errors of the port, by status and headers.
func (p *Platform) classify(answer *gogitlab.Response, err error) error {
	switch {
	case err == nil:
		return nil
	case answer == nil || answer.Response == nil:
		return err
	case answer.StatusCode < 300:
		return nil // the call succeeded, only the answer was not as go-gitlab expects it
	}
	reason := p.refusal(answer.Response)
	if wait, ok := platforms.Limited(answer.Response, p.now()); ok {
		reason = &platforms.RateLimited{After: wait, Err: errors.New("GitLab asks for a pause")}
	}
	return &platforms.HTTPError{Code: answer.StatusCode, Err: reason}
}

// answer describes an error answer with GitLab's message.
func (p *Platform) answer(response *http.Response) string {
	return platforms.DescribeError("GitLab", response, p.token)
}

func (p *Platform) refusal(response *http.Response) error {
	answer := p.answer(response)
	switch code := response.StatusCode; code {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s, which it also does where the token of platform %s may not see the"+
			" project", platforms.ErrUnknownCommit, answer, p.name)
	case http.StatusUnauthorized:
		return denied("%s: the token is wrong or expired, renew it in platform %s", answer, p.name)
	case http.StatusForbidden:
		return p.forbidden(response)
	case http.StatusConflict:
		return fmt.Errorf("%s: another update of this commit is in progress", answer)
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return platforms.Refusal(answer)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Errorf("GitLab answered %d: set url of platform %s to the address that it redirects to", code, p.name)
	default:
		return errors.New(answer)
	}
}

// forbidden tells a token without the scope from one that may not do this here. For the former, GitLab has the error code
// of RFC 6750; for the latter it seldom says whether the role is too low or the branch is protected.
func (p *Platform) forbidden(response *http.Response) error {
	answer, message := p.answer(response), platforms.ErrorMessage(response, p.token)
	if strings.Contains(message, "insufficient_scope") {
		return denied("%s: the token of platform %s lacks the scope api, make one that has it", answer, p.name)
	}
	if advice := platforms.Advice(message, ""); advice != "" {
		return denied("%s: %s", answer, advice)
	}
	return &platforms.Denied{Branch: true, Err: fmt.Errorf("%s: the token of platform %s needs the scope"+
		" api and the role Developer, and on a protected branch the right to push or merge", answer, p.name)}
}

func denied(format string, values ...any) error {
	return &platforms.Denied{Err: fmt.Errorf(format, values...)}
}

// readError classifies the error of a call that reads. A call that succeeded without a readable answer is not retried.
func (p *Platform) readError(answer *gogitlab.Response, err error) error {
	if classified := p.classify(answer, err); classified != nil {
		return classified
	}
	return fmt.Errorf("%w: the answer cannot be read: %w", platforms.ErrRefused, err)
}
