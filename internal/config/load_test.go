package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scanhook.yaml")
	if err := os.WriteFile(path, []byte("server: {public_url: '${URL}'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := Load(path, types, variables{"URL": "https://a.example/sub/"}.lookup)
	if err != nil || config.Server.PublicURL != "https://a.example/sub" {
		t.Errorf("Load = %+v, %v; want the address without its last slash", config, err)
	}
	_, err = Load(path, types, variables{}.lookup)
	if err == nil || !strings.HasPrefix(err.Error(), path+":1:22: server.public_url") {
		t.Errorf("Load = %v, want an error with path, line and key", err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	t.Parallel()
	_, err := Load(filepath.Join(t.TempDir(), "config.yaml"), types, variables{}.lookup)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "scanhook init") {
		t.Errorf("Load = %v, want fs.ErrNotExist and what to do", err)
	}
	if _, err = Load(t.TempDir(), types, variables{}.lookup); err == nil {
		t.Error("Load of a directory succeeded")
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	many := "repositories:\n  - &r {match: a, branches: [" + strings.Repeat("a,", 5000) + "]}\n" +
		strings.Repeat("  - *r\n", 1000)
	for name, text := range map[string]string{
		"is larger than": strings.Repeat("#\n", strictyaml.MaxSize/2+1),
		"holds more":     many,
	} {
		if got := problemsOf(t, text, nil); len(got) != 1 || !strings.Contains(got[0], name) {
			t.Errorf("problems = %.200q, want one that says %q", got, name)
		}
	}
}

func FuzzParse(f *testing.F) {
	if data, err := os.ReadFile(filepath.Join("..", "..", "config.yaml")); err == nil {
		f.Add(data)
	}
	f.Add(Starter(StarterValues{PublicURL: "http://localhost"}))
	f.Add([]byte("platforms: &p {github: {token: [*p, ${A}], type: 1}}\n<<: *p\n"))
	f.Add([]byte("repositories:\n- match: \"{a/b,[\"\n- \n- gate: {fail_on: x}\n---\n"))
	f.Add([]byte("database: {url: \"postgres://u:${B:-x}@h\"}\nscanners: {a: {command: ['{outputs}', 1]}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Parse("fuzz.yaml", data, types, variables{"A": "a", "EMPTY": ""}.lookup)
		var failure *Error
		switch {
		case err == nil && config != nil:
		case config != nil || !errors.As(err, &failure) || len(failure.Problems) == 0:
			t.Fatalf("Parse = %v, %v; want either a configuration or problems", config, err)
		default:
			for _, problem := range failure.Problems {
				if problem.Line < 1 || problem.Column < 1 || problem.Message == "" {
					t.Errorf("problem %+v has no place or no message", problem)
				}
			}
		}
	})
}

func TestParseFillsDefaults(t *testing.T) {
	t.Parallel()
	got := mustParse(t, "platforms: {gitlab: , ghes: {type: github, url: 'https://ghes.example.com/'}}", nil)
	want := builtin()
	want.Types = types
	want.Platforms = map[string]Platform{
		"gitlab": {Type: "gitlab", URL: "https://gitlab.com"},
		"ghes":   {Type: "github", URL: "https://ghes.example.com"},
	}
	want.Scanners = map[string]Scanner{
		"gitleaks": {
			Builtin: BuiltinGitleaks, Format: FormatSARIF, Timeout: 10 * time.Minute, SecretRules: SecretRules{Allow: noAllow()},
			Network: true, Read: []string{}, Write: []string{}, Memory: 4 << 30, Categories: []string{},
		},
	}
	want.Source = Source{File: "c.yaml", Lines: map[string]int{
		"platforms": 1, "platforms.ghes": 1, "platforms.ghes.type": 1, "platforms.ghes.url": 1,
	}}
	want.Warnings = []string{
		"c.yaml:1:1: repositories " + `has no entry: every push is answered "ignored"; write - match: "**" to scan all`,
		"c.yaml:1:13: platforms.gitlab has no webhook secret and is off: set platforms.gitlab.webhook_secrets",
		"c.yaml:1:23: platforms.ghes has no webhook secret and is off: set platforms.ghes.webhook_secrets",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseOfATypeWithoutADefaultAddress(t *testing.T) {
	t.Parallel()
	got := mustParse(t, "platforms: {forgejo: {url: 'https://a.example'}, b: {type: forgejo, url: 'https://b.example'}}", nil)
	want := map[string]Platform{"forgejo": {Type: "gitea", URL: "https://a.example"}, "b": {Type: "gitea", URL: "https://b.example"}}
	if diff := cmp.Diff(want, got.Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	problems := problemsOf(t, "platforms: {gitea: {token: a-long-enough-token}}", nil)
	if len(problems) != 1 || !strings.Contains(problems[0], "platforms.gitea.url is missing") {
		t.Errorf("problems %q", problems)
	}
}

func TestParseOfNothing(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing\n", "document start": "---\n", "null": "null", "null section": "server:\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mustParse(t, text, nil)
			if diff := cmp.Diff(builtin().Defaults, got.Defaults); diff != "" {
				t.Errorf("defaults (-want +got):\n%s", diff)
			}
			if len(got.Warnings) != 2 {
				t.Errorf("warnings = %q, want one about platforms and one about repositories", got.Warnings)
			}
		})
	}
}

func TestRepositoriesInheritEachKey(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
repositories:
  - match: github/acme/*
    gate: {new_only: false}
    tags: [v*]
  - match: github/**
    branches: []
    supersede: true
    scan_timeout: 5m
    gate: {fail_on: never}
defaults:
  context: security
  branches: [main]
  gate: {fail_on: low}
  supersede: false
platforms: {github: {webhook_secrets: [a-long-secret], token: a-long-token}}
`, nil)
	base := got.Defaults
	acme, rest := base, base
	acme.Gate.NewOnly, acme.Tags = false, []string{"v*"}
	rest.Branches, rest.Supersede, rest.ScanTimeout, rest.Gate.FailOn = []string{}, true, 5*time.Minute, Never

	want := []Repository{{Match: "github/acme/*", Policy: acme}, {Match: "github/**", Policy: rest}}
	if diff := cmp.Diff(want, got.Repositories); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
	if base.Context != "security" || base.Gate != (Gate{FailOn: "low", NewOnly: true, Coverage: "tell", Unresolved: "tell", FirstScan: "gate"}) {
		t.Errorf("defaults = %+v", base)
	}
	if len(got.Warnings) != 0 {
		t.Errorf("warnings = %q, want none", got.Warnings)
	}
}

func TestParseConvertsVariables(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
platforms:
  github:
    webhook_secrets: ["${OLD:-}", "${NEW}", "$$${NEW}$"]
    app: {id: "${APP_ID}", private_key_file: "${KEY:-/run/key.pem}"}
    min_post_interval: ${PAUSE}
  gitlab:
    signing_tokens: ["${OLD:-}"]
    app: {id: "${NONE:-}", private_key_file: "${NONE:-}"}
api:
  tokens:
    - {name: off, token: "${OLD:-}", role: admin}
    - {name: on, token: "${NEW}", role: reader}
defaults: {supersede: "${SUPERSEDE}", scan_timeout: "${NONE:-}"}
`, variables{"OLD": "", "NEW": "s3cr#t: [${x long", "APP_ID": "42", "PAUSE": "2s", "SUPERSEDE": "false"})

	if diff := cmp.Diff([]Secret{"s3cr#t: [${x long", "$s3cr#t: [${x long$"}, got.Platforms["github"].WebhookSecrets); diff != "" {
		t.Errorf("webhook secrets (-want +got):\n%s", diff)
	}
	if app := got.Platforms["github"].App; *app != (App{42, "/run/key.pem"}) {
		t.Errorf("app = %+v", app)
	}
	if pause := got.Platforms["github"].MinPostInterval; pause != 2*time.Second {
		t.Errorf("min_post_interval = %s, want 2s", pause)
	}
	if gitlab := got.Platforms["gitlab"]; gitlab.Enabled() || gitlab.App != nil {
		t.Errorf("gitlab = %+v, want it off and without an App", gitlab)
	}
	if diff := cmp.Diff([]Token{{Name: "on", Token: "s3cr#t: [${x long", Grant: Grant{Role: RoleReader}}}, got.API.Tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if got.Defaults.Supersede || got.Defaults.ScanTimeout != time.Hour {
		t.Errorf("defaults = %+v, want supersede off and scan_timeout 1h", got.Defaults)
	}
}

func TestParseFollowsAliases(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
repositories:
  - {match: github/a/*, gate: &strict {fail_on: low, new_only: false}}
  - {match: github/b/*, gate: *strict}
`, nil)
	if want := (Gate{FailOn: "low", Coverage: "tell", Unresolved: "tell", FirstScan: "gate"}); got.Repositories[1].Gate != want {
		t.Errorf("gate = %+v, want %+v", got.Repositories[1].Gate, want)
	}
}

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
