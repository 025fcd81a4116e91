package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store"
)

const giteaConfiguration = `
server: {listen: %[1]q, public_url: "http://%[1]s"}
database: {url: %[2]q}
platforms:
  gitea:
    type: github
    url: %[3]q
    api_url: %[3]s/api/v1
    webhook_secrets: ["${SECRET}"]
    token: "${TOKEN}"
api:
  tokens: [{name: test, token: "${API_TOKEN}", role: viewer}]
recover: {every: %[4]s}
defaults: {tags: ["v*"]}
repositories: [{match: %[5]q}]
`

// giteaOptions are what differs between the Scanhooks that call one Gitea.
type giteaOptions struct {
	token   string // of the account that Scanhook posts as
	recover string // how often missed pushes are looked for; never when empty
	match   string // the repositories, all of giteaOwner when empty
}

// newGiteaReceiver prepares a Scanhook for a Gitea.
func newGiteaReceiver(t *testing.T, gitea string, o giteaOptions) *giteaReceiver {
	t.Helper()
	r := &giteaReceiver{
		address: fmt.Sprintf("127.0.0.1:%d", freePort(t)), end: func() error { return nil },
		secrets: map[string]string{"SECRET": rand.Text(), "TOKEN": o.token, "API_TOKEN": rand.Text()},
	}
	r.log = slog.New(slog.NewTextHandler(io.MultiWriter(&testWriter{t}, &r.said), nil))
	r.yaml = fmt.Sprintf(giteaConfiguration, r.address, "sqlite:"+filepath.Join(t.TempDir(), "scanhook.db"), gitea,
		cmp.Or(o.recover, "0"), "gitea/"+cmp.Or(o.match, giteaOwner+"/*"))
	r.useToken(t, o.token)
	t.Cleanup(func() { r.stop(t) })
	return r
}

// useToken is what an administrator does to a token in the configuration; it counts from the next start on.
func (r *giteaReceiver) useToken(t *testing.T, token string) {
	t.Helper()
	r.secrets["TOKEN"] = token
	var err error
	r.config, err = config.Parse("config.yaml", []byte(r.yaml), func(name string) (string, bool) {
		value, ok := r.secrets[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runs runs one of Scanhook's commands with the receiver's configuration, and makes sure that it keeps the secrets.
func (r *giteaReceiver) runs(t *testing.T, args ...string) outcome {
	t.Helper()
	text := r.yaml
	for name, value := range r.secrets {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	got := command(t, append(args, "--config", writeFile(t, text))...)
	for _, secret := range r.secrets {
		got.hides(t, secret)
	}
	return got
}

// look opens the receiver's database beside the running server.
func (r *giteaReceiver) look(t *testing.T) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: r.config.Database.URL.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// journal is a log that a test can read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

// lines are those that contain all the words.
func (j *journal) lines(words ...string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found
}
