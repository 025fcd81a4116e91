package ghapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

// Classify turns the errors of go-github into those of the port. It decides by status and headers, because v62 treats a
// 429 like any other failure; there are none only where go-github refuses a call itself.
func (s *Server) Classify(answer *gogithub.Response, err error) error {
	if err == nil {
		return nil
	}
	response := s.responseOf(answer, err)
	switch {
	case response == nil:
		return s.rateLimitOr(err, err)
	case response.StatusCode < http.StatusMultipleChoices && answer != nil:
		return nil // the call succeeded, only the answer was not as go-github expects it
	case response.StatusCode < http.StatusMultipleChoices:
		return err // a token that cannot be read
	}
	reason := s.rateLimitOr(err, s.refusal(response))
	if wait, ok := platforms.Limited(response, s.Now()); ok {
		reason = s.limited(wait)
	}
	return &platforms.HTTPError{Code: response.StatusCode, Err: reason}
}

// rateLimitOr is the rate limit that go-github itself keeps, or otherwise.
func (s *Server) rateLimitOr(err, otherwise error) error {
	var primary *gogithub.RateLimitError
	var secondary *gogithub.AbuseRateLimitError
	switch {
	case errors.As(err, &primary):
		return s.limited(primary.Rate.Reset.Sub(s.Now()))
	case errors.As(err, &secondary) && secondary.RetryAfter != nil:
		return s.limited(*secondary.RetryAfter)
	case errors.As(err, &secondary):
		return s.limited(time.Minute) // what GitHub's documentation asks for
	}
	return otherwise
}

func (s *Server) limited(wait time.Duration) error {
	return &platforms.RateLimited{After: platforms.Wait(wait), Err: errors.New(s.Traits.Title + " asks for a pause")}
}

// responseOf finds the HTTP response, also where opening the client for the project failed.
func (s *Server) responseOf(answer *gogithub.Response, err error) *http.Response {
	if answer != nil && answer.Response != nil {
		return answer.Response
	}
	if s.Traits.Failed != nil {
		if response := s.Traits.Failed(err); response != nil {
			return response
		}
	}
	var lookup *gogithub.ErrorResponse
	if errors.As(err, &lookup) {
		return lookup.Response
	}
	return nil
}

func (s *Server) refusal(response *http.Response) error {
	answer := s.describe(response)
	switch code := response.StatusCode; code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Errorf("%s answered %d: the project was renamed, or api_url is not the final address", s.Name, code)
	case http.StatusUnauthorized:
		return &platforms.Denied{
			Err: fmt.Errorf("%s: the token or the key of the App is wrong or expired, renew it", answer),
		}
	case http.StatusForbidden, http.StatusNotFound:
		return &platforms.Denied{
			Hidden: code == http.StatusNotFound, Err: fmt.Errorf("%s: %s", answer, s.advice(response, s.Traits.PostAdvice)),
		}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return s.invalid(response)
	default:
		return errors.New(answer)
	}
}

// invalid tells an unknown commit from a status that the platform will never take. GitHub lists the fields at fault for
// the latter; for the former it has no code, only a sentence.
func (s *Server) invalid(response *http.Response) error {
	if strings.HasPrefix(platforms.ErrorMessage(response, s.Token), "No commit found") {
		return fmt.Errorf("%w: %s", platforms.ErrUnknownCommit, s.describe(response))
	}
	return platforms.Refusal(s.describe(response))
}

func (s *Server) describe(response *http.Response) string {
	return platforms.DescribeError(s.Name, response, s.Token)
}

// advice is what to do about a 403 or 404: the usual advice, unless the platform gives the reason.
func (s *Server) advice(response *http.Response, usual string) string {
	advice := ""
	if s.Traits.Advise != nil {
		advice = s.Traits.Advise(response)
	}
	return cmp.Or(advice, platforms.Advice(platforms.ErrorMessage(response, s.Token), usual))
}

// ReadError classifies the error of a call that reads. The platforms do not say that a permission is missing: permission
// is the one that the call needs.
func (s *Server) ReadError(project string, answer *gogithub.Response, err error, permission string) error {
	if err == nil {
		return nil
	}
	classified := s.Classify(answer, err)
	s.Forget(project, classified)
	if limited := new(platforms.RateLimited); errors.As(classified, &limited) || answer == nil || answer.Response == nil {
		return classified
	}
	switch code := answer.StatusCode; {
	case code < http.StatusMultipleChoices:
		return fmt.Errorf("%w: the answer cannot be read: %w", platforms.ErrRefused, err)
	case code == http.StatusForbidden || code == http.StatusNotFound:
		usual := fmt.Sprintf("which it also does where the permission %q is missing", permission)
		return fmt.Errorf("%w: %s: %s", platforms.ErrUnknownCommit, s.describe(answer.Response),
			s.advice(answer.Response, usual))
	}
	return classified
}
