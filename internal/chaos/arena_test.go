package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
)

// Names in the configuration of all processes.
const (
	checkedProject = "acme/checked" // Scanhook fetches and scans its commits itself
	checkedScanner = "echo"
	uploadScanner  = "lint"
	statusContext  = "scanhook"
)

const configuration = `
server: {listen: %[1]q, public_url: "http://scanhook.example"}
database: {url: "${DATABASE}"}
platforms:
  github: {url: %[2]q, webhook_secrets: ["${SECRET}"], token: "${TOKEN}"}
  gitlab: {url: %[3]q, webhook_secrets: ["${SECRET}"], token: "${TOKEN}"}
api:
  tokens: [{name: chaos, token: "${API_TOKEN}", role: admin}]
epss: {enabled: false}
recover: {every: 0} # the branches of the fixtures were never pushed
scanners:
  echo: {command: [echo, '[{"rule_id":"R1","file":"README.md","line":1,"severity":"High","message":"x"}]'], format: json}
  lint: {upload: true}
repositories:
  - {match: "*/acme/checked", scanners: [echo]}
  - {match: "**", scanners: []}
`

// arena is everything that takes part in a run.
type arena struct {
	database  database
	platforms map[string]*platform
	replicas  []*replica
	apiToken  string
	checked   []string // commits of checkedProject, oldest first
}

// platform is a fake forge that every replica reaches at an address of its own, by which they are told apart.
type platform struct {
	*fakeforge.Server
	*trouble
	addresses []string
}

var fakeForges = map[string]func(fakeforge.Config) *fakeforge.Server{"github": fakegithub.New, "gitlab": fakegitlab.New}

var platformNames = slices.Sorted(maps.Keys(fakeForges))

func newArena(t *testing.T, binary string, db database, processes int, s scale) *arena {
	t.Helper()
	a := &arena{database: db, platforms: map[string]*platform{}, apiToken: rand.Text()}
	dir := t.TempDir()
	a.checked = makeCommits(t, filepath.Join(dir, "checked"), max(1, s.Checked))
	secret, token := rand.Text(), rand.Text()
	for kind, forge := range fakeForges {
		a.platforms[kind] = newPlatform(t, forge, fakeforge.Config{
			Secret: secret, Token: token, Allowance: 1 << 30,
		}, processes, s, filepath.Join(dir, "checked"))
	}
	environ := []string{
		"SCANHOOK_LOG=json", "DATABASE=" + db.url, "SECRET=" + secret, "TOKEN=" + token, "API_TOKEN=" + a.apiToken,
		"TMPDIR=" + dir, "GORACE=halt_on_error=0",
	}
	for i := range processes {
		listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		text := fmt.Sprintf(configuration, listen, a.platforms["github"].addresses[i], a.platforms["gitlab"].addresses[i])
		file := filepath.Join(dir, fmt.Sprintf("config-%d.yaml", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &replica{
			name: fmt.Sprintf("replica %d", i), address: "http://" + listen, binary: binary, config: file,
			log: filepath.Join(dir, fmt.Sprintf("replica-%d.log", i)), environ: environ,
			stopped: make(chan struct{}), ended: make(chan struct{}),
			died: func() {
				for _, p := range a.platforms {
					p.forget(strings.TrimPrefix(p.addresses[i], "http://"))
				}
			},
		}
		a.replicas = append(a.replicas, r)
	}
	return a
}

func newPlatform(t *testing.T, forge func(fakeforge.Config) *fakeforge.Server, cfg fakeforge.Config, processes int, s scale, checked string) *platform {
	t.Helper()
	p := &platform{trouble: newTrouble(s)}
	cfg.Faults = p.fault
	p.Server = forge(cfg)
	p.trouble.platform = p.Server
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	for range processes {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.addresses = append(p.addresses, "http://"+listener.Addr().String())
		go func() { _ = p.Run(ctx, listener) }()
	}
	if err := p.SetBase(p.addresses[0]); err != nil {
		t.Fatal(err)
	}
	p.AddRepository(fakeforge.Repository{Project: checkedProject, Dir: checked})
	for app := range appsPerPlatform {
		p.AddRepository(fakeforge.Repository{Project: fmt.Sprintf("acme/app-%d", app), Dir: checked})
	}
	return p
}

func (a *arena) start(t *testing.T) {
	t.Helper()
	for _, r := range a.replicas {
		go r.supervise()
	}
	t.Cleanup(func() {
		for _, r := range a.replicas {
			r.stop(t)
		}
	})
}

// makeCommits makes a git repository with n commits in one go, and returns their ids.
func makeCommits(t *testing.T, dir string, n int) []string {
	t.Helper()
	var stream strings.Builder
	for i := range n {
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\n", i+1)
		fmt.Fprintf(&stream, "committer Mira Holm <mira@example.com> %d +0000\ndata 5\nwork\n", 1_767_225_600+i)
		content := fmt.Sprintf("change %d\n", i)
		fmt.Fprintf(&stream, "M 100644 inline README.md\ndata %d\n%s\n", len(content), content)
	}
	git(t, "", "init", "--quiet", "--bare", "--initial-branch=main", dir)
	git(t, stream.String(), "-C", dir, "fast-import", "--quiet")
	return strings.Fields(git(t, "", "-C", dir, "rev-list", "--reverse", "main"))
}

func git(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v", args, err)
	}
	return string(out)
}
