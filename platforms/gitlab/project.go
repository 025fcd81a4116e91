package gitlab

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// project is the part of a payload's project that we use.
type project struct {
	ID                platforms.Number `json:"id"`
	PathWithNamespace platforms.Text   `json:"path_with_namespace"`
	WebURL            platforms.Text   `json:"web_url"`
	GitHTTPURL        platforms.Text   `json:"git_http_url"`
	DefaultBranch     platforms.Text   `json:"default_branch"`
}

// repository is GitLab's older word for the project; some senders have only this one.
type repository struct {
	Homepage   platforms.Text `json:"homepage"`
	GitHTTPURL platforms.Text `json:"git_http_url"`
}

// path is the full path of the project. Old payloads have only the address of its page.
func (p *Platform) path(e envelope) string {
	for _, path := range []platforms.Text{e.Project.PathWithNamespace, e.PathWithNamespace} {
		if path != "" {
			return string(path)
		}
	}
	for _, page := range []platforms.Text{e.Project.WebURL, e.Repository.Homepage} {
		if address, err := url.Parse(string(page)); err == nil && address.Path != "" {
			return strings.Trim(strings.TrimPrefix(address.Path, p.web.Path+"/"), "/")
		}
	}
	return ""
}

// toProject translates the project; its path must be sound because addresses are built from it.
func (p *Platform) toProject(e envelope) (core.Project, error) {
	path := p.path(e)
	if err := platforms.CheckProject(path); err != nil {
		return core.Project{}, fmt.Errorf("project.path_with_namespace: %w", err)
	}
	if !strings.Contains(path, "/") { // GitLab's API would take digits alone for the number of another project
		return core.Project{}, fmt.Errorf("%w: project.path_with_namespace: %q has no namespace", core.ErrInvalid, path)
	}
	page := platforms.WebAddress(e.Repository.Homepage, p.web.JoinPath(path).String())
	clone := platforms.WebAddress(e.Repository.GitHTTPURL, p.cloneURL(path))
	project := core.Project{
		Name:          path,
		Ref:           e.Project.ID.ID(),
		URL:           platforms.WebAddress(e.Project.WebURL, page),
		CloneURL:      platforms.WebAddress(e.Project.GitHTTPURL, clone),
		DefaultBranch: string(e.Project.DefaultBranch),
	}
	if project.Ref == "" {
		project.Ref = e.ProjectID.ID()
	}
	return project, nil
}
