package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidationOfPlatformsAndTokens(t *testing.T) {
	t.Parallel()
	got := problemsOf(t, `platforms:
  GitHub: {type: github}
  ghes: {url: https://ghes.example.com, api_url: x}
  gitlab:
    type: githb
  github:
    signing_tokens: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
    app: {id: 1}
  other:
    type: gitlab
    app: {id: 1, private_key_file: x}
  third:
    type: github
    app: {private_key_file: x}
api:
  tokens:
    - {name: a, token: a-long-enough-token, role: viewer}
    - {name: a, token: a-long-enough-token, role: owner}
    - {role: amdin}
`, nil)
	want := []string{
		"c.yaml:2:3: platforms.GitHub has a name that cannot be part of an address: use lower-case letters, digits, - and _",
		"c.yaml:3:3: platforms.ghes.type is missing: write forgejo, gitea, github or gitlab",
		"c.yaml:3:50: platforms.ghes.api_url must be an address that starts with https:// or http:// and a host",
		`c.yaml:5:11: platforms.gitlab.type must be forgejo, gitea, github or gitlab (did you mean "github"?)`,
		"c.yaml:7:5: platforms.github.signing_tokens is for GitLab only: use webhook_secrets",
		"c.yaml:8:5: platforms.github.app.private_key_file is missing: write the path of the App's private key (PEM)",
		"c.yaml:11:5: platforms.other.app is for GitHub only: use token",
		"c.yaml:14:5: platforms.third.app.id must be the App's id, a number above zero",
		"c.yaml:18:14: api.tokens[1].name is the name of api.tokens[0] already",
		"c.yaml:18:24: api.tokens[1].token is the token of api.tokens[0] already: give each its own",
		"c.yaml:18:51: api.tokens[1].role must be viewer, scanner or admin",
		"c.yaml:19:7: api.tokens[2].name is missing: say whose token this is",
		`c.yaml:19:7: api.tokens[2].token is missing: write "${NAME:-}" for one that may be left out`,
		`c.yaml:19:14: api.tokens[2].role must be viewer, scanner or admin (did you mean "admin"?)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// A secret with the line break of its file verifies nothing: the platform does not send it.
func TestSecretsWithWhiteSpaceAtTheirEndsAreRefused(t *testing.T) {
	t.Parallel()
	const why = " starts or ends with white space, perhaps the line break of the file that it was read from: take it " +
		"away, the other side does not send it"
	got := problemsOf(t, `platforms:
  github:
    webhook_secrets: ["long enough", "with a line break\n"]
    token: ${FROM_A_FILE}
  gitlab:
    signing_tokens: [" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
api:
  tokens: [{name: a, token: "${FROM_A_FILE}", role: viewer}]
repositories:
  - match: "**"
    webhook_secrets: ["\ttab in front"]
`, map[string]string{"FROM_A_FILE": "ghp_long-enough-for-all\r\n"})
	want := []string{
		"c.yaml:3:38: platforms.github.webhook_secrets[1]" + why,
		"c.yaml:4:12: platforms.github.token" + why,
		"c.yaml:6:22: platforms.gitlab.signing_tokens[0]" + why,
		"c.yaml:8:29: api.tokens[0].token" + why,
		"c.yaml:11:23: repositories[0].webhook_secrets[0]" + why,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
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
