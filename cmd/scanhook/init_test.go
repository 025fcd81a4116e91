package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/config"
)

var (
	secretText = regexp.MustCompile(`"([0-9a-f]{64})"`)
	secretLine = regexp.MustCompile(`config\.yaml line (\d+)`)
)

// secretsIn are the generated secrets of a file, in its order.
func secretsIn(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, match := range secretText.FindAllStringSubmatch(string(data), -1) {
		secrets = append(secrets, match[1])
	}
	return secrets
}

func TestInitWritesConfiguration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	got := command(t, "init", "--config", path, "--public-url", "https://scan.example.com/sub/")
	got.expect(t, 0, "https://scan.example.com/sub/webhooks/github", "https://scan.example.com/sub/webhooks/gitlab",
		"application/json", "Pushes, Workflow runs, Statuses", "Push events, Tag push events, Pipeline events", "Commit statuses: write",
		"scanhook check --config "+path, "scanhook serve --config "+path,
		"scanhook hooks sync --config "+path+" github/acme/shop", "Webhooks: read and write", "uncomment gitea in "+path)
	secrets := secretsIn(t, path)
	if len(secrets) != 3 || secrets[0] == secrets[1] || secrets[1] == secrets[2] {
		t.Fatalf("secrets = %q, want 3 different ones", secrets)
	}
	got.hides(t, secrets...)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	cfg, err := config.Load(path, platformTypes(), func(string) (string, bool) { return "", false })
	if err != nil || cfg.Platforms["github"].WebhookSecrets[0].Reveal() != secrets[0] {
		t.Errorf("the file reads back as %+v, %v", cfg, err)
	}
}

func TestInitNamesLinesOfSecrets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	got := command(t, "init", "--config", path, "--public-url", "https://scan.example.com")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	named := secretLine.FindAllStringSubmatch(got.out, -1)
	for i, secret := range secretsIn(t, path) {
		number, _ := strconv.Atoi(named[i][1])
		if !strings.Contains(lines[number-1], secret) {
			t.Errorf("secret %d stands not in line %d: %s", i, number, lines[number-1])
		}
	}
}

func TestInitShowsSecretsWhenAsked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	got := command(t, "init", "--config", path, "--show-secrets")
	got.expect(t, 0, secretsIn(t, path)...)
	got.expect(t, 0, "The platforms cannot reach http://localhost:8080")
}

func TestInitReplacesOnlyWhenForced(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "precious")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "init", "--config", path).expect(t, 1, "exists already", "--force")
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("the file holds %q, %v, want what it held before", data, err)
	}
	command(t, "init", "--config", path, "--force").expect(t, 0, "Wrote "+path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files were left behind, %v, want 1", len(entries), err)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no address":     {[]string{"--public-url", "scan.example.com"}, 2, "--public-url: server.public_url must be"},
		"no folder":      {[]string{"--config", filepath.Join(folder, "a", "config.yaml")}, 1, "make the folder"},
		"no folder, too": {[]string{"--config", filepath.Join(folder, "a", "config.yaml"), "--force"}, 1, "make the folder"},
		"an argument":    {[]string{"here"}, 2, "use it as: scanhook init (1 argument given)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config.yaml")
			command(t, append([]string{"init", "--config", path}, test.args...)...).expect(t, test.code, test.want)
			if _, err := os.Stat(path); err == nil {
				t.Error("a file was written")
			}
		})
	}
}
