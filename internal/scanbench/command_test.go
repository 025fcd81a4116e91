//go:build linux

package scanbench

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/servetest"
)

// finding is where a secret is, and which rule finds it.
type finding struct {
	File string
	Line int
	Rule string
}

// usage is what something took.
type usage struct{ cpu, clock time.Duration }

// buildCommand compiles gitleaks of the version that is built into scanhook.
func buildCommand(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "gitleaks")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/zricethezav/gitleaks/v8")
	cmd.Dir = servetest.Root(t)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building gitleaks: %v\n%s", err, said)
	}
	return binary
}

// runCommand runs gitleaks over a directory.
func runCommand(t *testing.T, binary, dir string) (used usage, found []finding) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(binary, "dir", ".", "--no-banner", "--exit-code=0", "--report-format=json", "--report-path="+report)
	cmd.Dir = dir
	began := time.Now()
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gitleaks: %v\n%s", err, said)
	}
	used = usage{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), time.Since(began)}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		RuleID, File string
		StartLine    int
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		found = append(found, finding{row.File, row.StartLine, row.RuleID})
	}
	return used, found
}
