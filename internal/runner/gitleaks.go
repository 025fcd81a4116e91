package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"
	"golang.org/x/sync/errgroup"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

const (
	builtinGitleaks = "gitleaks"

	maxSecretFile = 10 << 20 // bytes; larger files are data, not code
	maxSecrets    = 20_000
	parallelFiles = 4
)

var errTooManySecrets = fmt.Errorf("gitleaks stopped after %d secrets: take generated files out of the repository",
	maxSecrets)

// panicked carries a panic from the goroutine where it happened to the one that can answer it.
type panicked string

func (p panicked) Error() string { return string(p) }

// secretSearch is one run of gitleaks.
type secretSearch struct {
	detector *detect.Detector
	root     *os.Root
	mu       sync.Mutex
	found    []core.Finding
}

// findSecrets looks for secrets in the regular files below dir, those of git itself excluded. No secret is in what it
// returns.
func findSecrets(ctx context.Context, dir string) (core.Report, error) {
	detector, err := reports.SecretRules()
	if err != nil {
		return core.Report{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return core.Report{}, fmt.Errorf("opening the checkout: %w", err)
	}
	defer func() { _ = root.Close() }()
	search := &secretSearch{detector: detector, root: root}
	if err := search.run(ctx, dir); err != nil {
		return core.Report{}, err
	}
	slices.SortFunc(search.found, func(a, b core.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.RuleID, b.RuleID))
	})
	return core.Report{Findings: search.found, Results: len(search.found)}, nil
}

func (s *secretSearch) run(ctx context.Context, dir string) error {
	files, working := errgroup.WithContext(ctx)
	files.SetLimit(parallelFiles)
	walked := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case working.Err() != nil:
			return filepath.SkipAll
		case entry.IsDir() && (name == ".git" || s.allowed(name)):
			return filepath.SkipDir
		case entry.Type().IsRegular() && !s.allowed(name):
			files.Go(func() error { return s.file(working, name) })
		}
		return nil
	})
	searched := files.Wait()
	switch cause := panicked(""); {
	case errors.As(searched, &cause):
		panic(cause)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case searched != nil:
		return searched
	case walked != nil:
		return fmt.Errorf("walking the checkout: %w", walked)
	}
	return nil
}

// allowed tells whether the rules leave a path alone: images, fonts, lock files, other people's packages.
func (s *secretSearch) allowed(name string) bool {
	return slices.ContainsFunc(s.detector.Config.Allowlists, func(list *config.Allowlist) bool {
		return list.PathAllowed(filepath.ToSlash(name))
	})
}

// file searches one file. It runs on a goroutine of its own, where a panic of the library would end the process.
func (s *secretSearch) file(ctx context.Context, name string) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panicked(fmt.Sprintf("searching %s: %v\n%s", name, cause, debug.Stack()))
		}
	}()
	file, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("searching for secrets: %w", err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || info.Size() > maxSecretFile {
		return err
	}
	var leaks []report.Finding
	// The source is not told the name: it would take every name with .gz or .zip anywhere in it for an archive's, and
	// pass it over.
	source := sources.File{Content: file}
	err = source.Fragments(ctx, func(fragment sources.Fragment, err error) error {
		fragment.FilePath = filepath.ToSlash(name)
		leaks = append(leaks, s.detect(ctx, fragment)...)
		if len(leaks) > maxSecrets {
			return errTooManySecrets
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.add(toFindings(leaks))
}

func (s *secretSearch) detect(ctx context.Context, fragment sources.Fragment) []report.Finding {
	return s.detector.DetectContext(ctx, detect.Fragment(fragment)) //nolint:staticcheck // the only type it takes until v9
}

func (s *secretSearch) add(findings []core.Finding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, findings...)
	if len(s.found) > maxSecrets {
		return errTooManySecrets
	}
	return nil
}
