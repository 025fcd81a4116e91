package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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

func TestRecoverEvery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": time.Hour, "recover: {}": time.Hour, "recover: {every: 0}": 0, "recover: {every: 0s}": 0, "recover: {every: 10m}": 10 * time.Minute,
	} {
		if got := time.Duration(mustParse(t, text, nil).Recover.Every); got != want {
			t.Errorf("%q is every %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"-1h", "5", "soon", "true"} {
		problems := problemsOf(t, "recover: {every: "+text+"}", nil)
		if len(problems) != 1 || !strings.Contains(problems[0], "recover.every must be a duration such as 30m or 1h, or 0 for never") {
			t.Errorf("every: %s: problems = %q", text, problems)
		}
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 30 * day, "36h": 36 * time.Hour, "forever": 0, "never": 0, "0": 0, `"${UNSET:-}"`: 90 * day,
	} {
		if got := mustParse(t, "retention: {scans: "+text+"}", nil).Retention.Scans.Duration(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
