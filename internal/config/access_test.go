package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Configurations from before there were projects go on, and are told what to write.
func TestOldRolesAreTranslated(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
api:
  tokens:
    - {name: a, token: the-token-of-a-viewer, role: viewer}
    - {name: b, token: the-token-of-scanners, role: scanner}
    - {name: c, token: the-token-of-admins, role: admin}
web:
  oidc:
    issuer: https://login.example.com
    client_id: scanhook
    admins: ["group:security"]
    viewers: ["*@example.com"]
    people: [{who: ["*"], role: viewer, projects: ["**"]}]
platforms: {github: {webhook_secrets: [a-secret-of-webhooks]}}
repositories: [{match: "**"}]
`, nil)
	var roles []string
	for _, token := range got.API.Tokens {
		roles = append(roles, token.Role)
	}
	if diff := cmp.Diff([]string{RoleTriager, RoleUploader, RoleAdmin}, roles); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	want := []People{
		{Who: []string{"*"}, Grant: Grant{Role: RoleTriager, Projects: []string{"**"}}},
		{Who: []string{"group:security"}, Grant: Grant{Role: RoleAdmin}},
		{Who: []string{"*@example.com"}, Grant: Grant{Role: RoleTriager}},
	}
	if diff := cmp.Diff(want, got.Web.OIDC.People); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
	all := strings.Join(got.Warnings, "\n")
	for _, warning := range []string{
		"api.tokens[0].role is called triager now", "api.tokens[1].role is called uploader now",
		"web.oidc.admins belongs into people now", "web.oidc.viewers belongs into people now",
		"web.oidc.people[0].role is called triager now",
	} {
		if !strings.Contains(all, warning) {
			t.Errorf("no warning that %s in:\n%s", warning, all)
		}
	}
}

func TestGrantsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Parse("config.yaml", []byte(`
api:
  tokens:
    - {name: a, token: the-token-of-a, role: uploader, projects: []}
    - {name: b, token: the-token-of-b-b, role: reader, projects: ["acme/[", ""], scanners: [trivy]}
    - {name: c, token: the-token-of-c-c, role: uploader, scanners: [""], expires: tomorrow}
    - {name: d, token: the-token-of-d-d, role: owner}
web: {oidc: {people: [{role: reader}, {who: [nobody], role: reader}]}}
`), types, variables{}.lookup)
	for _, want := range []string{
		"api.tokens[0].projects is empty", "api.tokens[0].token has fewer than 16 characters",
		"api.tokens[1].projects[0] is not a glob", "api.tokens[1].projects[1] is missing",
		"api.tokens[1].scanners is for the role uploader only", "api.tokens[2].scanners[0] is missing",
		"api.tokens[2].expires must be a day such as 2027-06-30", "api.tokens[3].role must be reader, triager, uploader or admin",
		"web.oidc.people[0].who is missing", "web.oidc.people[1].who[0] must be an e-mail address",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not said in: %v", want, err)
		}
	}
}

func TestAccountsOfGitHubAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Parse("config.yaml", []byte(`
web:
  github:
    url: https://github.com/?
    client_id: x
    people:
      - {who: ["*", octocat, "user:", "user:a/b", "group:", "group:a/b/c", "group:a/", "sub:octocat", "*@example.com"], role: reader}
      - {role: reader}
      - {who: ["user:octocat", "group:acme", "group:acme/security", "sub:583231"], role: owner}
`), types, variables{}.lookup)
	want := []string{"web.github.url must end with its path", "web.github.people[1].who is missing", "web.github.people[2].role must be"}
	for i := range 9 {
		want = append(want, fmt.Sprintf(`web.github.people[0].who[%d] must be "user:LOGIN"`, i))
	}
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s is not said in: %v", text, err)
		}
	}
	if strings.Contains(err.Error(), "people[2].who") {
		t.Errorf("what is right is refused: %v", err)
	}
	_, err = Parse("config.yaml", []byte(`web: {github: {client_secret: a-secret-of-an-app, people: [{who: ["user:a"], role: reader}]}}`), types, variables{}.lookup)
	if err == nil || !strings.Contains(err.Error(), "web.github.client_id is missing") {
		t.Errorf("without an id: %v", err)
	}
	got := mustParse(t, `web: {github: {url: "http://git.example/", client_id: a, client_secret: a-secret-of-an-app, people: [{who: ["*"], role: reader}]}}`, nil)
	if g := got.Web.GitHub; !g.Enabled() || g.Name != "git.example" || g.URL != "http://git.example" ||
		!strings.Contains(strings.Join(got.Warnings, "\n"), "web.github.url is not encrypted") {
		t.Errorf("%+v, %v", g, got.Warnings)
	}
	got = mustParse(t, `web: {github: {client_id: a, client_secret: "${NONE:-}", people: [{who: ["user:a"], role: reader}]}}`, nil)
	if got.Web.GitHub.Enabled() || !strings.Contains(strings.Join(got.Warnings, "\n"), "web.github.client_secret is empty") {
		t.Errorf("%+v, %v", got.Web.GitHub, got.Warnings)
	}
}

func TestTokensEndWithTheirLastDay(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
api:
  tokens:
    - {name: a, token: the-token-of-a-a, role: reader, expires: 2126-02-28}
    - {name: b, token: the-token-of-b-b, role: reader, expires: "2026-02-28"}
    - {name: c, token: the-token-of-c-c, role: reader, projects: [gitea/acme]}
platforms: {github: {webhook_secrets: [a-secret-of-webhooks]}}
repositories: [{match: "**"}]
`, nil)
	if end := got.API.Tokens[0].Expires.End(); !end.Equal(time.Date(2126, time.March, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("ends %s", end)
	}
	if end := got.API.Tokens[2].Expires.End(); !end.IsZero() {
		t.Errorf("one without an end ends %s", end)
	}
	all := strings.Join(got.Warnings, "\n")
	if !strings.Contains(all, "api.tokens[1].expires has passed") || !strings.Contains(all, "api.tokens[2].projects[0] begins with none") {
		t.Errorf("warnings: %s", all)
	}
}

func TestTokensOfJobsAreChecked(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `platforms: {github: {webhook_secrets: [a-secret-of-webhooks], ci: {tokens: true, issuer: "http://token.example.com/x"}}}`, nil)
	if ci := got.Platforms["github"].CI; !ci.Tokens || ci.Issuer != "http://token.example.com/x" {
		t.Errorf("%+v", ci)
	}
	if all := strings.Join(got.Warnings, "\n"); !strings.Contains(all, "platforms.github.ci.issuer is not encrypted") {
		t.Errorf("warnings: %s", all)
	}
	if mustParse(t, `platforms: {github: {webhook_secrets: [a-secret-of-webhooks]}}`, nil).Platforms["github"].CI.Tokens {
		t.Error("tokens are taken without a word of the administrator")
	}
	all := strings.Join(problemsOf(t, `
platforms:
  gitea: {url: https://git.example.com, webhook_secrets: [a-secret-of-webhooks], ci: {tokens: true}}
  github: {webhook_secrets: [a-secret-of-webhooks], ci: {tokens: true, issuer: token.example.com, scanners: []}}
  gitlab: {webhook_secrets: [a-secret-of-webhooks], ci: {scanners: ["["]}}
`, nil), "\n")
	for _, problem := range []string{
		"platforms.gitea.ci.tokens is for GitHub and GitLab only: give jobs one of api.tokens", "platforms.github.ci.issuer must",
		"platforms.github.ci.scanners is empty", "platforms.gitlab.ci.scanners[0]",
	} {
		if !strings.Contains(all, problem) {
			t.Errorf("no problem that %s in:\n%s", problem, all)
		}
	}
}
