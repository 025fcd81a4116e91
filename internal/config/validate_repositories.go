package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

func (v *validator) validateRepositories() {
	if len(v.config.Repositories) == 0 {
		v.warnf("repositories", `has no entry: every push is answered "ignored"; write - match: "**" to scan all`)
	}
	first := map[string]int{}
	for i, repository := range v.config.Repositories {
		path := fmt.Sprintf("repositories[%d]", i)
		v.checkGlob(path+".match", repository.Match)
		v.warnOfStranger(path+".match", repository.Match)
		match := strings.ToLower(repository.Match) // names are compared without case
		v.warnOfShadow(path+".match", match, first)
		v.validateRepositorySecrets(path, repository)
		v.validatePolicy(path, repository.Policy)
		if _, taken := first[match]; !taken {
			first[match] = i
		}
	}
}

// warnOfStranger speaks of a match that begins with no configured platform, most often because the platform was left
// out ("acme/*").
func (v *validator) warnOfStranger(path, match string) {
	start, _, _ := strings.Cut(match, "/")
	if start == "" || !doublestar.ValidatePattern(start) || len(v.reached(Repository{Match: match})) > 0 {
		return
	}
	platforms := slices.Sorted(maps.Keys(v.config.Platforms))
	v.warnf(path, "begins with none of the configured platforms: write platform/project, such as github/acme/*%s",
		validNames(start, "platforms", platforms))
}

// warnOfShadow speaks of an entry that nothing reaches, because an earlier one matches the same. first holds the
// earlier matches with their indexes.
func (v *validator) warnOfShadow(path, match string, first map[string]int) {
	for _, wider := range []string{"**", "**/*", "*/**", match} {
		if earlier, ok := first[wider]; ok {
			v.warnf(path, "is never reached: repositories[%d] matches the same, and the first match wins", earlier)
			return
		}
	}
}
