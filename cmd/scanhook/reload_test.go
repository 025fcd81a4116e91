package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
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
	write(func(text string) string { return strings.Replace(text, address, "127.0.0.1:1", 1) }, tokenOfAnn)
	hangUp()
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
