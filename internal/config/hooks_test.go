package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
platforms:
  github: {webhook_secrets: ["${NEW:-}", secret-of-old, "", secret-of-older]}
repositories:
  - {match: github/acme/*, webhook_secrets: ["", secret-of-acme], branches: [main]}
  - {match: "**"}
`, nil)
	want := HookSecrets{WebhookSecrets: []Secret{"secret-of-old", "secret-of-older"}, WebhookPlaces: []int{1, 3}}
	if diff := cmp.Diff(want, got.Platforms["github"].HookSecrets); diff != "" {
		t.Errorf("platform (-want +got):\n%s", diff)
	}
	want = HookSecrets{WebhookSecrets: []Secret{"secret-of-acme"}, WebhookPlaces: []int{1}}
	if diff := cmp.Diff(want, got.Repositories[0].HookSecrets); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if own := got.Repositories[1].HookSecrets; own.any() {
		t.Errorf("want no secret to be inherited, got %+v", own)
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

func TestValidationOfRepositorySecrets(t *testing.T) {
	t.Parallel()
	got := problemsOf(t, `platforms: {github: {webhook_secrets: [secret-of-github]}}
repositories:
  - {match: github/acme/*, signing_tokens: ["whsec_AAAA"]}
`, nil)
	want := []string{"c.yaml:3:28: repositories[0].signing_tokens is for GitLab only: use webhook_secrets"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestWarningsAboutRepositorySecrets(t *testing.T) {
	t.Parallel()
	many := strings.Repeat(`, "a long secret"`, 101)
	for text, want := range map[string]string{
		`webhook_secrets: ["${NONE:-}"]`:    "repositories[0].webhook_secrets is empty: these repositories have no secret",
		`webhook_secrets: [short]`:          "repositories[0].webhook_secrets[0] is so short",
		`webhook_secrets: ["", the-secret]`: "repositories[0].webhook_secrets[1] is a secret of platforms.github, too",
		`webhook_secrets: [""` + many + `]`: "platforms.github is verified with 103 secrets",
		`webhook_secrets: [of-its-own]`:     "",
	} {
		config := mustParse(t, `
platforms: {github: {webhook_secrets: [the-secret], token: t0ken-of-github}}
repositories: [{match: github/acme/*, `+text+`}]`, nil)
		all := strings.Join(config.Warnings, "\n")
		if want == "" && all != "" || !strings.Contains(all, want) || strings.Contains(all, "the-secret") {
			t.Errorf("%s: want %q, got %q", text, want, all)
		}
	}
}
