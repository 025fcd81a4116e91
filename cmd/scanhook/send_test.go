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

func TestSend(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind, extra: `repositories: [{match: "**", scanners: []}]`})
			startSandbox(t, w)
			file, payload := w.file(t), payloadOf(t, w, sample.Head)
			send := func(args ...string) outcome {
				args = append([]string{"send", payload, "--platform", kind, "--config", file}, args...)
				got := command(t, args...)
				got.hides(t, w.secrets["SECRET"])
				return got
			}
			send("--event", "push").expect(t, 0, " sent to "+w.hookURL()+": 20", `"scan_exists"`)
			send("--event", "push", "--to", w.scanhook+"/").expect(t, 0, " sent to "+w.hookURL()+": 20")
			send("--event", "push", "--to", w.hookURL()).expect(t, 0, " sent to "+w.hookURL()+": 20")
			send("--event", "Unheard Of").expect(t, 0, "Unheard Of sent to", `"ignored"`)
			send("--event", "push", "--secret", "another secret").expect(t, 1, ": 401 Unauthorized", "the secret is not the one")
			send("--event", "push", "--to", w.scanhook+"/webhooks/nobody").expect(t, 1, ": 404 Not Found", "failed with 404")
			payload = writeFile(t, "no JSON")
			send("--event", "push").expect(t, 1, ": 400 Bad Request", "failed with 400")
		})
	}
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
		send(args...).expect(t, 0, "Push Hook sent to", `"scan_exists"`)
	}
	send("--secret", w.secrets["SECRET"]).expect(t, 1, ": 401 Unauthorized", "enter the signing token in this webhook")
	command(t, "check", "--config", w.file(t)).expect(t, 0, "warn  signatures of gitlab/acme/shop: 1 call refused",
		"ok    secret signing_tokens[0] (", "ok    secret webhook_secrets[0] (", ") of gitlab: last used ")
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	file := writeFile(t, `
server: {listen: ":1"}
platforms: {github: {webhook_secrets: [secret-of-github]}, gitlab: {}}`)
	random := writeFile(t, `
server: {listen: "127.0.0.1:0"}
platforms: {github: {webhook_secrets: [secret-of-github]}}`)
	payload := writeFile(t, "{}")
	large := writeFile(t, strings.Repeat(" ", 25<<20+1))
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no payload":       {nil, 2, "use it as: scanhook send PAYLOAD.json --event EVENT"},
		"no event":         {[]string{payload}, 2, "--event is missing"},
		"unknown flag":     {[]string{payload, "--evnt", "push"}, 2, "unknown flag"},
		"unknown platform": {[]string{payload, "--event", "push", "--platform", "x"}, 2, "must be one of github, gitlab"},
		"no address":       {[]string{payload, "--event", "push", "--to", "localhost:8080"}, 2, "--to must be an address"},
		"no secret":        {[]string{payload, "--event", "push", "--platform", "gitlab"}, 1, "set platforms.gitlab.webhook"},
		"no file":          {[]string{payload + ".gone", "--event", "push"}, 1, "reading the payload: open "},
		"too large":        {[]string{large, "--event", "push"}, 1, "larger than 25 MiB"},
		"nobody listens":   {[]string{payload, "--event", "push"}, 1, "is scanhook serve running there?"},
		"random port":      {[]string{payload, "--event", "push", "--config", random}, 1, "give it with --to"},
		"no configuration": {[]string{payload, "--event", "push", "--config", "gone.yaml"}, 1, "scanhook init writes one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := command(t, append([]string{"send", "--config", file}, test.args...)...)
			got.expect(t, test.code, test.want)
			got.hides(t, "secret-of-github")
		})
	}
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
