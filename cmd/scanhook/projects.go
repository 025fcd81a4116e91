package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
)

// projectName is a project on a configured platform.
type projectName struct{ platform, project string }

// namedProjects are those that the configuration names without a glob.
func namedProjects(cfg *config.Config) []projectName {
	var projects []projectName
	for _, r := range cfg.Repositories {
		platform, project, _ := strings.Cut(r.Match, "/")
		_, known := cfg.Platforms[platform]
		name := projectName{platform, project}
		if known && !strings.ContainsAny(r.Match, `*?[]{}\`) && platforms.CheckProject(project) == nil &&
			!slices.Contains(projects, name) {
			projects = append(projects, name)
		}
	}
	return projects
}

// parseProjects reads arguments such as github/acme/shop; with only one platform, its name may be left out.
func parseProjects(cfg *config.Config, args []string) ([]projectName, error) {
	names := slices.Sorted(maps.Keys(cfg.Platforms))
	var projects []projectName
	for _, arg := range args {
		platform, project, _ := strings.Cut(arg, "/")
		if _, known := cfg.Platforms[platform]; !known && len(names) == 1 {
			platform, project = names[0], arg
		}
		if _, known := cfg.Platforms[platform]; !known {
			return nil, fmt.Errorf("%q does not start with the name of a platform: write one of %s, a slash and the project",
				arg, strings.Join(names, ", "))
		}
		if err := platforms.CheckProject(project); err != nil {
			return nil, err
		}
		projects = append(projects, projectName{platform, project})
	}
	return projects, nil
}
