package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFillsDefaults(t *testing.T) {
	t.Parallel()
	got := mustParse(t, "platforms: {gitlab: , ghes: {type: github, url: 'https://ghes.example.com/'}}", nil)
	want := builtin()
	want.Platforms = map[string]Platform{
		"gitlab": {Type: TypeGitLab, URL: "https://gitlab.com"},
		"ghes":   {Type: TypeGitHub, URL: "https://ghes.example.com"},
	}
	want.Scanners = map[string]Scanner{
		"gitleaks": {Builtin: BuiltinGitleaks, Format: FormatSARIF, Timeout: 10 * time.Minute},
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
	if base.Context != "security" || base.Gate != (Gate{FailOn: "low", NewOnly: true}) {
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
    - {name: on, token: "${NEW}", role: viewer}
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
	if diff := cmp.Diff([]Token{{"on", "s3cr#t: [${x long", RoleViewer}}, got.API.Tokens); diff != "" {
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
	if want := (Gate{FailOn: "low"}); got.Repositories[1].Gate != want {
		t.Errorf("gate = %+v, want %+v", got.Repositories[1].Gate, want)
	}
}
