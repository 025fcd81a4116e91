package ghapi

import (
	"context"
	"fmt"
	"net/http"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

// ProbeToken makes a call that shows whether the API takes the configured token.
func (s *Server) ProbeToken(ctx context.Context, path string) (*gogithub.Response, error) {
	client, err := s.Clients.Client(ctx, "")
	if err != nil {
		return nil, err
	}
	var object map[string]any
	answer, err := s.Call(ctx, client, http.MethodGet, path, nil, &object)
	return answer, s.ProbeError(answer, err, "its API is not at "+s.API.String()+", "+s.Traits.AddressAdvice)
}

// ProbeList makes a call that shows whether the credential may list something at all.
func (s *Server) ProbeList(ctx context.Context, path string) error {
	client, err := s.Clients.Client(ctx, "")
	if err != nil {
		return err
	}
	answer, err := s.Call(ctx, client, http.MethodGet, path, nil, nil)
	return s.Classify(answer, err)
}

// ProbeError adds two cases to Classify: a call about the credential has no project that could be hidden, so a 404 means
// notFound, and its answer has to be one of the API.
func (s *Server) ProbeError(answer *gogithub.Response, err error, notFound string) error {
	classified := s.Classify(answer, err)
	switch {
	case err != nil && classified == nil:
		return fmt.Errorf("%w: the answer cannot be read: is %s the address of the API? Correct api_url of platform %s",
			platforms.ErrRefused, s.API, s.Name)
	case platforms.CodeOf(classified) != http.StatusNotFound:
		return classified
	}
	return &platforms.HTTPError{
		Code: http.StatusNotFound, Err: fmt.Errorf("%s answered 404: %s", s.Name, notFound),
	}
}
