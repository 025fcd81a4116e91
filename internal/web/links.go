package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/platforms"
)

// Platforms are the configured Git platforms, by key.
type Platforms map[string]Platform

// Platform is what links and commit statuses need to know of a Git platform.
type Platform struct {
	Links platforms.Links
	URL   string // base of its pages
	Posts bool   // it has a credential to post commit statuses with
}

// repository is the address of a scan's project on its platform, or empty. The platform's own answer comes first, then
// what the configuration and the project's name make.
func (p Platforms) repository(scan core.Scan) string {
	if link := text.WebLink(scan.RepoURL); link != "" {
		return strings.TrimRight(link, "/")
	}
	platform := p[scan.SourcePlatform]
	if text.WebLink(platform.URL) == "" || !inside(scan.ProjectName) {
		return ""
	}
	return strings.TrimRight(platform.URL, "/") + "/" + platforms.EscapePath(scan.ProjectName)
}

func (p Platforms) commitLink(scan core.Scan, sha string) string {
	repository := p.repository(scan)
	if repository == "" || !core.IsCommitSHA(sha) {
		return ""
	}
	return p.links(scan).CommitURL(repository, sha)
}

// lineLink leads to the lines of a finding in the commit, or is empty where the file cannot be in the repository.
func (p Platforms) lineLink(scan core.Scan, sha string, f core.Finding) string {
	repository := p.repository(scan)
	if repository == "" || !core.IsCommitSHA(sha) || !inside(f.File) {
		return ""
	}
	return p.links(scan).FileURL(repository, sha, f.File, f.Line, f.EndLine)
}

// usualLinks are the addresses below a project that most platforms have or redirect, for one that left the configuration.
var usualLinks = platforms.Links{
	Commit: "/commit/{sha}", File: "/blob/{sha}/{path}", Line: "#L{line}", Lines: "#L{line}-L{end}",
}

func (p Platforms) links(scan core.Scan) platforms.Links {
	if platform, configured := p[scan.SourcePlatform]; configured {
		return platform.Links
	}
	return usualLinks
}

// inside tells whether a path stays below its start.
func inside(path string) bool {
	return path != "" && !slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		return segment == "" || segment == "." || segment == ".."
	})
}

// redirect leads from a page of a project under its old name to the one under its present name.
func (w *Web) redirect(c *gin.Context, path string, query map[string]string) error {
	to := url.URL{Path: path, RawQuery: layout.Query(query).Encode()}
	c.Redirect(http.StatusFound, w.Base.Path(to.String()))
	return nil
}

// names are the choices of a filter: the configured platforms, and the one that is chosen.
func (p Platforms) names(chosen string) []string {
	names := slices.Sorted(maps.Keys(p))
	if chosen != "" && !slices.Contains(names, chosen) {
		names = append(names, chosen)
	}
	return names
}
