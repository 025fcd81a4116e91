package web

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/store"
)

const projectsPerPage = 50

// projectsPage lists how the projects' default branches stand.
type projectsPage struct {
	Platform  string
	Failing   bool
	Filtered  bool
	Projects  []standing
	Pager     pager
	Platforms []string
}

// standing is a project in the list.
type standing struct {
	store.Standing
	Banner banner
}

func (w *Web) projects(c *gin.Context) error {
	filter := store.StandingFilter{
		Platform: c.Query("platform"), Failing: c.Query("failing") == "yes", Limit: projectsPerPage + 1,
		AfterPlatform: c.Query("from"), AfterProject: c.Query("after"),
	}
	list, err := w.Store.ListStandings(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	query := queryOf(map[string]string{"platform": filter.Platform})
	if filter.Failing {
		query.Set("failing", "yes")
	}
	page := projectsPage{
		Platform: filter.Platform, Failing: filter.Failing, Filtered: len(query) > 0,
		Platforms: w.platformNames(filter.Platform),
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
		line := standing{Standing: project, Banner: banner{"pending", "…", "Waiting", "", ""}}
		if project.Head != nil {
			line.Banner = bannerOf(*project.Head, counts{})
		}
		page.Projects = append(page.Projects, line)
	}
	return w.render(c, http.StatusOK, "projects", "Projects", page)
}

// overview is whether everything flows.
type overview struct {
	store.Overview
	Silent  silentHooks
	Failing []store.HookPlace // webhooks to mend
}

// Unnamed is how many troubles are only counted.
func (o *overview) Unnamed() int { return o.Troubled - len(o.Troubles) }

// overview is what the first page says of it; nil on all others.
func (w *Web) overview(c *gin.Context, first bool) (*overview, error) {
	if !first {
		return nil, nil
	}
	var posting []string
	for name, platform := range w.Platforms {
		if platform.Posts {
			posting = append(posting, name)
		}
	}
	seen, err := w.Store.GetOverview(c.Request.Context(), posting)
	if err != nil {
		return nil, err
	}
	failing, err := w.Store.ListFailingHooks(c.Request.Context())
	return &overview{Overview: seen, Silent: w.silentHooks(), Failing: failing}, err
}
