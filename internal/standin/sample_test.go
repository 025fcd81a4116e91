package standin_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fatih/semgroup"
	"github.com/google/go-cmp/cmp"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/standin"
)

// The ids are fixed because people compare what the demo shows with what the documentation shows.
func TestSampleRepositoryIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got, err := standin.SampleRepository(t.Context(), filepath.Join(dir, "sample"))
	if err != nil {
		t.Fatal(err)
	}
	want := standin.Checkout{
		Dir: got.Dir, Branch: "main",
		Head:   "2ac0d87b9b0859b3534b78ebc0a7042fef020a3f",
		Before: "326fcf4ef41ab88ace0b013e49ab1e19ea0aa016",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
	if dirty := git(t, got.Dir, "status", "--porcelain"); dirty != "" {
		t.Errorf("the work tree is not clean:\n%s", dirty)
	}
}

func TestSampleHasFindings(t *testing.T) {
	t.Parallel()
	sample, err := standin.SampleRepository(t.Context(), t.TempDir())
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

func TestOpen(t *testing.T) {
	t.Parallel()
	sample, err := standin.SampleRepository(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clone := func(args ...string) string {
		dir := filepath.Join(t.TempDir(), "copy")
		git(t, sample.Dir, append(append([]string{"clone", "--quiet"}, args...), "file://"+sample.Dir, dir)...)
		return dir
	}
	detached := clone()
	git(t, detached, "checkout", "--quiet", "--detach", sample.Before)
	lost := clone()
	git(t, lost, "checkout", "--quiet", "--detach")
	git(t, lost, "branch", "--quiet", "-D", "main")
	tests := map[string]struct {
		path string
		want standin.Checkout
	}{
		"work tree":       {sample.Dir, sample},
		"folder below it": {filepath.Join(sample.Dir, "internal"), sample},
		"bare":            {clone("--bare"), standin.Checkout{Branch: "main", Head: sample.Head, Before: sample.Before}},
		"detached":        {detached, standin.Checkout{Branch: "main", Head: sample.Before}},
		"no branch":       {lost, standin.Checkout{Branch: "HEAD", Head: sample.Head, Before: sample.Before}},
		"one commit":      {clone("--depth=1"), standin.Checkout{Branch: "main", Head: sample.Head}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := standin.Open(t.Context(), test.path)
			if err != nil {
				t.Fatal(err)
			}
			if test.want.Dir == "" {
				test.want.Dir = test.path
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("checkout (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	git(t, empty, "init", "--quiet")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		t.TempDir():                          "is not a git repository",
		filepath.Join(t.TempDir(), "absent"): "is not a git repository",
		file:                                 "is not a git repository",
		empty:                                "has no commit yet",
	} {
		_, err := standin.Open(t.Context(), path)
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want that it %s", path, err, want)
		}
	}
}
