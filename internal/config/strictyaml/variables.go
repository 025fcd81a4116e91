package strictyaml

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	dollar   = regexp.MustCompile(`\$\$|\$\{[^}]*\}?`)
	variable = regexp.MustCompile(`(?s)^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?\}$`)
)

// expand replaces ${NAME} by the variable's value, ${NAME:-default} by the default when the variable is unset or empty,
// and $$ by one dollar sign; any other dollar sign stands for itself. What is put in is not expanded again.
// problems holds a sentence for each reference that cannot be replaced, and nothing of the text around it.
func expand(text string, lookupEnv func(string) (string, bool)) (expanded string, problems []string) {
	expanded = dollar.ReplaceAllStringFunc(text, func(reference string) string {
		if reference == "$$" {
			return "$"
		}
		value, problem := replacement(reference, lookupEnv)
		if problem != "" {
			problems = append(problems, problem)
		}
		return value
	})
	return expanded, problems
}

func replacement(reference string, lookupEnv func(string) (string, bool)) (value, problem string) {
	parts := variable.FindStringSubmatch(reference)
	if parts == nil || strings.Contains(parts[3], "${") {
		return "", "has a ${…} that is neither ${NAME} nor ${NAME:-default}: write $$ for a dollar sign"
	}
	name, hasDefault := parts[1], parts[2] != ""
	value, defined := lookupEnv(name)
	switch {
	case value != "":
		return value, ""
	case hasDefault:
		return strings.ReplaceAll(parts[3], "$$", "$"), ""
	case !defined:
		return "", fmt.Sprintf("needs the environment variable %s, which is not set: set it, or write ${%s:-} "+
			"for an empty value", name, name)
	}
	return "", ""
}
