package strictyaml

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// variables is an environment.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

func TestExpand(t *testing.T) {
	t.Parallel()
	env := variables{"A": "a", "EMPTY": "", "NESTED": "${A}"}
	for text, want := range map[string]string{
		"":                      "",
		"plain $ text$":         "plain $ text$",
		"pa$word":               "pa$word",
		"${A}":                  "a",
		"<${A}${A}>":            "<aa>",
		"$${A}":                 "${A}",
		"$$$${A}":               "$${A}",
		"$$${A}":                "$a",
		"${EMPTY}":              "",
		"${EMPTY:-x}":           "x",
		"${NONE:-}":             "",
		"${NONE:-a:-b # [c}":    "a:-b # [c",
		"${NONE:-two\nlines}":   "two\nlines",
		"${NONE:-costs $$5}":    "costs $5",
		"${NESTED}":             "${A}",
		"postgres://u:${A}@h/d": "postgres://u:a@h/d",
	} {
		if got, problems := expand(text, env.lookup); got != want || len(problems) > 0 {
			t.Errorf("expand(%q) = %q, %q; want %q", text, got, problems, want)
		}
	}
}

func TestExpandRefusesOtherForms(t *testing.T) {
	t.Parallel()
	const malformed = "has a ${…} that is neither ${NAME} nor ${NAME:-default}: write $$ for a dollar sign"
	for text, want := range map[string]string{
		"${}": malformed, "${": malformed, "${A": malformed, "${1}": malformed, "${A-b}": malformed, "${A:?b}": malformed,
		"${ A }": malformed, "${NONE:-${A}}": malformed, "${a.b}": malformed, "${A:-${": malformed,
		"${NONE}": "needs the environment variable NONE, which is not set: set it, or write ${NONE:-} for an empty value",
	} {
		_, problems := expand(text, variables{"A": "a"}.lookup)
		if diff := cmp.Diff([]string{want}, problems); diff != "" {
			t.Errorf("problems of %q (-want +got):\n%s", text, diff)
		}
	}
}
