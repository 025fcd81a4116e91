package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/storetest"
)

// beMain makes the test binary behave as scanhook itself, so that a test can kill a real process.
const beMain = "SCANHOOK_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"scanhook": main})
}

// The scripts run scanhook as a process, in a directory with their files. Besides the commands of testscript they have
// those of scriptCommands, and a free address in $ADDRESS.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scriptParams(filepath.Join("testdata", "script")))
}

// scriptParams are those of the scripts in a directory.
func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir, Cmds: scriptCommands, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Values["t"] = env.T()
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("ADDRESS", free.Addr().String())
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			return free.Close()
		},
	}
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":   scriptExits,   // exits CODE PROGRAM ARG...: like exec, with an exit code
	"sandbox": scriptSandbox, // sandbox KIND [FILE [EVERY]]: a fake forge and a running Scanhook; FILE is added to its configuration, EVERY is that of recover
	"push":    scriptPush,    // push BRANCH BEFORE AFTER: a commit of acme/shop is pushed; the payload is on stdout
	"final":   scriptFinal,   // final COMMIT: waits for its final status, which is on stdout
	"publish": scriptPublish, // publish DIR: an HTTP server with its files, at $PUBLISHED
	"shell":   scriptShell,   // shell FILE: has sh run the commands of a document, with the values of this machine in them
	"serving": scriptServing, // serving ADDRESS: waits until Scanhook answers there

	"postgres": scriptPostgres, // postgres: an empty database of the script's own, at $POSTGRES; skips the script without PostgreSQL
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code, exit := 0, new(exec.ExitError)
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func scriptSandbox(ts *testscript.TestScript, _ bool, args []string) {
	t := ts.Value("t").(testing.TB)
	cfg := sandboxConfig{kind: args[0]}
	if len(args) > 1 {
		cfg.extra = ts.ReadFile(args[1])
	}
	if len(args) > 2 {
		cfg.recover = args[2]
	}
	w, sample := setup(t, cfg)
	startSandbox(t, w)
	scriptSandboxes.Store(ts, w)
	for name, value := range map[string]string{
		"SCANHOOK_CONFIG": w.file(t), "SCANHOOK_URL": w.scanhook, "SCANHOOK_API_TOKEN": w.apiToken,
		"SECRET": w.secrets["SECRET"], "HOOK": w.hookURL(), "BEFORE": sample.Before, "HEAD": sample.Head, "SAMPLE": sample.Dir,
	} {
		ts.Setenv(name, value)
	}
}

// sandboxOf is the sandbox of a script.
func sandboxOf(ts *testscript.TestScript) *sandbox {
	w, started := scriptSandboxes.Load(ts)
	if !started {
		ts.Fatalf("no sandbox was started")
	}
	return w.(*sandbox)
}

var scriptSandboxes sync.Map // of *sandbox, by *testscript.TestScript

func scriptPush(ts *testscript.TestScript, _ bool, args []string) {
	spec := fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/" + args[0], Before: args[1], After: args[2]}
	delivery, err := sandboxOf(ts).push(context.Background(), spec)
	ts.Check(err)
	_, err = ts.Stdout().Write(delivery.Body)
	ts.Check(err)
}

func scriptFinal(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, err := sandboxOf(ts).final(ctx, args[0])
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), status.State, status.Description)
}

func scriptPublish(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(server.Close)
	ts.Setenv("PUBLISHED", server.URL)
}

func scriptPostgres(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("POSTGRES", storetest.PostgresURL(ts.Value("t").(testing.TB)))
}

func scriptServing(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get("http://" + args[0] + "/readyz"); err == nil {
			_ = response.Body.Close()
			return
		}
	}
	ts.Fatalf("nothing is served at %s", args[0])
}

// Help fits into 80 columns, whole words only; examples stay whole, since they are to be copied.
func TestHelpFitsIntoATerminal(t *testing.T) {
	t.Parallel()
	lines := []string{"", "upload", "hooks", "hooks sync", "recover", "epss import", "epss show", "send", "explain", "init", "serve",
		"demo", "migrate", "backup", "move", "config", "config schema", "check", "version", "help", "completion bash"}
	for _, line := range lines {
		got := command(t, append(strings.Fields(line), "--help")...)
		got.expect(t, 0, "Usage:")
		for text := range strings.Lines(got.out) {
			if len([]rune(strings.TrimRight(text, "\n"))) > 80 {
				t.Errorf("%s --help: %q", line, text)
			}
		}
	}
}
