package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// evaluating must be set for the measurements that take minutes: make eval does.
const evaluating = "SCANHOOK_EVAL"

const gosecModule = "github.com/securego/gosec/v2/cmd/gosec@v2.30.0"

var both = []string{"gosec", "gitleaks"}

// histories are evolutions of real code, one commit for each released version, then commits that only move code about.
var histories = []history{
	{module: "golang.org/x/crypto", versions: []string{"v0.1.0", "v0.24.0", "v0.52.0"}, wide: true, scanners: both},
	{module: "github.com/lib/pq", versions: []string{
		"v1.0.0", "v1.3.0", "v1.7.0", "v1.9.0", "v1.10.2", "v1.10.9", "v1.11.0", "v1.12.3",
	}, scanners: both},
	{module: "github.com/spf13/cobra", versions: []string{
		"v0.0.5", "v1.0.0", "v1.1.3", "v1.3.0", "v1.5.0", "v1.7.0", "v1.8.1", "v1.9.1", "v1.10.2",
	}, scanners: both[:1]},
}

// TestEvalFingerprints scans the commits of histories one by one, through the whole of Scanhook, and holds fingerprints
// to what git blames: a finding whose line comes from the same commit as before is the same finding.
func TestEvalFingerprints(t *testing.T) {
	if os.Getenv(evaluating) == "" {
		t.Skipf("%s is not set: make eval measures", evaluating)
	}
	scanners := map[string]Scanner{"gitleaks": {Builtin: builtinGitleaks}}
	if program := buildGosec(t); program != "" {
		scanners["gosec"] = gosecScanner(t, program)
	}
	fmt.Println(header())
	var all [2]*tally
	for kind, name := range []string{"releases", "code moved about"} {
		all[kind] = newTally(name)
	}
	for _, h := range histories {
		for _, scanner := range h.scanners {
			if runnable, built := scanners[scanner]; built {
				for kind, result := range evaluate(t, h, runnable) {
					fmt.Printf("%-7s %-9s %s\n", h.name(), scanner, result)
					all[kind].add(result)
				}
			}
		}
	}
	for _, result := range all {
		fmt.Printf("%-17s %s\n", "all", result)
		ours := result.methods[oursWithCheckout]
		if ours.hidden != 0 || ours.kept*100 < ours.pairs*95 {
			t.Errorf("%s: want at least 95 %% kept and none hidden, got %+v", result.name, *ours)
		}
	}
}

// evaluate scans all commits of a history, each compared with the one before: the releases of its module, and those
// that only move code about.
func evaluate(t *testing.T, h history, scanner Scanner) [2]*tally {
	t.Helper()
	b := newBench(t, scanner)
	results := [2]*tally{newTally("releases"), newTally("code moved about")}
	var before *snapshot
	for i, sha := range h.commit(t, b.server) {
		now := examineCommit(t, b, h, sha)
		kind := 0
		if i >= len(h.versions) {
			kind = 1
		}
		results[kind].compare(before, now)
		before = now
	}
	return results
}

// examineCommit scans one commit with a checkout, and hands the same findings in as a report that was uploaded.
func examineCommit(t *testing.T, b *bench, h history, sha string) *snapshot {
	t.Helper()
	reference := b.accept(t, h.name(), sha)
	b.mustWork(t, true)
	scanned := findingsOf(t, b, reference)
	uploaded := b.accept(t, "upload/"+h.name(), sha)
	report := core.Report{}
	for _, f := range scanned {
		report.Findings = append(report.Findings, core.Finding{
			Tool: f.Tool, RuleID: f.RuleID, File: f.File, Line: f.Line, EndLine: f.EndLine, Severity: f.Severity,
			Title: f.Title, Message: f.Message, Snippet: f.Snippet,
		})
	}
	if _, err := b.Jobs.PutReport(t.Context(), uploaded, "gitleaks", report); err != nil {
		t.Fatal(err)
	}
	return newSnapshot(t, h, filepath.Join(b.server.dir, h.name()+".git"), sha, scanned, findingsOf(t, b, uploaded))
}

func findingsOf(t *testing.T, b *bench, reference string) []core.Finding {
	t.Helper()
	scan, err := b.Jobs.GetScan(t.Context(), reference)
	if err != nil || scan.Status != core.ScanCompleted {
		t.Fatalf("want a completed scan, got %s: %s, %v", scan.Status, scan.Error, err)
	}
	findings, err := b.Jobs.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// buildGosec builds gosec once for all evaluations of this machine; it returns "" where that is not possible.
func buildGosec(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "scanhook-eval", "gosec-v2.30.0")
	program := filepath.Join(dir, "gosec")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	cmd := exec.CommandContext(t.Context(), "go", "install", gosecModule)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "GOBIN="+dir)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Logf("gosec left out, it cannot be built: %v\n%s", err, output)
		return ""
	}
	return program
}

// gosecScanner lends gosec the module and build caches, which the runner keeps from scanners.
func gosecScanner(t *testing.T, program string) Scanner {
	t.Helper()
	command := []string{"env", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local"}
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB"} {
		command = append(command, name+"="+goEnv(t.Context(), name))
	}
	return Scanner{Command: append(command, program, "-quiet", "-no-fail", "-fmt", "sarif", "-out", "{output}", "./...")}
}

func goEnv(ctx context.Context, name string) string {
	value, _ := exec.CommandContext(ctx, "go", "env", name).Output()
	return strings.TrimSpace(string(value))
}
