package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
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

// cluster is everything that takes part in a run: a database, the fake forges and the Scanhooks.
type cluster struct {
	database  database
	platforms map[string]*platform
	replicas  []*replica
	apiToken  string
	checked   []string // commits of checkedProject, oldest first
}

// platform is a fake forge that every replica reaches at an address of its own, so that it can tell them apart.
type platform struct {
	*fakeforge.Server
	*apiFaults
	addresses []string
}

var fakeForges = map[string]func(fakeforge.Config) *fakeforge.Server{"github": fakegithub.New, "gitlab": fakegitlab.New}

var platformNames = slices.Sorted(maps.Keys(fakeForges))

func newCluster(t *testing.T, binary string, db database, processes int, s scale) *cluster {
	t.Helper()
	c := &cluster{database: db, platforms: map[string]*platform{}, apiToken: rand.Text()}
	dir := t.TempDir()
	c.checked = forgetest.Commits(t, filepath.Join(dir, "checked"), max(1, s.Checked))
	secret, token := rand.Text(), rand.Text()
	for kind, forge := range fakeForges {
		c.platforms[kind] = newPlatform(t, forge, fakeforge.Config{
			Secret: secret, Token: token, Allowance: 1 << 30,
		}, processes, s, filepath.Join(dir, "checked"))
	}
	environ := []string{
		"SCANHOOK_LOG=json", "DATABASE=" + db.url, "SECRET=" + secret, "TOKEN=" + token, "API_TOKEN=" + c.apiToken,
		"TMPDIR=" + dir, "GORACE=halt_on_error=0",
	}
	for i := range processes {
		listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		text := fmt.Sprintf(configuration, listen, c.platforms["github"].addresses[i], c.platforms["gitlab"].addresses[i])
		file := filepath.Join(dir, fmt.Sprintf("config-%d.yaml", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &replica{
			name: fmt.Sprintf("replica %d", i), address: "http://" + listen, binary: binary, config: file,
			log: filepath.Join(dir, fmt.Sprintf("replica-%d.log", i)), environ: environ,
			stopped: make(chan struct{}), ended: make(chan struct{}),
			died: func() {
				for _, p := range c.platforms {
					p.forget(strings.TrimPrefix(p.addresses[i], "http://"))
				}
			},
		}
		c.replicas = append(c.replicas, r)
	}
	return c
}

func newPlatform(t *testing.T, forge func(fakeforge.Config) *fakeforge.Server, cfg fakeforge.Config, processes int, s scale, checked string) *platform {
	t.Helper()
	p := &platform{apiFaults: newAPIFaults(s)}
	cfg.Faults = p.fault
	p.Server = forge(cfg)
	p.apiFaults.platform = p.Server
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

func (c *cluster) start(t *testing.T) {
	t.Helper()
	for _, r := range c.replicas {
		go r.supervise()
	}
	t.Cleanup(func() {
		for _, r := range c.replicas {
			r.stop(t)
		}
	})
}
