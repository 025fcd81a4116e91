package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/store/storetest"
)

// partProcess starts scanhook serve with some parts at an address of its own, and the environment that they need. It returns
// that address once the process answers.
func partProcess(t *testing.T, w *sandbox, flag string, hidden ...string) (base string) {
	t.Helper()
	listener, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(w.yaml, "listen: \""+strings.TrimPrefix(w.scanhook, "http://")+"\"", "listen: \""+address+"\"", 1)
	for name := range w.secrets {
		text = strings.ReplaceAll(text, "${"+name+"}", "${"+name+":-}")
	}
	cmd := exec.Command(os.Args[0], "serve", "--config", writeFile(t, text), flag)
	cmd.Env = append(os.Environ(), beMain+"=1")
	for name, value := range w.secrets {
		if !slices.Contains(hidden, name) {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Stderr = &testWriter{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	base = "http://" + address
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get(base + "/readyz"); err == nil {
			_ = response.Body.Close()
			return base
		}
	}
	t.Fatalf("scanhook serve %s did not come up", flag)
	return ""
}

// Processes with different parts and one database bring a push to its status, each with the secrets that it needs only.
func TestPartsApartBringAPushToItsStatus(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w, sample := setup(t, sandboxConfig{kind: "github", database: e.URL(t)})
		w.release(t)
		partProcess(t, w, "--only=statuses", "SECRET", "API_TOKEN")
		worker := partProcess(t, w, "--only=runner", "SECRET", "API_TOKEN")
		w.scanhook = partProcess(t, w, "--except=runner,statuses", "TOKEN")
		pushTo(t, w, "main", "", sample.Head)
		if status := finalOf(t, w, sample.Head); status.State != "failure" {
			t.Errorf("the status is %s", status.State)
		}
		_, report := fetch(t, worker+"/readyz?verbose")
		_, metrics := fetch(t, worker+"/metrics")
		for _, want := range []string{"ok    parts: runner here; other processes must do intake, ", "ok    machine: can check commits out"} {
			if !strings.Contains(report, want) {
				t.Errorf("no %q in:\n%s", want, report)
			}
		}
		if strings.Contains(report, "platform github") {
			t.Errorf("a worker speaks of what it does not do:\n%s", report)
		}
		if !strings.Contains(metrics, "scanhook_part{part=\"runner\"} 1\n") || !strings.Contains(metrics, "scanhook_part{part=\"web\"} 0\n") {
			t.Error("the metrics do not tell the parts")
		}
		for path, want := range map[string]int{"/": 404, "/api/v1/scans": 404, "/webhooks/github": 404, "/healthz": 200} {
			if code, text := fetch(t, worker+path); code != want || code == 404 && !strings.Contains(text, "this process does runner only") {
				t.Errorf("a worker answers %s with %d %s", path, code, text)
			}
		}
	})
}

// Each part starts alone, and answers to those who watch it.
func TestEachPartAlone(t *testing.T) {
	t.Parallel()
	for _, part := range cli.AllParts() {
		t.Run(string(part), func(t *testing.T) {
			t.Parallel()
			w, _ := setup(t, sandboxConfig{kind: "gitlab"})
			app, err := newAppAs(t.Context(), w.config, instance{parts: cli.OnlyParts(part)}, w.log)
			if err != nil {
				t.Fatal(err)
			}
			running := make(chan error)
			listener := w.listeners[len(w.listeners)-1]
			go func() { running <- app.serve(t.Context(), listener, w.log) }()
			if code, _ := fetch(t, w.scanhook+"/readyz"); code != http.StatusOK {
				t.Errorf("/readyz: %d", code)
			}
			want := map[cli.Part]string{cli.Intake: "/webhooks/gitlab", cli.API: "/api/v1/scans", cli.Web: "/login"}
			for owner, path := range want {
				if code, _ := fetch(t, w.scanhook+path); (code != http.StatusNotFound) != (owner == part) {
					t.Errorf("%s: %d", path, code)
				}
			}
			_ = listener.Close()
			<-running
			if err := app.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Parts that are listed wrongly are refused before anything starts, by serve and check.
func TestPartsThatAreWrong(t *testing.T) {
	t.Parallel()
	file := writeFile(t, fmt.Sprintf("database: {url: %q}\n", "sqlite:"+t.TempDir()+"/scanhook.db"))
	for flags, want := range map[string]string{
		"--only=runers":                 `there is no part "runers" (did you mean "runner"? valid parts: runner, intake, ingest`,
		"--except=pages":                `there is no part "pages" (valid parts: intake, ingest, runner`,
		"--only=runner --except=intake": "give --only or --except, not both",
		"--except=intake,ingest,runner,statuses,reconcile,enrich,verdicts,epss,retention,api,web": "nothing is left to do",
	} {
		for _, name := range []string{"serve", "check"} {
			command(t, append([]string{name, "--config", file}, strings.Fields(flags)...)...).expect(t, exitUsage, want)
		}
	}
}
