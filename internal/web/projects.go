package web

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/store"
)

const projectsPerPage = 50

// projectsPage lists the projects with the latest scan of their default branches.
type projectsPage struct {
	Platform  string
	Failing   bool
	Filtered  bool
	Projects  []projectLine
	Pager     layout.Pager
	Platforms []string
}

// projectLine is a project in the list.
type projectLine struct {
	store.ProjectState
	Banner banner
}

// ShowProjects lists the projects of all platforms.
func (w *Web) ShowProjects(c *gin.Context) error {
	filter := store.ProjectFilter{
		Platform: c.Query("platform"), Failing: c.Query("failing") == "yes", Limit: projectsPerPage + 1,
		AfterPlatform: c.Query("from"), AfterProject: c.Query("after"),
	}
	list, err := w.Store.ListProjects(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	query := layout.Query(map[string]string{"platform": filter.Platform})
	if filter.Failing {
		query.Set("failing", "yes")
	}
	page := projectsPage{
		Platform: filter.Platform, Failing: filter.Failing, Filtered: len(query) > 0,
		Platforms: w.Platforms.names(filter.Platform),
	}
	if filter.AfterPlatform != "" {
		page.Pager.First = "?" + query.Encode()
	}
	if len(list) > projectsPerPage {
		list = list[:projectsPerPage]
		last := list[projectsPerPage-1]
		page.Pager.Next = "?" + query.Encode() + "&" + url.Values{"from": {last.SourcePlatform}, "after": {last.ProjectName}}.Encode()
	}
	for _, project := range list {
		line := projectLine{ProjectState: project, Banner: banner{"pending", "…", "Waiting", "", ""}}
		if project.Head != nil {
			line.Banner = bannerOf(*project.Head)
		}
		page.Projects = append(page.Projects, line)
	}
	return w.Render(c, http.StatusOK, "projects", "Projects", page)
}
