package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
)

func TestReferenceEqualsDefaults(t *testing.T) {
	t.Parallel()
	got := mustParse(t, reference(t), nil)
	want := mustParse(t, `
platforms: {github: , gitlab: }
scanners:
  semgrep: {command: [semgrep, scan, --sarif, --output, "{output}", "{source}"]}
  trivy: {upload: true}
repositories: [{match: "**"}]
`, nil)
	for key, platform := range want.Platforms { // given and empty, or not given: what remains is the same
		platform.WebhookSecrets, platform.SigningTokens = got.Platforms[key].WebhookSecrets, got.Platforms[key].SigningTokens
		want.Platforms[key] = platform
	}
	want.API.Tokens = []Token{}
	want.Warnings, want.Source = got.Warnings, got.Source
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config.yaml is not the default (-default +got):\n%s", diff)
	}
}

func TestReferenceStartsWithoutEnvironment(t *testing.T) {
	t.Parallel()
	config := mustParse(t, reference(t), nil)
	for key, platform := range config.Platforms {
		if platform.Enabled() {
			t.Errorf("platform %s is on without a secret", key)
		}
	}
	if len(config.Warnings) != 2 || !strings.Contains(strings.Join(config.Warnings, ""), "is off") {
		t.Errorf("warnings = %q, want that the two platforms are off", config.Warnings)
	}
}

// comment is a setting that is commented out, by the convention that config.yaml states in its head.
var comment = regexp.MustCompile(`(?m)^( *)#([a-z-])`)

func TestReferenceIsValidWithEverySettingUncommented(t *testing.T) {
	t.Parallel()
	text := comment.ReplaceAllString(reference(t), "$1$2")
	config := mustParse(t, text, nil)
	if config.Platforms["github"].App == nil || len(config.Repositories) != 2 {
		t.Errorf("platforms = %+v, repositories = %+v; want the examples in them", config.Platforms, config.Repositories)
	}
	for _, key := range schema(reflect.TypeFor[Config]()) {
		if !regexp.MustCompile(`(?m)^[ -]*` + key + `:|[{,] ?` + key + `:`).MatchString(text) {
			t.Errorf("config.yaml does not mention the key %s", key)
		}
	}
}

// schema lists all keys that structure and what it holds can have.
func schema(structure reflect.Type) []string {
	var keys []string
	for _, f := range strictyaml.Fields(structure) {
		keys = append(keys, f.Key)
		inner := structure.FieldByIndex(f.Index).Type
		for inner.Kind() == reflect.Map || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, schema(inner)...)
		}
	}
	return keys
}

func TestReferenceLinesAreShort(t *testing.T) {
	t.Parallel()
	for i, line := range strings.Split(reference(t), "\n") {
		if len(line) > 110 || strings.TrimRight(line, " ") != line {
			t.Errorf("config.yaml:%d has %d characters or ends with spaces", i+1, len(line))
		}
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	for match, want := range map[string]bool{
		"github/acme/*": true, "gitlab/acme/*": false, "**": true, "*/acme/**": true, "git{hub,lab}/x": true, "g*/x": true,
		"{github/a,gitlab/b}/*": true, "{gitlab/a,gitlab/b}/*": true, "github": true, "GitHub/x": true, "": false,
	} {
		if got := (Repository{Match: match}).Reaches("github"); got != want {
			t.Errorf("%s: want %t, got %t", match, want, got)
		}
	}
}

func TestUses(t *testing.T) {
	t.Parallel()
	const scanners = "scanners: {lint: {command: [lint]}, brought: {upload: true}}\nrepositories: "
	for repositories, want := range map[string]struct{ lint, brought bool }{
		"[{match: '**'}]": {false, false},
		"[{match: '**', scanners: [gitleaks, lint]}]":           {true, false},
		"[{match: a/b, scanners: []}, {match: '**'}]":           {false, true},
		"[{match: a/b, scanners: [lint, brought]}, {match: c}]": {true, true},
	} {
		got := mustParse(t, scanners+repositories, nil)
		if got.Uses("lint") != want.lint || got.RunsCommands() != want.lint || got.Uses("brought") != want.brought {
			t.Errorf("%s: the command %t, %t, the other %t", repositories, got.Uses("lint"), got.RunsCommands(), got.Uses("brought"))
		}
	}
}

func TestPlatformsAreOnByTheirRepositoriesSecrets(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
platforms: {github: , gitlab: , ghes: {type: github, token: t0ken-of-ghes}}
repositories:
  - {match: github/acme/*, webhook_secrets: [secret-of-acme]}
  - {match: "g{itlab,hes}/acme/*", signing_tokens: ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}
`, nil)
	for platform, want := range map[string]bool{"github": true, "gitlab": true, "ghes": false, "none": false} {
		if verifies := got.Verifies(platform); verifies != want {
			t.Errorf("%s: want on %t, got %t", platform, want, verifies)
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
