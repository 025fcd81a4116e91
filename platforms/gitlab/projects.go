package gitlab

import (
	"context"
	"fmt"
	"net/http"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/platforms"
)

const (
	projectsPerPage = 100
	maxProjectPages = 100
)

// Projects lists the projects whose webhooks the token may manage, without those that are archived. GitLab turns pages of large lists by
// the last id only.
func (p *Platform) Projects(ctx context.Context) (projects []string, err error) {
	if p.token == "" {
		return nil, platforms.ErrNoToken
	}
	last := 0
	page := gogitlab.ListProjectsOptions{
		ListOptions: gogitlab.ListOptions{PerPage: projectsPerPage}, IDAfter: &last, OrderBy: gogitlab.Ptr("id"), Sort: gogitlab.Ptr("asc"),
		MinAccessLevel: gogitlab.Ptr(gogitlab.MaintainerPermissions), Archived: gogitlab.Ptr(false), Simple: gogitlab.Ptr(true),
	}
	for range maxProjectPages {
		var found []struct {
			ID   int            `json:"id"`
			Path platforms.Text `json:"path_with_namespace"`
		}
		response, err := p.call(ctx, http.MethodGet, "projects", page, &found)
		err = platforms.Readable(p.classify(response, err), err)
		if err == nil && found == nil {
			err = platforms.ErrUnreadable
		}
		if err != nil {
			return nil, fmt.Errorf("listing projects: %w", err)
		}
		for _, project := range found {
			projects, last = append(projects, string(project.Path)), max(last, project.ID)
		}
		if len(found) < projectsPerPage {
			break
		}
	}
	return projects, nil
}
