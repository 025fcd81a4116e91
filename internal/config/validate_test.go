package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidationOfServerAndDatabase(t *testing.T) {
	t.Parallel()
	const (
		listen   = `c.yaml:1:18: server.listen must be host:port, such as ":8080" or "127.0.0.1:8080"`
		address  = "c.yaml:1:22: server.public_url must be an address that starts with https:// or http:// and a host"
		paths    = "c.yaml:1:21: runner.max_paths must be between 1 and 100000000"
		database = "c.yaml:1:17: database.url must start with sqlite: or postgres://"
		postgres = "c.yaml:1:17: database.url must look like postgres://user:password@host/database; " +
			"in the password write %40 for @, %2F for / and the like (percent-encoding)"
	)
	tests := map[string]struct{ text, want string }{
		"listen without port":   {"server: {listen: localhost}", listen},
		"listen, port only":     {"server: {listen: '8080'}", listen},
		"listen, port too high": {"server: {listen: ':65536'}", listen},
		"listen, port by name":  {"server: {listen: ':http'}", listen},
		"metrics_listen without port": {
			"server: {metrics_listen: localhost}",
			`c.yaml:1:26: server.metrics_listen must be host:port, such as ":8080" or "127.0.0.1:8080"`,
		},
		"listen, a socket's name": {
			"server: {listen: 'unix:scanhook.sock'}",
			"c.yaml:1:18: server.listen must name the socket by its whole path, such as unix:/run/scanhook/scanhook.sock",
		},
		"tls, no key": {
			"server: {tls: {cert_file: a}}", "c.yaml:1:10: server.tls.key_file is missing: write the path of the certificate's key (PEM)",
		},
		"tls, no certificate": {
			"server: {tls: {key_file: a}}", "c.yaml:1:10: server.tls.cert_file is missing: write the path of the certificate (PEM)",
		},
		"listen, a URL":         {"server: {listen: 'http://a:80'}", listen},
		"public_url, no scheme": {"server: {public_url: example.com}", address},
		"public_url, no host":   {"server: {public_url: 'http://:80'}", address},
		"public_url, ftp":       {"server: {public_url: ftp://a}", address},
		"public_url, broken":    {"server: {public_url: 'http://a b%%'}", address},
		"public_url, user": {
			"server: {public_url: 'http://a:b@c'}",
			"c.yaml:1:22: server.public_url must not hold a user name or password",
		},
		"public_url, query": {
			"server: {public_url: 'http://a/?b'}",
			"c.yaml:1:22: server.public_url must end with its path, without ? and #",
		},
		"max_paths, none":     {"runner: {max_paths: 0}", paths},
		"max_paths, too many": {"runner: {max_paths: 100000001}", paths},
		"per_project, none":   {"runner: {per_project: 0}", "c.yaml:1:23: runner.per_project must be between 1 and 1000"},
		"cage, unknown":       {"runner: {cage: none}", "c.yaml:1:16: runner.cage must be best or require"},
		"read, relative": {
			"scanners: {lint: {command: [lint], read: [rules]}}", "c.yaml:1:43: scanners.lint.read[0] must be an absolute path",
		},
		"write, no command": {
			"scanners: {lint: {upload: true, write: [/rules]}}", "c.yaml:1:33: scanners.lint.write is for scanners with a command only",
		},
		"memory, little": {
			"scanners: {lint: {command: [lint], memory: 1MiB}}", "c.yaml:1:44: scanners.lint.memory must be 64MiB or more",
		},
		"cache_size, none": {"runner: {cache_size: 0}", "c.yaml:1:22: runner.cache_size must be 1MiB or more"},
		"cache_size, no unit that there is": {
			"runner: {cache_size: 2GG}", "c.yaml:1:22: runner.cache_size must be a size such as 20GiB or 500MB",
		},
		"scan_history, none":     {"defaults: {scan_history: 0}", "c.yaml:1:26: defaults.scan_history must be between 1 and 100000"},
		"scan_history, too long": {"defaults: {scan_history: 100001}", "c.yaml:1:26: defaults.scan_history must be between 1 and 100000"},
		"database, mysql":        {"database: {url: mysql://a}", database},
		"database, file":         {"database: {url: scanhook.db}", database},
		"database, empty":        {"database: {url: ''}", database},
		"database, no file": {
			"database: {url: 'sqlite://'}", "c.yaml:1:17: database.url names no file: write sqlite:scanhook.db",
		},
		"postgres, opaque":   {"database: {url: postgres:db}", postgres},
		"postgres, password": {"database: {url: 'postgres://u:p%zz@h/d'}", postgres},
		"postgres, slash":    {"database: {url: 'postgres://u:1/w@h/d'}", postgres},
		"postgres, query":    {"database: {url: 'postgres://h/d?password=%zz'}", postgres},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{test.want}, problemsOf(t, test.text, nil)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidationOfScannersAndPolicies(t *testing.T) {
	t.Parallel()
	const notGlob = `is not a glob: close every [ and {, and write \ before one that is meant as it is`
	got := problemsOf(t, `scanners:
  none: {upload: false}
  both: {builtin: gitleaks, upload: true}
  word: {builtin: gitleak, format: serif}
  idle: {command: []}
  "a/b": {upload: true}
  typo: {comand: [x]}
defaults:
  context: ""
  branches: ["[a"]
  tags: [""]
  scanners: [gitleak, both, both]
  gate: {fail_on: hihg, epss: 10}
repositories:
  - scanners: [trivy]
  - match: "{a"
    gate: {epss: NaN, kev: 1}
epss: {url: "ftp://x", kev_url: "https://x/?y", every: 0s}
ai: {url: "https://user@x", max_findings: 0}
`, nil)
	want := []string{
		"c.yaml:2:3: scanners.none must have exactly one of builtin, command and upload: true, not 0",
		"c.yaml:3:3: scanners.both must have exactly one of builtin, command and upload: true, not 2",
		`c.yaml:4:19: scanners.word.builtin must be gitleaks (did you mean "gitleaks"?)`,
		`c.yaml:4:36: scanners.word.format must be sarif or json (did you mean "sarif"?)`,
		"c.yaml:5:10: scanners.idle.command must start with the program to run",
		"c.yaml:6:3: scanners.a/b has a name that cannot be part of an address: use lower-case letters, digits, - and _",
		`c.yaml:7:10: unknown key "comand" in scanners.typo (did you mean "command"? ` +
			"valid keys: command, builtin, upload, format, timeout, network, network_forks, read, write, memory, categories, rules, allow, archives)",
		"c.yaml:9:12: defaults.context must be a name of 1 to 255 characters on one line",
		"c.yaml:10:14: defaults.branches[0] " + notGlob,
		"c.yaml:11:10: defaults.tags[0] is missing: write a name or a glob such as release/**",
		`c.yaml:12:14: defaults.scanners[0] names the unknown scanner "gitleak" (did you mean "gitleaks"? ` +
			"valid names: gitleaks, a/b, both, idle, none, typo, word)",
		`c.yaml:12:29: defaults.scanners[2] names the scanner "both" for the second time`,
		`c.yaml:13:19: defaults.gate.fail_on must be critical, high, medium, low or never (did you mean "high"?)`,
		"c.yaml:13:31: defaults.gate.epss must be a probability from 0 to 1, such as 0.1; 0 switches it off",
		"c.yaml:15:5: repositories[0].match is missing: write a name or a glob such as release/**",
		`c.yaml:15:16: repositories[0].scanners[0] names the unknown scanner "trivy" ` +
			"(valid names: a/b, both, gitleaks, idle, none, typo, word)",
		"c.yaml:16:12: repositories[1].match " + notGlob,
		"c.yaml:17:18: repositories[1].gate.epss must be a probability from 0 to 1, such as 0.1; 0 switches it off",
		"c.yaml:17:28: repositories[1].gate.kev must be true or false",
		"c.yaml:18:13: epss.url must be an address that starts with https:// or http:// and a host",
		"c.yaml:18:33: epss.kev_url must end with its path, without ? and #",
		"c.yaml:18:56: epss.every must be a duration longer than zero, such as 30s, 10m or 1h",
		"c.yaml:19:1: ai.model is missing: write the name that the service gives the model",
		"c.yaml:19:11: ai.url must not hold a user name or password",
		"c.yaml:19:43: ai.max_findings must be between 1 and 1000",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `server: {listen: "127.0.0.1:0"}
platforms:
  github:
    webhook_secrets: [short]
  gitlab:
    signing_tokens: [not-base64!]
    token: glpat-long-enough
scanners:
  semgrep: {command: [semgrep, "{ouput}", "{json}", "{source}", "{chaned}", "{changed}"]}
repositories:
  - match: acme/*
  - match: git*/**
  - match: "**"
  - match: git*/**
  - match: github/acme/one
epss: {enabled: true, url: "", kev_url: ""}
ai: {may_dismiss: true}
`, nil)
	want := []string{
		"c.yaml:1:18: server.listen has port 0: another free port is taken at each start",
		"c.yaml:3:3: platforms.github has no token: commit statuses are kept and shown, but not posted",
		"c.yaml:4:23: platforms.github.webhook_secrets[0] is so short that it can be guessed: " +
			"use 8 characters or more, better 32",
		"c.yaml:6:22: platforms.gitlab.signing_tokens[0] is not a signing token: whsec_ and base64",
		`c.yaml:9:32: scanners.semgrep.command[1] holds {ouput}, which is passed on as it is (did you mean "{output}"?)`,
		`c.yaml:9:65: scanners.semgrep.command[4] holds {chaned}, which is passed on as it is (did you mean "{changed}"?)`,
		"c.yaml:11:12: repositories[0].match begins with none of the configured platforms: " +
			"write platform/project, such as github/acme/* (valid platforms: github, gitlab)",
		"c.yaml:14:12: repositories[3].match is never reached: repositories[2] matches the same, and the first match wins",
		"c.yaml:15:12: repositories[4].match is never reached: repositories[2] matches the same, and the first match wins",
		"c.yaml:16:1: epss is enabled but has neither url nor kev_url: nothing is fetched",
		"c.yaml:17:19: ai.may_dismiss does nothing: there is no ai.url, so no AI is asked",
	}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestValidationOfProxiesAndShortTokens(t *testing.T) {
	t.Parallel()
	const proxy = " must be an address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8"
	got := problemsOf(t, `server:
  trusted_proxies: [10.0.0.1, "::1", 10.0.0.0/8, fd00::/8, localhost, 10.0.0.0/33, "fe80::1%eth0", "::ffff:10.0.0.0/104"]
api:
  tokens:
    - {name: a, token: fifteen-letters, role: admin}
    - {name: b, token: sixteen-letters!, role: admin}
    - {name: c, token: "", role: admin}
`, nil)
	want := []string{
		"c.yaml:2:60: server.trusted_proxies[4]" + proxy, "c.yaml:2:71: server.trusted_proxies[5]" + proxy,
		"c.yaml:2:84: server.trusted_proxies[6]" + proxy, "c.yaml:2:100: server.trusted_proxies[7]" + proxy,
		"c.yaml:5:24: api.tokens[0].token has fewer than 16 characters and can be guessed: openssl rand -hex 32 makes a good one",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	everybody := mustParse(t, "server: {trusted_proxies: [0.0.0.0/0]}\nplatforms: {}\nrepositories: [{match: '**'}]\n", nil)
	warning := "c.yaml:1:28: server.trusted_proxies[0] trusts everybody: " +
		"every caller can choose the address that the log and the limits see"
	if len(everybody.Warnings) == 0 || everybody.Warnings[0] != warning {
		t.Errorf("warnings %q, want %q", everybody.Warnings, warning)
	}
}

func TestAnomalies(t *testing.T) {
	t.Parallel()
	config := mustParse(t, `
platforms: {github: }
defaults: {anomalies: off}
repositories: [{match: github/a/*, anomalies: fail}, {match: "**"}]
`, nil)
	for i, want := range []string{"fail", "off"} {
		if got := config.Repositories[i].Anomalies; got != want {
			t.Errorf("repositories[%d].anomalies = %q, want %q", i, got, want)
		}
	}
	if got := mustParse(t, `platforms: {github: }`, nil).Defaults.Anomalies; got != "report" {
		t.Errorf("by default %q, want report", got)
	}
	problems := problemsOf(t, "defaults: {anomalies: warn}", nil)
	if len(problems) != 1 || !strings.Contains(problems[0], "defaults.anomalies must be report, fail or off") {
		t.Errorf("problems = %q", problems)
	}
}

func TestForks(t *testing.T) {
	t.Parallel()
	config := mustParse(t, `
platforms: {github: }
defaults: {forks: off}
repositories: [{match: github/a/*, forks: all}, {match: "**"}]
`, nil)
	for i, want := range []string{"all", "off"} {
		if got := config.Repositories[i].Forks; got != want {
			t.Errorf("repositories[%d].forks = %q, want %q", i, got, want)
		}
	}
	problems := problemsOf(t, "defaults: {forks: no}", nil)
	if len(problems) != 1 || !strings.Contains(problems[0], "defaults.forks must be builtin, all or off") {
		t.Errorf("problems = %q", problems)
	}
}

func TestGateOnCoverage(t *testing.T) {
	t.Parallel()
	config := mustParse(t, `
defaults: {gate: {coverage: fail}}
repositories: [{match: github/a/*, gate: {coverage: tell}}, {match: "**", gate: {fail_on: low}}]
`, nil)
	for i, want := range []string{"tell", "fail"} {
		if got := config.Repositories[i].Gate.Coverage; got != want {
			t.Errorf("repositories[%d].gate.coverage = %q, want %q", i, got, want)
		}
	}
	problems := problemsOf(t, "defaults: {gate: {coverage: ignore}}", nil)
	if len(problems) != 1 || !strings.Contains(problems[0], "defaults.gate.coverage must be tell or fail") {
		t.Errorf("problems = %q", problems)
	}
}

func TestValidationOfRetention(t *testing.T) {
	t.Parallel()
	const age = "c.yaml:1:20: retention.scans must be a time such as 30d or 12h, or forever"
	tests := map[string]struct{ text, want string }{
		"no unit":     {"retention: {scans: 30}", age},
		"no days":     {"retention: {scans: 0d}", age},
		"negative":    {"retention: {scans: -3d}", age},
		"a fraction":  {"retention: {scans: 1.5d}", age},
		"too many":    {"retention: {scans: 99999999d}", age},
		"less than 0": {"retention: {scans: -3h}", age},
		"hours only":  {"retention: {scans: 3h}", "c.yaml:1:20: retention.scans must be 1d or more"},
		"deliveries, less than platforms repeat": {
			"retention: {deliveries: 6d}",
			"c.yaml:1:25: retention.deliveries must be 7d or more: a delivery that comes again must be recognised",
		},
		"no scans": {"retention: {keep_scans: 0}", "c.yaml:1:25: retention.keep_scans must be between 1 and 1000000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{test.want}, problemsOf(t, test.text, nil)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesAreForTheBuiltinScanner(t *testing.T) {
	t.Parallel()
	const why = " is for builtin: gitleaks only: other scanners have files of their own for it"
	got := problemsOf(t, "scanners:\n  a: {upload: true, rules: b.toml}\n  c: {command: [d], archives: true}\n"+
		"  e: {command: [f], allow: {paths: [g]}}\n  gitleaks: {builtin: gitleaks, rules: h.toml, archives: true, allow: {rules: [i]}}\n", nil)
	want := []string{
		"c.yaml:2:28: scanners.a.rules" + why, "c.yaml:3:31: scanners.c.archives" + why, "c.yaml:4:21: scanners.e.allow" + why,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

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
    - {name: a, token: a-long-enough-token, role: reader}
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
		"c.yaml:18:51: api.tokens[1].role must be reader, triager, uploader or admin",
		"c.yaml:19:7: api.tokens[2].name is missing: say whose token this is",
		`c.yaml:19:7: api.tokens[2].token is missing: write "${NAME:-}" for one that may be left out`,
		`c.yaml:19:14: api.tokens[2].role must be reader, triager, uploader or admin (did you mean "admin"?)`,
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
  tokens: [{name: a, token: "${FROM_A_FILE}", role: reader}]
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

func TestValidationOfCategories(t *testing.T) {
	t.Parallel()
	const name = "must be a category's name, such as language:go"
	const uploads = "is for upload: true only: what runs here makes one report"
	for text, want := range map[string]string{
		"scanners: {a: {upload: true, categories: [go, go]}}":    `c.yaml:1:47: scanners.a.categories[1] names the category "go" for the second time`,
		"scanners: {a: {upload: true, categories: [/go]}}":       `c.yaml:1:43: scanners.a.categories[0] must be written as reports have it, "go"`,
		`scanners: {a: {upload: true, categories: ["a  b"]}}`:    `c.yaml:1:43: scanners.a.categories[0] must be written as reports have it, "a b"`,
		`scanners: {a: {upload: true, categories: ["a\u202e"]}}`: `c.yaml:1:43: scanners.a.categories[0] must be written as reports have it, "a�"`,
		"scanners: {a: {upload: true, categories: [" + strings.Repeat("é", 101) + "]}}": "c.yaml:1:43: scanners.a.categories[0] " +
			"is too large: the name of a category has more than 200 bytes",
		"scanners: {a: {command: [x], categories: [/, b/]}}": "c.yaml:1:43: scanners.a.categories[0] " + uploads + ", and " + name +
			"\nc.yaml:1:46: scanners.a.categories[1] " + uploads + `, and must be written as reports have it, "b"`,
		"scanners: {a: {upload: true, categories: ['']}}": "c.yaml:1:43: scanners.a.categories[0] " + name,
		"scanners: {a: {command: [x], categories: [go]}}": "c.yaml:1:43: scanners.a.categories[0] " + uploads,
	} {
		if got := strings.Join(problemsOf(t, text, nil), "\n"); got != want {
			t.Errorf("%s: want %q, got %q", text, want, got)
		}
	}
	if got := mustParse(t, "scanners: {a: {upload: true, categories: [build/a, b]}}", nil).Scanners["a"].Categories; len(got) != 2 {
		t.Errorf("categories: %q", got)
	}
}
