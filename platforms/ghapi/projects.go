package ghapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/scanhook/scanhook/platforms"
)

const (
	reposPerPage = 50 // as many as a Gitea gives at most
	maxRepoPages = 200
)

// Projects lists the repositories whose webhooks the token may manage, without those that are archived. An App has one
// webhook for all, and lists none.
func (s *Server) Projects(ctx context.Context) (projects []string, err error) {
	if s.Clients == nil {
		return nil, platforms.ErrNoToken
	}
	if s.Traits.ActsAsApp {
		return nil, fmt.Errorf("%w: an App has one webhook for all its repositories", platforms.ErrNoHookAccess)
	}
	client, err := s.Clients.Client(ctx, "")
	if err != nil {
		return nil, s.Classify(nil, err)
	}
	for page := 1; page <= maxRepoPages; page++ {
		var found []struct {
			FullName    platforms.Text `json:"full_name"`
			Archived    bool           `json:"archived"`
			Permissions struct {
				Admin bool `json:"admin"`
			} `json:"permissions"`
		}
		path := fmt.Sprintf("user/repos?per_page=%[1]d&limit=%[1]d&page=%[2]d", reposPerPage, page)
		answer, err := s.Call(ctx, client, http.MethodGet, path, nil, &found)
		err = platforms.Readable(s.HookError(answer, err), err)
		if err == nil && found == nil {
			err = platforms.ErrUnreadable
		}
		if err != nil {
			return nil, fmt.Errorf("listing repositories: %w", err)
		}
		for _, repository := range found {
			if repository.Permissions.Admin && !repository.Archived {
				projects = append(projects, string(repository.FullName))
			}
		}
		if len(found) == 0 {
			break
		}
	}
	return projects, nil
}
