package web

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/text"
)

// gitlab is the platform type whose addresses differ from GitHub's.
const gitlab = "gitlab"

// Platforms are the configured Git platforms, by key.
type Platforms map[string]Platform

// Platform is what links and commit statuses need to know of a Git platform.
type Platform struct {
	Type  string // github or gitlab
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
	return strings.TrimRight(platform.URL, "/") + "/" + escape(scan.ProjectName)
}

// section separates a project's address from what is below it; GitLab has sub-groups there too.
func (p Platforms) section(scan core.Scan) string {
	if p[scan.SourcePlatform].Type == gitlab {
		return "/-/"
	}
	return "/"
}

func (p Platforms) commitLink(scan core.Scan, sha string) string {
	repository := p.repository(scan)
	if repository == "" || !core.IsCommitSHA(sha) {
		return ""
	}
	return repository + p.section(scan) + "commit/" + sha
}

// lineLink leads to the lines of a finding in the commit, or is empty where the file cannot be in the repository.
func (p Platforms) lineLink(scan core.Scan, sha string, f core.Finding) string {
	repository := p.repository(scan)
	if repository == "" || !core.IsCommitSHA(sha) || !inside(f.File) {
		return ""
	}
	return repository + p.section(scan) + "blob/" + sha + "/" + escape(f.File) + p.lines(scan, f)
}

func (p Platforms) lines(scan core.Scan, f core.Finding) string {
	switch {
	case f.Line < 1:
		return ""
	case f.EndLine <= f.Line:
		return fmt.Sprintf("#L%d", f.Line)
	case p[scan.SourcePlatform].Type == gitlab:
		return fmt.Sprintf("#L%d-%d", f.Line, f.EndLine)
	}
	return fmt.Sprintf("#L%d-L%d", f.Line, f.EndLine)
}

// inside tells whether a path stays below its start.
func inside(path string) bool {
	return path != "" && !slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		return segment == "" || segment == "." || segment == ".."
	})
}

// names are the choices of a filter: the configured platforms, and the one that is chosen.
func (p Platforms) names(chosen string) []string {
	names := slices.Sorted(maps.Keys(p))
	if chosen != "" && !slices.Contains(names, chosen) {
		names = append(names, chosen)
	}
	return names
}

// escape makes the segments of a path safe in an address.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}
