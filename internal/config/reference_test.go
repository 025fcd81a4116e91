package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	for _, f := range fieldsOf(structure) {
		keys = append(keys, f.key)
		inner := structure.FieldByIndex(f.index).Type
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

func TestStarterParsesToItsValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]StarterValues{
		"usual":   {"https://scanhook.example.com", "github-secret", "gitlab-secret", "api-token-16-long"},
		"strange": {"http://[::1]:8080", "a\"'\\ b: #c\n\x7f", "${HOME}$$@APIToken@", "ünïcode 🔑 \x00 {{.}}"},
		"empty":   {PublicURL: "http://localhost:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := mustParse(t, string(Starter(values)), nil)
			got := StarterValues{PublicURL: config.Server.PublicURL}
			for _, secret := range config.Platforms["github"].WebhookSecrets {
				got.GitHubSecret = secret.Reveal()
			}
			for _, secret := range config.Platforms["gitlab"].WebhookSecrets {
				got.GitLabSecret = secret.Reveal()
			}
			for _, token := range config.API.Tokens {
				got.APIToken = token.Token.Reveal()
			}
			if diff := cmp.Diff(values, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}
