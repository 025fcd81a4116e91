package runner

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

func TestCommandScanners(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		argv     []string
		findings int
		failure  string // part of it
	}{
		"report in the output file":    {shOut(`echo chatter; ` + found + ` > "$1"`), 1, ""},
		"report on standard output":    {sh(`echo chatter >&2; ` + found), 1, ""},
		"placeholder in an argument":   {append(sh(found+` > "${1#--out=}"`), "-", "--out={output}"), 1, ""},
		"exit code 1 with findings":    {sh(found + `; exit 1`), 1, ""},
		"clean report":                 {sh(clean), 0, ""},
		"exit code without findings":   {sh(clean + `; echo no rules >&2; exit 2`), 0, "exit status 2; it said: no rules"},
		"exit code without a report":   {sh(`exit 7`), 0, "exit status 7 and left no report that can be read (it is empty"},
		"no output at all":             {shOut(`true`), 0, "exit status 0 and left no report that can be read (it wrote"},
		"chatter instead of a report":  {sh(`echo 'all is well'`), 0, "left no report that can be read"},
		"last words over lines":        {sh(`echo 'no  such' >&2; echo rule >&2; exit 7`), 0, "it said: no such rule"},
		"killed":                       {sh(found + `; kill -9 $$`), 1, "ended with signal: killed"},
		"a pipe in place of a report":  {shOut(`mkfifo "$1"`), 0, "not a regular file"},
		"a link in place of a report":  {shOut(`ln -s /etc/passwd "$1"`), 0, "not a regular file"},
		"program that is not there":    {[]string{"scanhook-has-no-such"}, 0, "or correct scanners.lint.command"},
		"relative path into checkout":  {[]string{"./planted.sh"}, 0, "cannot be found"},
		"program only in the checkout": {[]string{"planted.sh"}, 0, "cannot be found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			space := sandboxtest.Open(t)
			gittest.Write(t, space.Source, gittest.Files{"app.js": "x\ny\n", "planted.sh": "#!/bin/sh\necho '" + oneFinding + "'\n"})
			if err := os.Chmod(filepath.Join(space.Source, "planted.sh"), 0o700); err != nil {
				t.Fatal(err)
			}
			report, err := scan(t, space, time.Minute, test.argv...)
			if len(report.Findings) != test.findings {
				t.Errorf("want %d findings, got %d", test.findings, len(report.Findings))
			}
			if (err != nil) != (test.failure != "") || err != nil && !strings.Contains(err.Error(), test.failure) {
				t.Errorf("want failure %q, got %v", test.failure, err)
			}
		})
	}
}

func TestCommandScannerSeesOnlyItsJob(t *testing.T) {
	t.Setenv("SCANHOOK_SECRET", "hunter2")
	t.Setenv("PATH", os.Getenv("PATH")+":.:relative/bin")
	space := sandboxtest.Open(t)
	script := `{ pwd; env | sort | grep -v -e ^_= -e ^SHLVL= -e ^OLDPWD=; } >&2; exit 1`
	_, err := scan(t, space, time.Minute, sh(script)...)
	if err == nil {
		t.Fatal("want a failure")
	}
	said := err.Error()[strings.Index(err.Error(), "it said: ")+len("it said: "):]
	path := strings.TrimSuffix(os.Getenv("PATH"), ":.:relative/bin")
	want := []string{
		space.Source, "HOME=" + space.Home, "LANG=C.UTF-8", "PATH=" + path,
		"PWD=" + space.Source, "TMPDIR=" + space.Temp,
	}
	if diff := cmp.Diff(want, strings.Fields(said)); diff != "" {
		t.Errorf("directory and environment (-want +got):\n%s", diff)
	}
}

func TestCommandScannerIsStoppedWithItsChildren(t *testing.T) {
	t.Parallel()
	const child = `sleep "$1" & `
	const quietChild = `sleep "$1" >/dev/null 2>&1 & `
	tests := map[string]struct {
		script  string
		failure string
	}{
		"hanging":                    {child + `sleep 600`, "did not end within 4s"},
		"deaf to polite signals":     {`trap '' TERM INT; ` + child + `while :; do sleep 600; done`, "did not end within 4s"},
		"leaving a child behind":     {child + clean, ""},
		"leaving a quiet child":      {quietChild + clean, ""},
		"leaving one of a session":   {`setsid ` + quietChild + clean, ""},
		"leaving one of a grandson":  {`(setsid sh -c 'sleep "$1" & exec sleep "$1"' - "$1" >/dev/null 2>&1 &) & ` + clean, ""},
		"leaving a child on failure": {child + `exit 3`, "exit status 3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			space := sandboxtest.Open(t)
			timeout := 4 * time.Second
			if !strings.Contains(test.failure, "within") {
				timeout = time.Minute
			}
			length := fmt.Sprintf("600.%d", rand.Uint64())
			_, err := scan(t, space, timeout, append(sh(test.script), "-", length)...)
			if (err != nil) != (test.failure != "") || err != nil && !strings.Contains(err.Error(), test.failure) {
				t.Errorf("want failure %q, got %v", test.failure, err)
			}
			assertGone(t, length)
		})
	}
}

func TestCommandScannerOutputIsBounded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limit   int64
		argv    []string
		failure string
	}{
		"standard output": {1 << 40, sh(`yes`), "a report of more than 256 MiB"},
		"output file":     {8 << 20, shOut(`yes > "$1"`), "more than the 8 MiB of disk"},
		"temporary files": {8 << 20, sh(`yes > "$TMPDIR/file"`), "more than the 8 MiB of disk"},
		"standard error":  {1 << 40, sh(`yes nonsense | head -c 50000000 >&2; exit 1`), "it said:"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			space := sandboxtest.Open(t)
			space.Limit = test.limit
			_, err := scan(t, space, time.Minute, test.argv...)
			if err == nil || !strings.Contains(err.Error(), test.failure) {
				t.Fatalf("want failure %q, got %v", test.failure, err)
			}
			if len(err.Error()) > 4<<10+500 {
				t.Errorf("want a bounded sentence, got %d bytes", len(err.Error()))
			}
		})
	}
}
