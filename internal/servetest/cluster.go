//go:build linux

package servetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
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

	appsPerPlatform = 6 // projects whose commits are only declared
)

const configuration = `
server: {listen: %[1]q, public_url: "http://scanhook.example"}
database: {url: "${DATABASE}"}
platforms:
  github: {url: %[2]q, webhook_secrets: ["${SECRET}"], token: "${TOKEN}"}
  gitlab: {url: %[3]q, webhook_secrets: ["${SECRET}"], token: "${TOKEN}"}
api:
  tokens: [{name: servetest, token: "${API_TOKEN}", role: admin}]
epss: {enabled: false}
recover: {every: 0} # the branches of the fixtures were never pushed
scanners:
  echo: {command: [echo, '[{"rule_id":"R1","file":"README.md","line":1,"severity":"High","message":"x"}]'], format: json}
  lint: {upload: true}
repositories:
  - {match: "*/acme/checked", scanners: [echo]}
  - {match: "**", scanners: []}
`

// Options say what takes part in a run.
type Options struct {
	Database Database
	Binaries []string // of the replicas, one each
	Checked  int      // commits that the scanner of the replicas can check out
	// Faults of the platforms' API, by platform; may be nil.
	Faults map[string]func(*http.Request) *fakeforge.Fault
}

// Cluster is everything that takes part in a run: a database, the fake forges and the Scanhooks.
type Cluster struct {
	Database  Database
	Platforms map[string]*Platform
	Replicas  []*Replica
	Checked   []string // commits of checkedProject, oldest first

	apiToken string
}

// Platform is a fake forge that every replica reaches at an address of its own, so that it can tell them apart.
type Platform struct {
	*fakeforge.Server
	Addresses []string // host and port, by replica
}

var fakeForges = map[string]func(fakeforge.Config) *fakeforge.Server{"github": fakegithub.New, "gitlab": fakegitlab.New}

// PlatformNames are the platforms of each cluster.
var PlatformNames = slices.Sorted(maps.Keys(fakeForges))

// NewCluster makes everything but the processes, which Start starts.
func NewCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{Database: o.Database, Platforms: map[string]*Platform{}, apiToken: rand.Text()}
	dir := t.TempDir()
	c.Checked = forgetest.Commits(t, filepath.Join(dir, "checked"), max(1, o.Checked))
	secret, token := rand.Text(), rand.Text()
	for kind, forge := range fakeForges {
		c.Platforms[kind] = newPlatform(t, forge(fakeforge.Config{
			Secret: secret, Token: token, Allowance: 1 << 30, Faults: o.Faults[kind],
		}), len(o.Binaries), filepath.Join(dir, "checked"))
	}
	environ := []string{
		"DATABASE=" + o.Database.URL, "SECRET=" + secret, "TOKEN=" + token, "API_TOKEN=" + c.apiToken, "GORACE=halt_on_error=0",
	}
	for i, binary := range o.Binaries {
		text := func(listen string) string {
			return fmt.Sprintf(configuration, listen, "http://"+c.Platforms["github"].Addresses[i], "http://"+c.Platforms["gitlab"].Addresses[i])
		}
		c.Replicas = append(c.Replicas, NewReplica(t, fmt.Sprintf("replica %d", i), binary, dir, text, environ...))
	}
	return c
}

func newPlatform(t testing.TB, forge *fakeforge.Server, processes int, checked string) *Platform {
	t.Helper()
	p := &Platform{Server: forge, Addresses: ServeForge(t, forge, processes)}
	p.AddRepository(fakeforge.Repository{Project: checkedProject, Dir: checked})
	for app := range appsPerPlatform {
		p.AddRepository(fakeforge.Repository{Project: fmt.Sprintf("acme/app-%d", app), Dir: checked})
	}
	return p
}

// ServeForge lets a forge answer at so many addresses until the test ends, and returns them. The first one is its base.
func ServeForge(t testing.TB, forge *fakeforge.Server, n int) (addresses []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, listener.Addr().String())
		go func() { _ = forge.Run(ctx, listener) }()
	}
	if err := forge.SetBase("http://" + addresses[0]); err != nil {
		t.Fatal(err)
	}
	return addresses
}

// Start starts all replicas.
func (c *Cluster) Start() {
	for _, r := range c.Replicas {
		r.Start()
	}
}

// StartReady starts all replicas and waits until they can accept webhooks.
func (c *Cluster) StartReady(t testing.TB) {
	t.Helper()
	c.Start()
	for _, r := range c.Replicas {
		r.AwaitReady(t)
	}
}

// KeepLogs copies the logs to a folder, where they outlive the test; an empty name keeps none.
func (c *Cluster) KeepLogs(t testing.TB, dir string) {
	t.Helper()
	if dir == "" {
		return
	}
	for _, r := range c.Replicas {
		r.keepLog(t, dir, c.Database.Engine())
	}
}
