package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
)

const reloadConfiguration = `
server: {listen: %q}
database: {url: "sqlite:%s"}
platforms: {github: {webhook_secrets: [a-secret-of-webhooks]}}
repositories: [{match: "**"}]
api: {tokens: [%s]}
`

const (
	tokenOfAnn = `{name: ann, token: a-token-that-is-ann-s-own, role: admin}`
	tokenOfBob = `{name: bob, token: a-token-that-is-bob-s-own, role: reader}`
)

// A token that leaves config.yaml is refused as soon as the file is read again, with the sessions and event streams that it opened; a
// wrong file changes nothing, and tells. No call fails meanwhile.
func TestReload(t *testing.T) {
	t.Parallel()
	w, _ := setup(t, sandboxConfig{kind: "github"})
	w.release(t)
	address, file := strings.TrimPrefix(w.scanhook, "http://"), t.TempDir()+"/config.yaml"
	write := func(change func(string) string, tokens ...string) {
		t.Helper()
		text := change(fmt.Sprintf(reloadConfiguration, address, file+".db", strings.Join(tokens, ", ")))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := func(text string) string { return text }
	write(same, tokenOfAnn, tokenOfBob)
	cmd := processWith(t, w, file)
	code := func(path, token string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.scanhook+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatalf("a call fails while the configuration is reloaded: %v", err)
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not yet: %s", what)
			}
		}
	}
	bob := func() int { return code("/api/v1/scans", "a-token-that-is-bob-s-own") }
	ann := func() int { return code("/api/v1/scans", "a-token-that-is-ann-s-own") }
	login, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.scanhook+"/login", strings.NewReader("token=a-token-that-is-bob-s-own"))
	if err != nil {
		t.Fatal(err)
	}
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultTransport.RoundTrip(login)
	if err != nil || len(answer.Cookies()) != 1 {
		t.Fatalf("bob cannot log in: %v, %v", answer, err)
	}
	_ = answer.Body.Close()
	session := func() int {
		t.Helper()
		page, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.scanhook+"/projects", nil)
		if err != nil {
			t.Fatal(err)
		}
		page.AddCookie(answer.Cookies()[0])
		shown, err := http.DefaultTransport.RoundTrip(page)
		if err != nil {
			t.Fatal(err)
		}
		_ = shown.Body.Close()
		return shown.StatusCode
	}
	if bob() != http.StatusOK || ann() != http.StatusOK || session() != http.StatusOK {
		t.Fatalf("at the start: %d, %d", bob(), ann())
	}
	hangUp := func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	told := func(text string) func() bool {
		return func() bool { _, body := fetch(t, w.scanhook+"/readyz?verbose"); return strings.Contains(body, text) }
	}

	write(func(text string) string { return text + "unknown: key\n" }, tokenOfAnn)
	hangUp()
	until("a wrong file is told", told("the file has changed and cannot be used"))
	if _, text := fetch(t, w.scanhook+metricsPath); !strings.Contains(text, "scanhook_config_current 0") {
		t.Error("the metric does not tell")
	}
	if bob() != http.StatusOK {
		t.Errorf("a file that was not taken ended a token: %d", bob())
	}

	write(same, tokenOfAnn)
	hangUp()
	until("the token of bob ends", func() bool { return bob() == http.StatusUnauthorized })
	if code := session(); code != http.StatusSeeOther {
		t.Errorf("the session of bob goes on: %d", code)
	}
	if told("the file has changed")() || ann() != http.StatusOK {
		t.Errorf("after the reload, ann has %d", ann())
	}
	write(same, tokenOfAnn, tokenOfBob) // seen without a signal
	until("the token of bob is back", func() bool { return bob() == http.StatusOK })
	stops(t, cmd)
}

// reloading is a reloader whose looks are the test's.
type reloading struct {
	*reloader
	t    *testing.T
	file string
}

func newReloading(t *testing.T, text string) reloading {
	t.Helper()
	r := reloading{t: t, file: filepath.Join(t.TempDir(), "config.yaml")}
	r.write(text)
	parse := func(data []byte) (*config.Config, error) {
		return config.Parse(r.file, data, platformTypes(), func(string) (string, bool) { return "", false })
	}
	current, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r.reloader = newReloader(parse, current, slog.New(slog.DiscardHandler))
	t.Cleanup(r.stop)
	return r
}

func (r reloading) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// looksFor is how many looks it takes until a configuration is taken; 0 when none is after so many.
func (r reloading) looksFor(most int) int {
	for n := range most {
		if r.look() != nil {
			return n + 1
		}
	}
	return 0
}

const configurationOfAnn = "repositories: [{match: '**'}]\napi: {tokens: [" + tokenOfAnn + "]}\n"

// A file is taken when several looks have found the same content, whoever asks for it.
func TestConfigurationIsTakenWhole(t *testing.T) {
	t.Parallel()
	r := newReloading(t, configurationOfAnn)
	r.asked = true
	if n := r.looksFor(2 * wholeAfter); n > 0 || r.Fault() != nil {
		t.Errorf("nothing has changed, and look %d starts anew, %v", n, r.Fault())
	}
	for name, cut := range map[string]string{"at a line": "repositories: [{match: '**'}]\n", "to nothing": ""} {
		for range wholeAfter - 1 {
			r.write(cut)
			if r.asked = true; r.looksFor(1) > 0 {
				t.Errorf("a file that is cut %s is taken while it is written", name)
			}
		}
	}
	r.write(strings.ReplaceAll(configurationOfAnn, "admin", "owner"))
	if r.looksFor(wholeAfter) > 0 || r.Fault() == nil {
		t.Error("a role that is none is taken")
	}
	same, err := os.Stat(r.file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range wholeAfter { // it is written again and again
		r.write(strings.ReplaceAll(configurationOfAnn, "ann-s", "bob-s"))
		if err := os.Chtimes(r.file, same.ModTime(), same.ModTime()); err != nil {
			t.Fatal(err)
		}
		if taken := r.look() != nil; taken != (n == wholeAfter-1) {
			t.Errorf("look %d at another file of the same size and time: %v", n+1, taken)
		}
	}
}

// What says nothing, or needs a restart, is refused; the same content is not refused again and again.
func TestConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	r := newReloading(t, configurationOfAnn)
	for text, want := range map[string]string{
		"": "sets nothing", "# all: is gone\n": "sets nothing", "---\n": "sets nothing",
		configurationOfAnn + "server: {listen: ':1'}\n": "server.listen", configurationOfAnn + "database: {url: 'sqlite:b.db'}\n": "database.url",
	} {
		r.write(text)
		for _, r.asked = range []bool{false, true} {
			if r.looksFor(wholeAfter) > 0 || r.Fault() == nil || !strings.Contains(r.Fault().Error(), want) {
				t.Errorf("%q: %v", text, r.Fault())
			}
		}
	}
	r.write(configurationOfAnn)
	if r.looksFor(wholeAfter) > 0 || r.Fault() != nil {
		t.Errorf("the file is as before: %v", r.Fault())
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if r.looksFor(wholeAfter) > 0 || !errors.Is(r.Fault(), os.ErrNotExist) {
		t.Errorf("the file is gone: %v", r.Fault())
	}
}

// An equal configuration is started again only when files that it names have changed.
func TestFilesBesideTheConfiguration(t *testing.T) {
	t.Parallel()
	rules := filepath.Join(t.TempDir(), "rules.toml")
	write := func(text string) {
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	r := newReloading(t, fmt.Sprintf("repositories: [{match: '**', gitleaks: {rules: %q}}]\n", rules))
	for text, want := range map[string]int{"a": 0, "b": wholeAfter} {
		write(text)
		r.asked, r.seen = true, ""
		if n := r.looksFor(2 * wholeAfter); n != want {
			t.Errorf("rules %q: look %d starts anew, want %d", text, n, want)
		}
	}
}

// A start that failed for what may pass is tried again, later each time.
func TestFailedStartIsTriedAgain(t *testing.T) {
	t.Parallel()
	const most = 2 * int(longestRetry/lookAtConfig)
	r := newReloading(t, configurationOfAnn)
	r.write(configurationOfAnn + "web: {public: true}\n")
	if r.looksFor(wholeAfter) == 0 {
		t.Fatalf("not taken: %v", r.Fault())
	}
	r.failed(errors.New("for good"))
	if n := r.looksFor(most); n > 0 {
		t.Errorf("a start that can only fail is tried again after %d looks", n)
	}
	passing := []error{fmt.Errorf("noting: %w", core.ErrUnavailable), &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}}
	for failures, want := range []int{15, 30, 60, 120, 240, 300, 300} {
		r.failed(fmt.Errorf("starting: %w", passing[failures%2]))
		if n := r.looksFor(most); n != want || r.Fault() == nil {
			t.Errorf("after %d failures it is tried again after %d looks, want %d", failures+1, n, want)
		}
	}
	r.failed(core.ErrUnavailable)
	r.write(configurationOfAnn)
	if r.looksFor(most) > 0 || r.Fault() != nil {
		t.Errorf("what failed is tried though the file is as before: %v", r.Fault())
	}
}

// An app that was never served leaves the address of its metrics to the next one.
func TestCloseFreesTheAddressOfMetrics(t *testing.T) {
	t.Parallel()
	w, _ := setup(t, sandboxConfig{kind: "github"})
	w.release(t)
	app, err := newApp(t.Context(), w.config, w.log)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(app.offerMetrics("127.0.0.1:0", w.log), app.close()); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", app.metricsListener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

// Who is being served gets less time for a reload than for the end.
func TestTimeToClose(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]time.Duration{errReload: reloadTimeout, nil: shutdownTimeout} {
		serving, end := context.WithCancelCause(t.Context())
		end(cause)
		if got := closingTimeout(serving); got != want {
			t.Errorf("for %v: %s, want %s", cause, got, want)
		}
	}
}
