package ghapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// TokenClient is the client for all projects where a token is configured.
type TokenClient struct{ client *gogithub.Client }

// NewTokenClient calls the API with the server's token.
func (s *Server) NewTokenClient() TokenClient {
	return TokenClient{s.Dial(s.Calls).WithAuthToken(s.Token)}
}

// Client is the same for every project.
func (c TokenClient) Client(context.Context, string) (*gogithub.Client, error) { return c.client, nil }

// Forget does nothing: there is no project to look up.
func (TokenClient) Forget(string) {}

// Open is the client for a project, and the two parts of the project's name.
func (s *Server) Open(ctx context.Context, project string) (client *gogithub.Client, owner, name string, err error) {
	if s.Clients == nil {
		return nil, "", "", platforms.ErrNoToken
	}
	owner, name, ok := strings.Cut(project, "/")
	if !ok || strings.Contains(name, "/") || platforms.CheckProject(project) != nil {
		return nil, "", "", fmt.Errorf("%w: %q is no project of the form owner/repo", platforms.ErrRefused, project)
	}
	if client, err = s.Clients.Client(ctx, project); err != nil {
		return nil, "", "", s.Classify(nil, err)
	}
	return client, owner, name, nil
}

// OpenBranch is Open for a question about a branch and a commit.
func (s *Server) OpenBranch(ctx context.Context, project, branch, sha string) (
	client *gogithub.Client, owner, name string, err error) {
	if s.Clients != nil && (branch == "" || !core.IsCommitSHA(sha)) {
		return nil, "", "", fmt.Errorf("%w: no branch or no commit", platforms.ErrRefused)
	}
	return s.Open(ctx, project)
}

// Call makes a call that go-github has no function for.
func (s *Server) Call(ctx context.Context, client *gogithub.Client, method, path string, body, target any) (
	*gogithub.Response, error) {
	request, err := client.NewRequest(method, path, body)
	if err != nil {
		return nil, err
	}
	return client.Do(ctx, request, target)
}

// Forget lets the next call look for the App's installation again, where the platform denied this one: the App may have been removed
// and installed anew, or be granted the permission that it lacks.
func (s *Server) Forget(project string, err error) {
	if s.Clients != nil && (platforms.Forbidden(err) || errors.As(err, new(*platforms.Denied))) {
		s.Clients.Forget(project)
	}
}
