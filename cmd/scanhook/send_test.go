package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/config"
)

// payloadOf is a push that the platform has sent already, in a file.
func payloadOf(t *testing.T, w *sandbox, sha string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "push.json")
	if err := os.WriteFile(path, pushTo(t, w, "main", "", sha).Body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendSignsWithSigningToken(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab", extra: `repositories: [{match: "**", scanners: []}]`})
	token := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	p := w.config.Platforms["gitlab"]
	p.SigningTokens = []config.Secret{config.Secret(token)}
	w.config.Platforms["gitlab"] = p
	startSandbox(t, w)
	payload := payloadOf(t, w, sample.Head)
	w.yaml = strings.Replace(w.yaml, "    webhook_secrets:", "    signing_tokens: ["+token+"]\n    webhook_secrets:", 1)
	send := func(args ...string) outcome {
		args = append([]string{"send", payload, "--event", "push", "--platform", "gitlab", "--config", w.file(t)}, args...)
		return command(t, args...)
	}
	for _, args := range [][]string{{"--secret", w.secrets["SECRET"]}, nil, {"--secret", token}} {
		send(args...).expect(t, 0, "Push Hook sent to", `"accepted"`)
	}
	send("--secret", w.secrets["SECRET"]).expect(t, 1, ": 401 Unauthorized", "enter the signing token in this webhook")
	command(t, "check", "--config", w.file(t)).expect(t, 0, "warn  signatures of gitlab/acme/shop: 1 call refused",
		"ok    secret signing_tokens[0] (", "ok    secret webhook_secrets[0] (", ") of gitlab: last used ")
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":8080":             "http://127.0.0.1:8080",
		"0.0.0.0:80":        "http://127.0.0.1:80",
		"[::]:8080":         "http://127.0.0.1:8080",
		"[::1]:8080":        "http://[::1]:8080",
		"10.0.0.7:8080":     "http://10.0.0.7:8080",
		"hooks.lan:8443":    "http://hooks.lan:8443",
		"127.0.0.1:0":       "",
		"no address at all": "",
	} {
		if got, err := loopback(listen); got != want || (err != nil) != (want == "") {
			t.Errorf("loopback(%q) = %q, %v, want %q", listen, got, err, want)
		}
	}
}
