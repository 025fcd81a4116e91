package gitrepo_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fatih/semgroup"
	"github.com/google/go-cmp/cmp"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// The ids are fixed because people compare what the demo shows with what the documentation shows.
func TestSampleRepositoryIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got, err := gitrepo.Sample(t.Context(), filepath.Join(dir, "sample"))
	if err != nil {
		t.Fatal(err)
	}
	want := gitrepo.Checkout{
		Dir: got.Dir, Branch: "main",
		Head:   "2ac0d87b9b0859b3534b78ebc0a7042fef020a3f",
		Before: "326fcf4ef41ab88ace0b013e49ab1e19ea0aa016",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
	if dirty := forgetest.Git(t, got.Dir, "status", "--porcelain"); dirty != "" {
		t.Errorf("the work tree is not clean:\n%s", dirty)
	}
}

func TestSampleHasFindings(t *testing.T) {
	t.Parallel()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"aws-access-token":    "config/deploy.env",
		"github-pat":          "config/deploy.env",
		"slack-bot-token":     "config/deploy.env",
		"private-key":         "config/deploy.key",
		"stripe-access-token": "internal/payment/client.go",
	}
	got := leaks(t, sample.Dir)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules and files (-want +got):\n%s", diff)
	}
}

// The package's own sources must not trip the scanner that they are made for.
func TestSourcesHoldNoSecret(t *testing.T) {
	t.Parallel()
	if got := leaks(t, "."); len(got) > 0 {
		t.Errorf("gitleaks finds %v, want nothing", slices.Sorted(maps.Keys(got)))
	}
}

// leaks lists gitleaks' findings in a directory: rule and relative file.
func leaks(t *testing.T, dir string) map[string]string {
	t.Helper()
	detector, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	findings, err := detector.DetectSource(t.Context(), &sources.Files{
		Config: &detector.Config, Path: dir, Sema: semgroup.NewGroup(t.Context(), 2),
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, finding := range findings {
		if relative, err := filepath.Rel(dir, finding.File); err == nil && !strings.HasPrefix(relative, ".git/") {
			found[finding.RuleID] = filepath.ToSlash(relative)
		}
	}
	return found
}
