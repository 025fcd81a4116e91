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

// projectsPage selects projects. GitLab turns pages of large lists by the last id only.
type projectsPage struct {
	MinAccess int    `url:"min_access_level"`
	Archived  bool   `url:"archived"`
	Simple    bool   `url:"simple"`
	OrderBy   string `url:"order_by"`
	Sort      string `url:"sort"`
	After     int64  `url:"id_after"`
	PerPage   int    `url:"per_page"`
}

// Projects lists the projects whose webhooks the token may manage, without those that are archived.
func (p *Platform) Projects(ctx context.Context) (projects []string, err error) {
	if p.token == "" {
		return nil, platforms.ErrNoToken
	}
	page := projectsPage{
		MinAccess: int(gogitlab.MaintainerPermissions), Simple: true, OrderBy: "id", Sort: "asc", PerPage: projectsPerPage,
	}
	for range maxProjectPages {
		var found []struct {
			ID   int64          `json:"id"`
			Path platforms.Text `json:"path_with_namespace"`
		}
		request, err := p.api.NewRequest(http.MethodGet, "projects", page, []gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx)})
		if err != nil {
			return nil, err
		}
		response, err := p.api.Do(request, &found)
		if err := p.classify(response, err); err != nil {
			return nil, fmt.Errorf("listing projects: %w", err)
		}
		for _, project := range found {
			projects, page.After = append(projects, string(project.Path)), max(page.After, project.ID)
		}
		if len(found) < projectsPerPage {
			break
		}
	}
	return projects, nil
}
