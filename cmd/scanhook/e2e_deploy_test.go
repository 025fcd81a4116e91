package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/scanhook/scanhook/internal/config"
)

// compose is what a compose file holds of what we use.
type compose struct {
	Services map[string]struct {
		Build, Image string
		Command      []string
		Environment  map[string]string
		Volumes      []string
		ReadOnly     bool     `yaml:"read_only"`
		CapDrop      []string `yaml:"cap_drop"`
	}
	Volumes  map[string]any
	Networks map[string]struct {
		IPAM struct{ Config []struct{ Subnet string } }
	}
}

// The files of deploy/ fit together: what one names is in another.
func TestDocumentsOfCompose(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(root, "deploy")
	var c compose
	if err := yaml.Unmarshal([]byte(text(t, dir, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	for name, service := range c.Services {
		if service.Build != "" {
			text(t, filepath.Join(dir, service.Build), "Dockerfile")
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, declared := c.Volumes[source]; !declared {
				mounts(t, filepath.Join(dir, source), volume)
			}
		}
		if name == "scanhook" && (!service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"})) {
			t.Errorf("%s may do more than it needs", name)
		}
	}
	given := c.Services["scanhook"].Environment
	cfg, err := config.Load(filepath.Join(dir, "scanhook", "config.yaml"), platformTypes(), func(name string) (string, bool) {
		_, passed := given[name]
		return "a-value-of-32-characters-or-more-" + name, passed
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range cfg.Warnings {
		if !strings.Contains(warning, "is not a signing token") {
			t.Error(warning)
		}
	}
	if subnet := c.Networks["default"].IPAM.Config[0].Subnet; !slices.Equal(cfg.Server.TrustedProxies, []string{subnet}) {
		t.Errorf("trusted are %v, Caddy is in %s", cfg.Server.TrustedProxies, subnet)
	}
	if port := strings.TrimPrefix(cfg.Server.Listen, ":"); !strings.Contains(text(t, dir, "Caddyfile"), "reverse_proxy scanhook:"+port) {
		t.Error("Caddy leads elsewhere")
	}
	example := text(t, dir, "env.example")
	for _, used := range regexp.MustCompile(`\$\{(\w+)`).FindAllStringSubmatch(text(t, dir, "compose.yaml"), -1) {
		if !strings.Contains(example, "\n"+used[1]+"=") {
			t.Errorf("env.example does not name %s", used[1])
		}
	}
}

// Workers have what runs scanners, and no more.
func TestDocumentsOfComposeWorkers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(root, "deploy")
	var c compose
	if err := yaml.Unmarshal([]byte(text(t, dir, "compose.workers.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	worker, example := c.Services["worker"], text(t, dir, "env.example")
	if !slices.Equal(worker.Command, []string{"serve", "--only=runner"}) || !slices.Equal(c.Services["scanhook"].Command, []string{"serve", "--except=runner"}) {
		t.Errorf("they do %q and %q", worker.Command, c.Services["scanhook"].Command)
	}
	cfg, err := config.Load(filepath.Join(dir, "scanhook", "config.yaml"), platformTypes(), func(name string) (string, bool) {
		value, passed := worker.Environment[name]
		variable := regexp.MustCompile(`\$\{(\w+)(:-)?`).FindStringSubmatch(value)
		if variable != nil && !strings.Contains(example, "\n"+variable[1]+"=") {
			t.Errorf("env.example does not name %s", variable[1])
		}
		if variable != nil && variable[2] == "" {
			return "given", passed
		}
		return "", passed
	})
	if err != nil {
		t.Fatal(err)
	}
	if warnings := cfg.WarningsFor(false, false); len(warnings) > 0 {
		t.Errorf("a worker is warned of %q", warnings)
	}
	for _, volume := range worker.Volumes {
		if source, _, mounted := strings.Cut(volume, ":"); mounted {
			mounts(t, filepath.Join(dir, source), volume)
		}
	}
	if !worker.ReadOnly || !slices.Equal(worker.CapDrop, []string{"ALL"}) || strings.Contains(fmt.Sprint(worker.Environment), "WEBHOOK_SECRET") {
		t.Error("a worker has more than it needs")
	}
}

// mounts finds what a volume mounts. A file that is mounted alone stays the old one in the container when it is replaced, so the
// configuration has a directory.
func mounts(t *testing.T, path, volume string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(volume, "/etc/scanhook") && !info.IsDir() {
		t.Errorf("%s mounts a file, whose changes are not seen", volume)
	}
}

func text(t *testing.T, dir, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mostExposed is the exposure that systemd may find at most, in tenths; 100 is a service without any protection.
const mostExposed = 30

func TestDocumentsOfSystemd(t *testing.T) {
	t.Parallel()
	unit := filepath.Join(root, "deploy", "scanhook.service")
	for _, want := range []string{"ExecStart=/usr/local/bin/scanhook serve --config /etc/scanhook/config.yaml", "User=scanhook", "KillMode=mixed"} {
		if !strings.Contains(text(t, filepath.Dir(unit), "scanhook.service"), "\n"+want+"\n") {
			t.Errorf("no %s in the unit", want)
		}
	}
	judged, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager",
		fmt.Sprintf("--threshold=%d", mostExposed), unit).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("systemd-analyze is not here: apt-get install systemd")
	}
	if strings.Contains(string(judged), "Unknown") && strings.Contains(string(judged), "--offline") {
		t.Skip("this systemd-analyze does not know --offline")
	}
	if err != nil {
		t.Errorf("systemd finds too much that the service may do: %v\n%s", err, judged)
	}
	for line := range strings.Lines(string(judged)) {
		if strings.HasPrefix(line, "/") || strings.Contains(line, "ignoring") {
			t.Errorf("systemd does not understand: %s", strings.TrimSpace(line))
		}
	}
}

// CI of both platforms is .ci/run.
func TestDocumentsOfCI(t *testing.T) {
	t.Parallel()
	for _, file := range []string{".github/workflows/ci.yml", ".gitlab-ci.yml"} {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(text(t, root, file)), &any); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if !strings.Contains(text(t, root, file), ".ci/run") {
			t.Errorf("%s does not call .ci/run", file)
		}
	}
	ci := text(t, root, ".ci/run")
	for _, command := range []string{"go run ./cmd/scanhook demo --once", "make race"} {
		if !strings.Contains(ci, command) {
			t.Errorf(".ci/run does not run %s", command)
		}
	}
}
