package growth

import (
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/servetest"
	_ "github.com/scanhook/scanhook/store" // the drivers
)

const (
	secret = "a secret of the benchmark's own"
	token  = "a token of the benchmark's own"
)

const configuration = `
server: {listen: %[1]q, public_url: "http://scanhook.example"}
database: {url: %[2]q}
platforms:
  github: {url: %[3]q, api_url: %[4]q, webhook_secrets: ["${SECRET}"], token: "${TOKEN}"}
api:
  tokens: [{name: growth, token: "${TOKEN}", role: admin}]
epss: {enabled: false}
recover: {every: 0}
scanners:
  echo: {command: [echo, '[]'], format: json}
  lint: {upload: true}
repositories:
  - {match: "*/acme/checked", scanners: [echo]}
  - {match: "**", scanners: [lint]}
`

// server is a `scanhook serve`.
type server struct {
	t                *testing.T
	url              string
	engine, database string
	platform         *platform
	process          *os.Process
	ended            chan struct{}
}

func start(t *testing.T, binary, database, engine string) *server {
	t.Helper()
	s := &server{t: t, engine: engine, database: database, platform: newPlatform(t, *pushes/checkedEvery+2), ended: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s.url = "http://" + address
	dir := t.TempDir()
	file, log := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "log")
	text := fmt.Sprintf(configuration, address, database, s.platform.git, s.platform.api)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--config", file)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = append(os.Environ(), "SECRET="+secret, "TOKEN="+token, "TMPDIR="+dir, "XDG_CACHE_HOME="+dir), dir, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd.Process
	go func() {
		_ = cmd.Wait()
		_ = out.Close()
		close(s.ended)
	}()
	t.Cleanup(s.stop)
	s.await(log)
	return s
}

func (s *server) await(log string) {
	s.t.Helper()
	for range 600 {
		response, err := http.Get(s.url + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-s.ended:
			said, _ := os.ReadFile(log)
			s.t.Fatalf("serve ended:\n%s", said)
		case <-time.After(100 * time.Millisecond):
		}
	}
	s.t.Fatal("serve does not become ready")
}

func (s *server) stop() {
	_ = s.process.Signal(syscall.SIGTERM)
	<-s.ended
}

// cpu is what the server has used so far, with its children and with the processes of its PostgreSQL.
func (s *server) cpu() time.Duration {
	used := servetest.StatOf(s.process.Pid).CPU
	for _, pid := range s.backends() {
		used += servetest.StatOf(pid).CPU
	}
	return used
}

// backends are the processes of PostgreSQL.
func (s *server) backends() []int {
	if s.engine != "postgres" {
		return nil
	}
	db, err := sql.Open("postgres", s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var own int
	if err := db.QueryRowContext(s.t.Context(), `SELECT pg_backend_pid()`).Scan(&own); err != nil {
		s.t.Fatal(err)
	}
	leader := servetest.StatOf(own).Parent
	return slices.DeleteFunc(servetest.Processes(), func(pid int) bool { return pid == own || servetest.StatOf(pid).Parent != leader })
}
