package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// gitlab is the platform type whose addresses differ from GitHub's.
const gitlab = "gitlab"

// repository is the address of a scan's project on its platform, or empty: what the platform itself says, else what the
// configuration and the project's name make.
func (w *Web) repository(scan core.Scan) string {
	if link := webLink(scan.RepoURL); link != "" {
		return strings.TrimRight(link, "/")
	}
	platform := w.Platforms[scan.SourcePlatform]
	if webLink(platform.URL) == "" || !inside(scan.ProjectName) {
		return ""
	}
	return strings.TrimRight(platform.URL, "/") + "/" + pathEscape(scan.ProjectName)
}

// section begins what is below a project's address; GitLab keeps it apart from sub-groups.
func (w *Web) section(scan core.Scan) string {
	if w.Platforms[scan.SourcePlatform].Type == gitlab {
		return "/-/"
	}
	return "/"
}

func (w *Web) commitLink(scan core.Scan, sha string) string {
	repository := w.repository(scan)
	if repository == "" || !core.IsCommitSHA(sha) {
		return ""
	}
	return repository + w.section(scan) + "commit/" + sha
}

// lineLink leads to the lines of a finding in the commit, or is empty where the file is none of the repository's.
func (w *Web) lineLink(scan core.Scan, sha string, f core.Finding) string {
	repository := w.repository(scan)
	if repository == "" || !core.IsCommitSHA(sha) || !inside(f.File) {
		return ""
	}
	return repository + w.section(scan) + "blob/" + sha + "/" + pathEscape(f.File) + w.lines(scan, f)
}

func (w *Web) lines(scan core.Scan, f core.Finding) string {
	switch {
	case f.Line < 1:
		return ""
	case f.EndLine <= f.Line:
		return fmt.Sprintf("#L%d", f.Line)
	case w.Platforms[scan.SourcePlatform].Type == gitlab:
		return fmt.Sprintf("#L%d-%d", f.Line, f.EndLine)
	}
	return fmt.Sprintf("#L%d-L%d", f.Line, f.EndLine)
}

// inside tells whether a path stays below where it starts.
func inside(path string) bool {
	return path != "" && !slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		return segment == "" || segment == "." || segment == ".."
	})
}

// platformNames are the choices of a filter: what is configured, and what is chosen.
func (w *Web) platformNames(chosen string) []string {
	names := slices.Sorted(maps.Keys(w.Platforms))
	if chosen != "" && !slices.Contains(names, chosen) {
		names = append(names, chosen)
	}
	return names
}
