package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
)

func topKeys() (keys []string) {
	for _, f := range strictyaml.Fields(reflect.TypeFor[Config]()) {
		keys = append(keys, f.Key)
	}
	return keys
}

func TestParseTellsAllProblemsWithPlaceAndMend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"unknown key, nearest": {
			"platforms:\n  github:\n    webhook_secret: [x]\n",
			[]string{`c.yaml:3:5: unknown key "webhook_secret" in platforms.github (did you mean "webhook_secrets"? ` +
				"valid keys: webhook_secrets, type, url, api_url, signing_tokens, token, app, min_post_interval, ci)"},
		},
		"unknown key on top": {
			"servr: {}\n", []string{`c.yaml:1:1: unknown key "servr" (did you mean "server"? valid keys: server, ` +
				strings.Join(topKeys()[1:], ", ") + ")"},
		},
		"unknown key, nothing near": {
			"defaults:\n  gate:\n    cvss: 7\n",
			[]string{`c.yaml:3:5: unknown key "cvss" in defaults.gate (valid keys: fail_on, new_only, epss, kev, coverage, unresolved, first_scan)`},
		},
		"unknown key in a repository": {
			"repositories:\n  - match: '**'\n    branch: [x]\n",
			[]string{`c.yaml:3:5: unknown key "branch" in repositories[0] (did you mean "branches"? ` +
				"valid keys: branches, match, webhook_secrets, signing_tokens, context, tags, scanners, gate, supersede, " +
				"scan_timeout, scan_history, anomalies, publish, forks, badges, replace, comment, buttons, approval, archives and 1 more)"},
		},
		"duplicate keys": {
			"server:\n  listen: ':1'\n  listen: ':2'\nserver: {}\n",
			[]string{
				`c.yaml:3:3: duplicate key "listen": server.listen is set in line 2 already`,
				`c.yaml:4:1: duplicate key "server": server is set in line 1 already`,
			},
		},
		"wrong types": {
			"server: [a]\nplatforms:\n  github:\n    webhook_secrets: abc\n    token: [a]\n    app: {id: x}\n" +
				"defaults:\n  supersede: maybe\n  scan_timeout: 10\n  context: 12\n",
			[]string{
				"c.yaml:1:1: server must hold keys with values, not a list",
				"c.yaml:4:22: platforms.github.webhook_secrets must be a list, not a single value: " +
					"write [a, b], or one line with - and a space for each element",
				"c.yaml:5:5: platforms.github.token must be text, not a list",
				"c.yaml:6:15: platforms.github.app.id must be a whole number",
				"c.yaml:8:14: defaults.supersede must be true or false",
				"c.yaml:9:17: defaults.scan_timeout must be a duration longer than zero, such as 30s, 10m or 1h",
				"c.yaml:10:12: defaults.context must be text: put quotation marks around the value",
			},
		},
		"durations": {
			"scanners:\n  a: {upload: true, timeout: 0s}\n  b: {upload: true, timeout: -1m}\n",
			[]string{
				"c.yaml:2:30: scanners.a.timeout must be a duration longer than zero, such as 30s, 10m or 1h",
				"c.yaml:3:30: scanners.b.timeout must be a duration longer than zero, such as 30s, 10m or 1h",
			},
		},
		"variables": {
			"database:\n  url: postgres://${DB_USER}:${DB_PASSWORD}@db/${1}\n",
			[]string{
				"c.yaml:2:8: database.url needs the environment variable DB_USER, which is not set: " +
					"set it, or write ${DB_USER:-} for an empty value",
				"c.yaml:2:8: database.url needs the environment variable DB_PASSWORD, which is not set: " +
					"set it, or write ${DB_PASSWORD:-} for an empty value",
				"c.yaml:2:8: database.url has a ${…} that is neither ${NAME} nor ${NAME:-default}: " +
					"write $$ for a dollar sign",
			},
		},
		"second document": {
			"server: {}\n---\nserver: {}\n",
			[]string{"c.yaml:2:1: a second document starts here: write one, without ---"},
		},
		"not a mapping": {"- a\n", []string{"c.yaml:1:1: must hold keys with values, not a list"}},
		"wrong shape, told once": {
			"platforms:\n  github: x\n  a: []\napi:\n  tokens: [abc]\nrepositories:\n  - github/acme/*\n",
			[]string{
				"c.yaml:2:11: platforms.github must hold keys with values, not a single value",
				"c.yaml:3:3: platforms.a must hold keys with values, not a list",
				"c.yaml:5:12: api.tokens[0] must hold keys with values, not a single value",
				"c.yaml:7:5: repositories[0] must hold keys with values, not a single value",
			},
		},
		"strange keys": {
			"server: {[a]: b}\n", []string{"c.yaml:1:10: server has a key that is not a word"},
		},
		"colons that are missing": {
			"server:\n  listen:x\ndatabase:\n  url sqlite\n",
			[]string{
				"c.yaml:2:3: server must hold keys with values, not a single value: write key: value, with a colon and a space behind it",
				"c.yaml:4:3: database must hold keys with values, not a single value: write key: value, with a colon and a space behind it",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, problemsOf(t, test.text, nil)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
