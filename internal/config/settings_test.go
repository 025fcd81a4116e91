package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsTellChangesWithoutSecrets(t *testing.T) {
	t.Parallel()
	read := func(secret, failOn string) map[string]string {
		return mustParse(t, `
database: {url: "postgres://scanhook:a-long-password@db/scanhook"}
platforms: {github: {webhook_secrets: ["`+secret+`"], token: ""}}
scanners: {semgrep: {command: [semgrep, "--token=the-first-token", "{output}"]}}
repositories: [{match: "**", gate: {fail_on: `+failOn+`}}]
`, nil).Settings()
	}
	before, after := read("the-first-secret", "high"), read("the-second-secret", "low")
	for key, want := range map[string]string{
		"repositories[0].match": "**", "repositories[0].gate.fail_on": "high", "platforms.github.url": "https://github.com",
		"platforms.github.token": "", "web.public": "false", "repositories[0].scan_timeout": "1h0m0s",
	} {
		if before[key] != want {
			t.Errorf("%s is %q, want %q", key, before[key], want)
		}
	}
	for key, value := range before {
		if strings.Contains(value, "the-first") || strings.Contains(value, "a-long") {
			t.Errorf("%s shows a secret: %s", key, value)
		}
		changed := key == "platforms.github.webhook_secrets[0]" || key == "repositories[0].gate.fail_on"
		if changed != (value != after[key]) {
			t.Errorf("%s: before %q, after %q", key, value, after[key])
		}
	}
}

func TestCredentialsAreAllSecrets(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `
database: {url: "postgres://scanhook:a-long-password@db/scanhook"}
platforms: {github: {webhook_secrets: ["the-first-secret", ""], token: the-token-of-github}}
api: {tokens: [{name: ci, token: the-token-of-the-api, role: admin}]}
`, nil).Credentials()
	slices.Sort(got)
	want := []string{"a-long-password", "the-first-secret", "the-token-of-github", "the-token-of-the-api"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
}

func TestSettingsTellWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `defaults:
  scan_timeout: 1h30m
  gate: {kev: true, new_only: true}
  tags:
repositories:
  - match: github/acme/*
    scanners:
      - gitleaks
    gate:
      fail_on: critical
      new_only: false
  - match: "**"
    scan_timeout: 90s
`, nil)
	want := []Setting{
		{"context", "scanhook", FromBuiltin, 0}, {"branches", "[**]", FromBuiltin, 0}, {"tags", "[]", FromBuiltin, 0},
		{"scanners", "[gitleaks]", FromRepository, 7}, {"gate.fail_on", "critical", FromRepository, 10},
		{"gate.new_only", "false", FromRepository, 11}, {"gate.epss", "0", FromBuiltin, 0}, {"gate.kev", "true", FromDefaults, 3},
		{"gate.coverage", "tell", FromBuiltin, 0},
		{"gate.unresolved", "tell", FromBuiltin, 0}, {"gate.first_scan", "gate", FromBuiltin, 0},
		{"supersede", "true", FromBuiltin, 0}, {"scan_timeout", "1h30m", FromDefaults, 2}, {"scan_history", "1000", FromBuiltin, 0},
		{"anomalies", "report", FromBuiltin, 0}, {"publish", "status", FromBuiltin, 0}, {"forks", "builtin", FromBuiltin, 0}, {"badges", "off", FromBuiltin, 0}, {"replace", "always", FromBuiltin, 0},
		{"comment", "off", FromBuiltin, 0}, {"buttons", "scan", FromBuiltin, 0}, {"approval.critical", "1", FromBuiltin, 0}, {"approval.high", "1", FromBuiltin, 0},
		{"approval.medium", "1", FromBuiltin, 0}, {"approval.low", "1", FromBuiltin, 0}, {"approval.kev", "1", FromBuiltin, 0},
		{"archives", "false", FromBuiltin, 0}, {"gitleaks.rules", "", FromBuiltin, 0}, {"gitleaks.allow.paths", "[]", FromBuiltin, 0},
		{"gitleaks.allow.regexes", "[]", FromBuiltin, 0}, {"gitleaks.allow.rules", "[]", FromBuiltin, 0},
	}
	if diff := cmp.Diff(want, got.Effective(0)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	second := got.Effective(1)
	if !slices.Contains(second, Setting{"scan_timeout", "1m30s", FromRepository, 13}) {
		t.Errorf("the second entry's: %+v", second)
	}
	if line := got.Source.Lines["repositories[1].match"]; line != 12 || got.Source.File != "c.yaml" {
		t.Errorf("the second entry stands in line %d of %s", line, got.Source.File)
	}
	reference := mustParse(t, reference(t), variables{})
	for _, setting := range reference.Effective(0) {
		if setting.From != FromDefaults || setting.Line == 0 {
			t.Errorf("of the reference: %+v", setting)
		}
	}
}
