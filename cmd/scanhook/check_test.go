package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// checkStart is the part of a configuration that every check has.
const checkStart = `
server: {public_url: "https://scan.example.com"}
database: {url: "sqlite:DIR/scanhook.db"}
`

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

// A server that acknowledges what a crash takes back makes a 2xx worthless.
func TestCheckNamesSettingsThatLoseCommits(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	for setting, want := range map[string][]string{
		"on": {"durability of the database: "},
		// What the server itself has set may stand before it.
		"off": {"warn  durability of the database: ", "synchronous_commit = off: with the server, calls are lost"},
	} {
		text := strings.Replace(checkStart, "sqlite:DIR/scanhook.db", url+"&synchronous_commit="+setting, 1)
		command(t, "check", "--config", writeFile(t, text)).expect(t, 0, want...)
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
		"all is well": {"XDG_CACHE_HOME=" + dir, []string{"ok    git: /", "ok    workspaces: are made in ",
			"ok    mirrors: are kept in " + dir + "/scanhook/mirrors, up to 20 GiB", " free in ", " files"}, 0},
		"no caches": {"XDG_CACHE_HOME=/dev/null", []string{"warn  mirrors: are kept below ", "let runner.cache name a directory that stays"}, 0},
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

// looksAfter has the server check the webhooks of the projects.
func looksAfter(t *testing.T, w *sandbox, projects ...string) {
	t.Helper()
	set, err := platformsOf(w.config, nil)
	if err != nil {
		t.Fatal(err)
	}
	order := reconcile.CheckOrder{Report: func(reconcile.HookResult) {}}
	for _, project := range projects {
		order.Projects = append(order.Projects, store.KnownProject{SourcePlatform: w.kind, ProjectName: project})
	}
	checks := reconcile.NewHooks(reconcile.Config{
		Store: w.look(t), Platforms: set, Address: hookAddresses(w.config), Log: slog.New(slog.DiscardHandler),
	})
	if err := checks.CheckNow(t.Context(), order); err != nil {
		t.Fatal(err)
	}
}

// What the server has found wrong with webhooks, check tells also of projects that no entry names in full, without
// asking the platform again.
func TestCheckNamesWebhooksToMend(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab"})
	hooks := map[string]fakeforge.Hook{
		"acme/off":  {Failures: 40},
		"acme/mute": {Events: []string{"tag_push_events", "pipeline_events"}},
		"acme/lax":  {Events: []string{"push_events", "tag_push_events"}},
		"acme/fine": {},
	}
	var projects []string
	for project, hook := range hooks {
		w.platform.AddRepository(fakeforge.Repository{Project: project, Dir: sample.Dir, DefaultBranch: "main"})
		added := addHook(w, hook)
		if err := w.platform.ChangeHook(added.ID, func(h *fakeforge.Hook) { h.Project = project }); err != nil {
			t.Fatal(err)
		}
		projects = append(projects, project)
	}
	command(t, "migrate", "--config", w.file(t)).expect(t, 0)
	_ = w.listeners[len(w.listeners)-1].Close() // Scanhook is down: nothing can be revived
	looksAfter(t, w, projects...)
	asked := len(w.platform.Calls())
	check := command(t, "check", "--config", w.file(t))
	check.expect(t, exitFailed,
		"fail  webhook of project acme/off on gitlab: GitLab has disabled it after many failures",
		"run scanhook hooks sync gitlab/acme/off",
		"fail  webhook of project acme/mute on gitlab: it does not send push events; it does not send merge request events; run scanhook hooks sync gitlab/acme/mute",
		"warn  webhook of project acme/lax on gitlab: it does not send pipeline events; it does not send merge request events; run scanhook hooks sync gitlab/acme/lax",
		"scanhook recover gitlab/acme/lax looks again")
	if strings.Contains(check.out, "acme/fine") {
		t.Errorf("it names a webhook that is right:\n%s", check.out)
	}
	for _, call := range w.platform.Calls()[asked:] {
		if strings.Contains(call.Path, "/hooks") {
			t.Errorf("it asked the platform: %s %s", call.Method, call.Path)
		}
	}
	w.yaml = strings.Replace(w.yaml, "match: '**'", "match: gitlab/acme/other", 1)
	command(t, "check", "--config", w.file(t)).hides(t, "acme/off", "acme/mute")
}

// A webhook that is looked at now is told as it is now, once.
func TestCheckTellsOfAWebhookOnce(t *testing.T) {
	t.Parallel()
	for name, mended := range map[string]bool{"broken still": false, "mended since": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := setup(t, sandboxConfig{kind: "gitlab", extra: "repositories: [{match: gitlab/acme/shop}]"})
			command(t, "migrate", "--config", w.file(t)).expect(t, 0)
			var hooks []fakeforge.Hook
			for _, group := range []string{"acme", ""} {
				hooks = append(hooks, addHook(w, fakeforge.Hook{Group: group, Events: []string{"tag_push_events"}}))
			}
			looksAfter(t, w, "acme/shop")
			for _, hook := range hooks {
				if err := w.platform.ChangeHook(hook.ID, func(h *fakeforge.Hook) {
					if mended {
						h.Events = []string{"push_events", "tag_push_events", "pipeline_events", "merge_requests_events"}
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
			check := command(t, "check", "--config", w.file(t))
			if told := strings.Count(check.out, "  webhook "); told != 1 && mended || told != 2 && !mended {
				t.Errorf("told %d times:\n%s", told, check.out)
			}
		})
	}
}

// A token is tried before a commit waits for its status.
func TestCheckTriesTokens(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(3 * 24 * time.Hour)
	said := map[string]string{"github": `"Bad credentials"`, "gitlab": `"401 Unauthorized"`}
	for _, kind := range kinds {
		for name, test := range map[string]struct {
			change func(*sandbox)
			code   int
			want   string
		}{
			"right": {func(*sandbox) {}, 0, "ok    platform NAME: "},
			"wrong": {func(w *sandbox) { w.secrets["TOKEN"] = "of another platform" }, exitFailed, "answered 401, SAID: the token"},
			"too narrow": {func(w *sandbox) { w.platform.TokenIs(time.Time{}, "read_api", "gist") }, exitFailed,
				"fail  platform NAME: verifies webhooks at "},
			"ends soon": {func(w *sandbox) { w.platform.TokenIs(soon) }, 0,
				" until its token ends on " + soon.UTC().Format(time.DateOnly) + "; renew it there and set platforms.NAME.token"},
			"ends one day": {func(w *sandbox) { w.platform.TokenIs(soon.AddDate(0, 1, 0)) }, 0, "ok    platform NAME: "},
			"busy":         {func(w *sandbox) { w.platform.Fail(fakeforge.RateLimited(time.Minute)) }, 0, "rate limited for 1m0s"},
			"broken":       {func(w *sandbox) { w.platform.Fail(fakeforge.BadGateway()) }, 0, "which cannot be asked now: "},
			"away":         {func(w *sandbox) { w.platform.Fail(fakeforge.Drop()) }, 0, "let this host reach it"},
			"refused":      {func(w *sandbox) { w.platform.Fail(fakeforge.Fault{Status: http.StatusForbidden}) }, exitFailed, "answered 403"},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				w, _ := setup(t, sandboxConfig{kind: kind})
				test.change(w)
				got := command(t, "check", "--config", w.file(t))
				got.expect(t, test.code, strings.NewReplacer("NAME", kind, "SAID", said[kind]).Replace(test.want))
				got.hides(t, w.secrets["TOKEN"])
				if calls := w.platform.Calls(); len(calls) != 1 {
					t.Errorf("it asked %d times: %+v", len(calls), calls)
				}
			})
		}
	}
}

// Whoever has taken the signing token out of the configuration has nothing to mend.
func TestCheckTellsOfRefusedCallsWhileCallsCanBeSigned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := storetest.OpenAt(t, "sqlite:"+filepath.Join(dir, "scanhook.db"), store.Config{})
	for _, signed := range []bool{true, false} {
		d := core.Delivery{Platform: "gitlab", Key: "k", Name: "Push Hook", Project: "acme/shop"}
		d.Verification = core.Verification{SecretID: "0a", Place: "x", Signed: signed, MaySign: true}
		d.Event = core.Ignored{Reason: "x"}
		if _, err := s.Keep(t.Context(), core.Call{Delivery: d}); signed != (err == nil) {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const warning = "warn  signatures of gitlab/acme/shop: 1 call refused"
	const signing = `signing_tokens: ["whsec_c2Nhbmhvb2sgdGVzdCBzaWduaW5nIHRva2VuIQ=="]`
	for name, test := range map[string]struct {
		platforms, repositories string
		warns                   bool
	}{
		"for all":    {`gitlab: {` + signing + `}`, `{match: "**"}`, true},
		"for it":     {`gitlab: {}`, `{match: "gitlab/acme/*", ` + signing + `}`, true},
		"for others": {`gitlab: {}`, `{match: "gitlab/other/*", ` + signing + `}`, false},
		"for none":   {`gitlab: {webhook_secrets: [secret-of-gitlab]}`, `{match: "**"}`, false},
		"elsewhere":  {`forge: {type: gitlab, url: "http://127.0.0.1:1", ` + signing + `}`, `{match: "**"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(checkStart, "DIR", dir) +
				"platforms: {" + test.platforms + "}\nrepositories: [" + test.repositories + "]"
			text = strings.ReplaceAll(text, "gitlab: {", `gitlab: {url: "http://127.0.0.1:1", `)
			got := command(t, "check", "--config", writeFile(t, text))
			if strings.Contains(got.out, warning) != test.warns {
				t.Errorf("want it to warn %t:\n%s%s", test.warns, got.out, got.errs)
			}
		})
	}
}

func TestCheckNamesSilentWebhooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := strings.ReplaceAll(checkStart, "DIR", dir) + `repositories: [{match: "github/acme/*"}]`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now().AddDate(0, 0, -50)
	s := storetest.OpenAt(t, "sqlite:"+filepath.Join(dir, "scanhook.db"), store.Config{
		Now: func() time.Time { return now }, Policies: core.Policies{{Match: "**"}},
	})
	for day := range 40 {
		for _, project := range []string{"acme/shop", "other/shop"} {
			d := core.Delivery{Platform: "github", Key: fmt.Sprint(project, day), Name: "ping", Project: project}
			if _, err := s.Accept(t.Context(), storetest.With(d, core.Ignored{Reason: "ping"})); err != nil {
				t.Fatal(err)
			}
		}
		now = now.AddDate(0, 0, 1)
	}
	if _, _, err := s.RecordCalls(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	run(t.Context(), []string{"check", "--config", file}, &out, &errs)
	for _, want := range []string{"warn  webhook of github/acme/shop: silent since ", "warn  all webhooks of github: silent since "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s%s", want, out.String(), errs.String())
		}
	}
	if strings.Contains(out.String(), "other/shop") {
		t.Errorf("it names a project that is not configured:\n%s", out.String())
	}
}

// A call goes through the public address and is found in the database, made by the platform where it can be asked for one.
func TestCheckOnline(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"github": "ok    call of github: the webhook of project acme/shop has called ",
		"gitlab": "ok    call of gitlab: the webhook of project acme/shop has called ",
		"gitea":  "; gitea itself was not asked: no access to the webhooks: gitea sends no ping",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind, extra: "repositories: [{match: " + kind + "/acme/shop}]"})
			command(t, "check", "--online", "--config", w.file(t)).expect(t, exitFailed, "fail  public address: "+w.scanhook+"/healthz")
			startSandbox(t, w)
			syncs(t, w).expect(t, 0, "added")
			pushTo(t, w, "main", "", sample.Head)
			command(t, "check", "--online", "--config", w.file(t)).expect(t, 0,
				"ok    public address: "+w.scanhook+"/healthz is answered by Scanhook", want, "is kept as delivery ")
		})
	}
}

// What stands in the way of calls is told with what to do about it.
func TestCheckOnlineSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		health, webhook int
		want            string
	}{
		"another server": {404, 0, "is answered 404 by something else than Scanhook: let the proxy lead there to server.listen"},
		"other secrets":  {200, 401, "the running server has other secrets than this configuration: restart it"},
		"a redirect":     {200, 301, "platforms follow no redirect: write the address where it leads into server.public_url"},
		"no database":    {200, 503, "Scanhook or its database is down: see its log"},
		"a login":        {200, 403, "let the proxy pass calls of 25 MB on as they are, without a login"},
		"a page":         {200, 200, "something else than Scanhook answers"},
	}
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/healthz" {
					w.WriteHeader(test.health)
					fmt.Fprintln(w, "ok")
					return
				}
				w.WriteHeader(test.webhook)
			}))
			t.Cleanup(proxy.Close)
			text := fmt.Sprintf("server: {public_url: %q}\ndatabase: {url: %q}\nplatforms: {github: {webhook_secrets: [%q]}}\n", proxy.URL,
				"sqlite:"+t.TempDir()+"/scanhook.db", "a-secret-of-32-characters-or-more")
			command(t, "check", "--online", "--config", writeFile(t, text)).expect(t, exitFailed, test.want)
		})
	}
}
