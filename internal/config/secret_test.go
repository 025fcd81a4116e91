package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const canary = "hunter2-hunter22"

// secretive is a configuration with the canary in every place that may hold a secret.
func secretive(t *testing.T) *Config {
	t.Helper()
	return mustParse(t, `
database: {url: "postgres://scanhook:${CANARY}@db/scanhook?sslmode=disable&sslpassword=${CANARY}"}
platforms:
  gitlab: {webhook_secrets: ["${CANARY}"], signing_tokens: ["${CANARY}"], token: "${CANARY}"}
api: {tokens: [{name: a, token: "${CANARY}", role: admin}]}
`, variables{"CANARY": canary})
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	config := secretive(t)
	values := map[string]any{
		"config": config, "by value": *config, "secret": config.Platforms["gitlab"].Token,
		"list": config.Platforms["gitlab"].WebhookSecrets, "database": config.Database.URL, "tokens": config.API.Tokens,
		"pointer": &config.API.Tokens[0].Token,
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, text := range printed(t, value) {
				for _, spelling := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
					if strings.Contains(text, spelling) {
						t.Errorf("%s shows the secret: %s", form, text)
					}
				}
			}
		})
	}
}

// printed renders value in every way in which programs print values.
func printed(t *testing.T, value any) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x", "%U", "%t", "%30v", "%z"} {
		texts[verb] = fmt.Sprintf(verb, value)
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal} {
		data, err := marshal(value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		texts[name] = string(data)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "value", value)
	texts["slog"] = log.String()
	return texts
}

func TestSecretsPrintAsRedacted(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]string{
		"%v": "[redacted]", "%s": "[redacted]", "%q": `"[redacted]"`, "%#v": `"[redacted]"`, "%12s": "  [redacted]",
	} {
		if got := fmt.Sprintf(verb, Secret(canary)); got != want {
			t.Errorf("Sprintf(%q) = %q, want %q", verb, got, want)
		}
	}
	if got := fmt.Sprintf("%v|%s", Secret(""), Secret("")); got != "|" {
		t.Errorf("empty secrets print as %q, want nothing", got)
	}
	if got := Secret(canary).GoString() + DatabaseURL("sqlite:a").GoString(); got != `"[redacted]""sqlite:a"` {
		t.Errorf("GoString = %s", got)
	}
	data, err := xml.Marshal(Token{Token: canary})
	if err != nil || strings.Contains(string(data), canary) {
		t.Errorf("xml = %s, %v", data, err)
	}
	if got := Secret(canary).Reveal(); got != canary {
		t.Errorf("Reveal = %q, want the secret", got)
	}
}

func TestDatabaseURLHidesPasswords(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"sqlite:scanhook.db":                 "sqlite:scanhook.db",
		"sqlite:/var/lib/a.db?_pragma=x":     "sqlite:/var/lib/a.db?_pragma=x",
		"postgres://db/scanhook":             "postgres://db/scanhook",
		"postgres://u@db/scanhook":           "postgres://u@db/scanhook",
		"postgres://u:p%40@db/s?sslmode=off": "postgres://u:xxxxx@db/s?sslmode=off",
		"postgres://db/s?password=p&user=u":  "postgres://db/s?password=xxxxx&user=u",
		"postgres://u:p%zz@db":               "[redacted]",
		"postgres://db?password=%zz":         "[redacted]",
		"postgres://u:1/w@db/s":              "[redacted]",
		"postgres://u:1?w@db/s":              "[redacted]",
		"postgres://u:1#w@db/s":              "[redacted]",
		"":                                   "",
	} {
		if got := DatabaseURL(address).String(); got != want {
			t.Errorf("String of %q = %q, want %q", address, got, want)
		}
		if got := DatabaseURL(address).Reveal(); got != address {
			t.Errorf("Reveal = %q, want %q", got, address)
		}
	}
}

func TestProblemsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"platforms: {github: {token: [%s]}}", "platforms: {github: {token: {a: %s}}}",
		"platforms: {github: {webhook_secrets: %s}}", "platforms: {github: {token: *%s}}",
		"platforms: {github: {token: !!int %s}}", "platforms: {github: {token: '${%s}'}}",
		"platforms: {github: {token: '${%s-x}'}}", "platforms: {github: {token: \"%s}}",
		"platforms: {github: {url: 'https://x:%s@y'}}", "platforms: {github: {app: {id: %s}}}",
		"database: {url: 'postgres://u:%s%%zz@y'}", "database: {url: '%s'}", "server: {listen: '%s'}",
		"api: {tokens: [{name: a, role: '%s'}]}", "scanners: {a: {command: '%s'}}", "scanners: {a: {builtin: '%s'}}",
		"platforms: {github: {token: @%s}}", "platforms: {github: {token: %%%s}}", "platforms: {github: {token: !%s x}}",
	} {
		for _, line := range problemsOf(t, fmt.Sprintf(text, canary), nil) {
			if strings.Contains(line, canary) {
				t.Errorf("the problem of %s shows the secret: %s", text, line)
			}
		}
	}
}
