package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// giteaOwner owns the repositories and is an administrator.
const giteaOwner = "acme"

// giteaServer is a Gitea on loopback that one test has for itself.
type giteaServer struct {
	dir        string
	binary     string
	base       string // address, without a final slash
	password   string // of giteaOwner
	token      string // of giteaOwner, for the test's own questions
	credential *syscall.Credential
}

// Gitea calls no private address unless it is told to; who forgets that waits for webhooks in vain.
const giteaSettings = `
WORK_PATH = %[1]s
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[2]d
ROOT_URL = http://127.0.0.1:%[2]d/
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
[webhook]
ALLOWED_HOST_LIST = loopback
[queue]
TYPE = channel
[indexer]
ISSUE_INDEXER_TYPE = db
`

// startGitea brings a Gitea up in a temporary directory; the test is skipped where SCANHOOK_TEST_GITEA names none.
func startGitea(t *testing.T) *giteaServer {
	t.Helper()
	binary := os.Getenv("SCANHOOK_TEST_GITEA")
	if binary == "" {
		t.Skip("SCANHOOK_TEST_GITEA names no Gitea; .ci/gitea builds one and prints its path")
	}
	g := &giteaServer{binary: binary, password: rand.Text()}
	g.prepare(t)
	g.run(t, "migrate")
	g.addUser(t, giteaOwner, "--admin", "--password", g.password)
	g.token = g.addToken(t, giteaOwner, "all")
	g.serve(t)
	return g
}

// prepare lays the directory out. Gitea refuses to run as root, and then gets a user, who cannot look into the cache of
// root's, and so a copy of the binary.
func (g *giteaServer) prepare(t *testing.T) {
	t.Helper()
	var err error
	if g.dir, err = os.MkdirTemp("", "scanhook-gitea-"); err != nil { //nolint:usetesting // Gitea's user must be able to enter it
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(g.dir) })
	port := freePort(t)
	g.base = fmt.Sprintf("http://127.0.0.1:%d", port)
	settings := fmt.Appendf(nil, giteaSettings, g.dir, port)
	if err := os.WriteFile(g.settings(), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		g.becomeNobody(t)
	}
}

func (g *giteaServer) settings() string { return filepath.Join(g.dir, "app.ini") }

func (g *giteaServer) becomeNobody(t *testing.T) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	g.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	content, err := os.ReadFile(g.binary)
	if err != nil {
		t.Fatal(err)
	}
	g.binary = filepath.Join(g.dir, "gitea")
	if err := os.WriteFile(g.binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{g.dir, g.settings()} {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func (g *giteaServer) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), g.binary, append(args, "--config", g.settings())...)
	cmd.Dir = g.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "GIT_CONFIG_NOSYSTEM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: g.credential}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs one of Gitea's commands and returns what it printed.
func (g *giteaServer) run(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := g.command(t, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("gitea %s: %v\n%s%s", args[0], err, &stdout, &stderr)
	}
	return strings.TrimSpace(stdout.String())
}

func (g *giteaServer) addUser(t *testing.T, name string, flags ...string) {
	t.Helper()
	g.run(t, append([]string{"admin", "user", "create", "--username", name, "--email", name + "@example.com",
		"--must-change-password=false"}, flags...)...)
}

func (g *giteaServer) addToken(t *testing.T, owner, scopes string) string {
	t.Helper()
	return g.run(t, "admin", "user", "generate-access-token", "--username", owner, "--token-name", rand.Text(),
		"--scopes", scopes, "--raw")
}

// serve runs Gitea until the test ends, whose log a failed test shows.
func (g *giteaServer) serve(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	cmd := g.command(t, "web")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Gitea's log:\n%s", log.Bytes())
		}
	})
	eventually(t, "Gitea to answer", func() (struct{}, bool) {
		response, err := http.Get(g.base + "/api/healthz")
		if err != nil {
			return struct{}{}, false
		}
		_ = response.Body.Close()
		return struct{}{}, response.StatusCode == http.StatusOK
	})
}

// call asks Gitea's API, below /api/v1, as giteaOwner. The answer may be nil where nobody looks at it.
func (g *giteaServer) call(t *testing.T, method, path string, question, answer any) {
	t.Helper()
	callJSON(t, g.base+"/api/v1"+path, method, "token "+g.token, question, answer)
}

// callJSON ends the test where a call does not succeed.
func callJSON(t *testing.T, address, method, authorization string, question, answer any) {
	t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s %s is answered %d %s (%v)", method, address, response.StatusCode, content, err)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(content, answer); err != nil {
		t.Fatalf("%s %s is answered %s: %v", method, address, content, err)
	}
}
