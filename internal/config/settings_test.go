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
