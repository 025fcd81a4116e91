package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/cmd/scanhook/check"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/config/strictyaml"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/rules"
)

// secretRules are the rules of a built-in scanner.
type secretRules struct {
	policies core.Policies
	general  *gitleaks.Rules   // of projects that no entry matches
	entries  []*gitleaks.Rules // by the configuration's repositories
}

// of returns the rules of a project.
func (s secretRules) of(platform, project string) *gitleaks.Rules {
	if entry := s.policies.Find(platform, project); entry >= 0 {
		return s.entries[entry]
	}
	return s.general
}

func (s secretRules) describe() (counts check.Rules) {
	if s.general != nil {
		counts.General = s.general.Count()
	}
	for _, own := range s.entries {
		counts.Entries = append(counts.Entries, own.Count())
	}
	return counts
}

// rulesOf loads the rules of all built-in scanners, and has what they find masked. All mistakes are in the error, each on a
// line of its own.
func rulesOf(cfg *config.Config, policies core.Policies) (map[string]secretRules, error) {
	loader := &rulesLoader{config: cfg, loaded: map[string]*gitleaks.Rules{}}
	scanners := map[string]secretRules{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Scanners)) {
		if cfg.Scanners[name].Builtin != config.BuiltinGitleaks {
			continue
		}
		found, err := loader.scanner(name)
		if err != nil {
			return nil, err
		}
		found.policies = policies
		scanners[name] = found
	}
	if len(loader.problems) > 0 {
		return nil, errors.New(strings.Join(loader.problems, "\n"))
	}
	return scanners, gitleaks.MaskBy(slices.Collect(maps.Values(loader.loaded))...)
}

// rulesLoader loads equal rules once.
type rulesLoader struct {
	config   *config.Config
	loaded   map[string]*gitleaks.Rules // by what extends the built-in rules
	problems []string
}

func (l *rulesLoader) scanner(name string) (secretRules, error) {
	builtin, err := gitleaks.LoadRules()
	if err != nil {
		return secretRules{}, err
	}
	scanner := l.config.Scanners[name]
	prefix := strictyaml.Join("scanners", name)
	general := l.extend(builtin, scanner.SecretRules, prefix)
	if scanner.Archives {
		general = general.WithArchives()
	}
	found := secretRules{general: general}
	for i, repository := range l.config.Repositories {
		own := l.extend(general, repository.Gitleaks, fmt.Sprintf("repositories[%d].gitleaks", i), "defaults.gitleaks")
		if repository.Archives && !scanner.Archives {
			own = own.WithArchives()
		}
		found.entries = append(found.entries, own)
	}
	return found, nil
}

// extend returns rules with what the configuration has at one of the paths. Where that has mistakes, they stay as they are.
func (l *rulesLoader) extend(base *gitleaks.Rules, by config.SecretRules, paths ...string) *gitleaks.Rules {
	extension := rules.Extension{Allow: rules.Allow{Paths: by.Allow.Paths, Regexes: by.Allow.Regexes, Rules: by.Allow.Rules}}
	if by.Rules != "" {
		var err error
		if extension.File, err = readRules(by.Rules); err != nil {
			l.problem(paths, rules.Problem{Key: "rules", Text: fmt.Sprintf("%v; correct the path, or make the file", err)})
		}
		extension.Name = filepath.Base(by.Rules)
	}
	key := fmt.Sprintf("%s %q", base.Version(), extension)
	if same, known := l.loaded[key]; known {
		return same
	}
	l.loaded[key] = base
	if extension.IsEmpty() {
		return base
	}
	extended, err := base.Extend(extension)
	if problems := (rules.Problems{}); errors.As(err, &problems) {
		for _, problem := range problems {
			l.problem(paths, problem)
		}
		return base
	}
	l.loaded[key] = extended
	return extended
}

// problem places a mistake at the first of the paths that the file sets.
func (l *rulesLoader) problem(paths []string, problem rules.Problem) {
	written := slices.IndexFunc(paths, func(path string) bool { return l.config.Source.Lines[path+"."+problem.Key] > 0 })
	path := paths[max(written, 0)]
	text := fmt.Sprintf("%s:%d: %s.%s", l.config.Source.File, l.config.Source.Lines[path+"."+problem.Key], path, problem)
	if !slices.Contains(l.problems, text) { // it may be inherited
		l.problems = append(l.problems, text)
	}
}

// readRules reads a file of rules, of which no more is read than may be in it.
func readRules(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, rules.MaxFile+1))
}
