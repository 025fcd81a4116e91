package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkStart is the part of a configuration that every check has.
const checkStart = `
server: {public_url: "https://scan.example.com"}
database: {url: "sqlite:DIR/scanhook.db"}
`

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config string
		code   int
		want   []string
	}{
		"platforms": {`
platforms:
  github: {}
  ghes:
    {type: github, url: "https://ghes.example.com", webhook_secrets: [secret-of-ghes],
     app: {id: 7, private_key_file: DIR/no.pem}}
  gitlab: {webhook_secrets: [secret-of-gitlab]}
  forge:
    {type: gitlab, url: "http://127.0.0.1:1/git", webhook_secrets: [secret-of-forge], token: token-of-forge}
repositories: [{match: "**"}]`, 1, []string{
			"warn  configuration: ",
			"off   platform github: no webhook secret; set platforms.github.webhook_secrets",
			"fail  platform ghes: configuring GitHub ghes: reading the App's private key: ",
			"warn  platform gitlab: verifies webhooks at https://scan.example.com/webhooks/gitlab, no token: statuses are",
			"warn  platform forge: verifies webhooks at https://scan.example.com/webhooks/forge, statuses posted to " +
				"http://127.0.0.1:1/git, which cannot be asked now: ",
			"let this host reach it, or mend url or api_url of platforms.forge",
			"off   api: no token",
			"ok    server: ", "ok    database: sqlite:", "ok    git: ", "something is broken",
		}},
		"scanners": {`
api: {tokens: [{name: ci, token: long-token-of-ci, role: viewer}]}
scanners:
  found: {command: [git, "{source}"]}
  lost: {command: [scanhook-test-no-such-program, "{source}"]}
  spare: {command: [scanhook-test-no-such-program, "{source}"]}
  outside: {upload: true}
repositories:
  - {match: github/acme/*, branches: [main, "release/**"], tags: ["v*"], scanners: [found, lost],
     gate: {fail_on: never}}
  - {match: "**", scanners: [gitleaks, outside], gate: {fail_on: low, new_only: false}, context: sec}`, 1, []string{
			"ok    api: open for ci (viewer)",
			"ok    scanner found: /",
			`fail  scanner lost: exec: "scanhook-test-no-such-program": executable file not found in $PATH; install it`,
			"off   scanner spare: no repository uses it",
			"ok    scanner gitleaks: built in",
			"warn  scanner outside: no report can be uploaded",
			"ok    repository github/acme/*: branches main, release/**; tags v*; scanned by found, lost; never red; " +
				"status scanhook",
			"ok    repository **: branches **; scanned by gitleaks, outside; red for a finding that is low or worse; status sec",
		}},
		"warnings only": {`
api: {tokens: [{name: ci, token: long-token-of-ci, role: scanner}]}
scanners: {outside: {upload: true}}
defaults: {scanners: [outside]}`, 0, []string{
			"ok    api: open for ci (scanner)", "off   scanner outside: no repository uses it", "warn  repositories: none",
		}},
		"secrets": {`
platforms:
  github: {}
  gitlab: {url: "http://127.0.0.1:1", webhook_secrets: ["", secret-of-gitlab], token: token-of-gitlab}
repositories:
  - {match: github/acme/*, webhook_secrets: [secret-of-forge]}
  - {match: "*/acme/**", webhook_secrets: [secret-of-ghes]}`, 0, []string{
			"warn  platform github: verifies webhooks at https://scan.example.com/webhooks/github",
			"off   secret repositories[0].webhook_secrets[0] (", ") of github: never used: no webhook has it yet",
			"off   secret repositories[1].webhook_secrets[0] (", ") of github: never used",
			"off   secret webhook_secrets[1] (", ") of gitlab: never used",
		}},
		"broken file": {`repositories: [{mach: "**"}]`, 1, []string{"config.yaml:4:16: ", `did you mean "match"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(checkStart+strings.TrimPrefix(test.config, "\n"), "DIR", t.TempDir())
			got := command(t, "check", "--config", writeFile(t, text))
			got.expect(t, test.code, test.want...)
			got.hides(t, "secret-of-ghes", "secret-of-gitlab", "secret-of-forge", "token-of-forge", "long-token-of-ci")
		})
	}
}

func TestCheckLooksForTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := writeFile(t, strings.Repeat("this is no database\n", 100))
	for name, test := range map[string]struct {
		url  string
		code int
		want string
	}{
		"not there yet": {"sqlite:" + filepath.Join(dir, "scanhook.db"), 0, "is created at the first start"},
		"no folder":     {"sqlite:" + filepath.Join(dir, "a", "scanhook.db"), 1, "fail  database: "},
		"no database":   {"sqlite:" + garbage, 1, "put a backup in the file's place"},
		"server away": {"postgres://scanhook:hunter2hunter2@127.0.0.1:1/scanhook", 1,
			"fail  database: postgres://scanhook:xxxxx@127.0.0.1:1/scanhook: reaching database: unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := command(t, "check", "--config", writeFile(t, `database: {url: "`+test.url+`"}`))
			got.expect(t, test.code, test.want)
			got.hides(t, "hunter2hunter2")
		})
	}
}

func TestCheckLeavesTheDatabaseAlone(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "scanhook.db")
	config := writeFile(t, `database: {url: "sqlite:`+database+`"}`)
	command(t, "check", "--config", config).expect(t, 0)
	command(t, "migrate", "down", "--yes", "--config", config).expect(t, 0, "holds no migration")
	command(t, "check", "--config", config).expect(t, 0, "sqlite:"+database+" answers")
	command(t, "migrate", "--config", config).expect(t, 0, "Applied 1 migration")
}

// git is looked for in PATH, which only a process of its own can have otherwise.
func TestCheckMissesGitWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scanners, want string
		code           int
	}{
		"scanner runs here": {"[gitleaks]", "fail  git: not found in PATH; install it", exitFailed},
		"uploads only":      {"[]", "off   git: not found in PATH, and not needed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(checkStart, "DIR", t.TempDir()) +
				`repositories: [{match: "**", scanners: ` + test.scanners + `}]`
			cmd := exec.CommandContext(t.Context(), os.Args[0], "check", "--config", writeFile(t, text))
			cmd.Env = []string{"PATH=" + t.TempDir(), beMain + "=1"}
			out, _ := cmd.CombinedOutput()
			outcome{cmd.ProcessState.ExitCode(), string(out), ""}.expect(t, test.code, test.want)
		})
	}
}

// What serve and the scanners that run here need of the machine is tried, and each failure says what to do.
func TestCheckTriesTheMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	if err := errors.Join(os.Mkdir(old, 0o700),
		os.WriteFile(filepath.Join(old, "git"), []byte("#!/bin/sh\necho git version 2.20.1\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		environment string
		want        []string
		code        int
	}{
		"all is well": {"", []string{"ok    git: /", "ok    workspaces: are made in ", " free in ", " files"}, 0},
		"no directory": {"TMPDIR=" + dir + "/none", []string{"fail  workspaces: making a workspace: ", "make the directory " + dir + "/none, or let TMPDIR",
			"fail  disk of the workspaces: "}, exitFailed},
		"a file":  {"TMPDIR=/dev/null", []string{"fail  workspaces: ", "let Scanhook write to /dev/null"}, exitFailed},
		"old git": {"PATH=" + old + ":/bin", []string{"fail  git: 2.20.1 is too old; install 2.31 or newer"}, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(checkStart, "DIR", t.TempDir()) + `repositories: [{match: "**", scanners: [gitleaks]}]`
			cmd := exec.CommandContext(t.Context(), os.Args[0], "check", "--config", writeFile(t, text))
			cmd.Env = append(os.Environ(), test.environment, beMain+"=1")
			out, _ := cmd.CombinedOutput()
			outcome{cmd.ProcessState.ExitCode(), string(out), ""}.expect(t, test.code, test.want...)
		})
	}
}

func TestCheckLooksForDamage(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "scanhook.db")
	config := writeFile(t, `database: {url: "sqlite:`+database+`"}`)
	command(t, "migrate", "--config", config).expect(t, 0)
	command(t, "check", "--config", config).expect(t, 0, "ok    integrity of the database: nothing is damaged")
	file, err := os.OpenFile(database, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for page := int64(8); page < 16; page++ { // of tables and indexes that the start does not read
		if _, err := file.WriteAt(bytes.Repeat([]byte{0x5a}, 64), page*4096); err != nil {
			t.Fatal(err)
		}
	}
	command(t, "check", "--config", config).expect(t, exitFailed, "fail  ", "put a backup in its place")
}
