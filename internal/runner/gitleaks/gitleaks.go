// Package gitleaks is the builtin scanner for secrets: it searches checkouts with the rules of gitleaks, and redacts texts.
// No secret is in what it returns.
package gitleaks

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
	"strings"
	"sync"

	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"
	"golang.org/x/sync/errgroup"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
)

const (
	Name = "gitleaks" // of the tool in findings

	MaxSecrets = 20_000 // that a scan may find

	maxFile       = 10 << 20 // bytes; larger files are data, not code
	parallelFiles = 4
	maxSnippet    = 4 << 10 // bytes
)

// ErrTooManySecrets is the failure of a scan that found more secrets than anybody could look at.
var ErrTooManySecrets = fmt.Errorf("gitleaks stopped after %d secrets: take generated files out of the repository",
	MaxSecrets)

// panicked carries a panic to the goroutine of the caller.
type panicked string

func (p panicked) Error() string { return string(p) }

// search is one run over a checkout.
type search struct {
	rules *Rules
	root  *os.Root
	mu    sync.Mutex
	found []core.Finding
}

// Search looks for secrets in the regular files below dir, except those of git itself, by the built-in rules.
func Search(ctx context.Context, dir string) (core.Report, error) {
	rules, err := LoadRules()
	if err != nil {
		return core.Report{}, err
	}
	return rules.SearchFiles(ctx, dir)
}

// SearchFiles looks for secrets in the regular files below dir, except those of git itself.
func (r *Rules) SearchFiles(ctx context.Context, dir string) (core.Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return core.Report{}, fmt.Errorf("opening the checkout: %w", err)
	}
	defer func() { _ = root.Close() }()
	s := &search{rules: r, root: root}
	if err := s.run(ctx, dir); err != nil {
		return core.Report{}, err
	}
	slices.SortFunc(s.found, func(a, b core.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.RuleID, b.RuleID))
	})
	return core.Report{Findings: s.found, Results: len(s.found)}, nil
}

func (s *search) run(ctx context.Context, dir string) error {
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

func (s *search) allowed(name string) bool { return s.rules.Allowed(filepath.ToSlash(name)) }

// file searches one file. It runs on a goroutine of its own, where a panic of the library would end the process.
func (s *search) file(ctx context.Context, name string) (err error) {
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
	if info, err := file.Stat(); err != nil || info.Size() > maxFile {
		return err
	}
	var leaks []report.Finding
	// The source gets no name: it would skip every file with .gz or .zip anywhere in its name as an archive.
	source := sources.File{Content: file}
	err = source.Fragments(ctx, func(fragment sources.Fragment, err error) error {
		fragment.FilePath = filepath.ToSlash(name)
		leaks = append(leaks, s.rules.detect(ctx, fragment)...)
		if len(leaks) > MaxSecrets {
			return ErrTooManySecrets
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.add(toFindings(leaks, nil, s.rules.key))
}

func (s *search) add(findings []core.Finding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, findings...)
	if len(s.found) > MaxSecrets {
		return ErrTooManySecrets
	}
	return nil
}

// advice ends each message: what to do about a leaked secret.
const advice = " Revoke it where it was issued, then take it out of the code: it stays readable in the history."

// criticalRules are prefixes of the rules whose secrets are Critical: they give access to infrastructure, source code or
// published packages, or let somebody pass for somebody else. All other secrets are High.
var criticalRules = []string{
	"private-key", "age-secret-key", "aws-", "azure-", "alibaba-secret-key", "digitalocean-", "yandex-aws-",
	"github-", "gitlab-", "bitbucket-client-secret", "npm-", "pypi-", "rubygems-", "clojars-", "hashicorp-tf-", "vault-",
	"kubernetes-", "openshift-", "pulumi-", "flyio-", "heroku-", "cloudflare-", "doppler-", "1password-",
}

// toFindings converts what gitleaks found in one file, without the secrets, also those of other findings on the same line and of
// others, which are not reported.
func toFindings(leaks, others []report.Finding, key secrets.Key) []core.Finding {
	all := slices.Concat(others, leaks)
	redactor, former := reports.NewRedactor(all, key), reports.NewRedactor(all, secrets.Keyless)
	findings := make([]core.Finding, 0, len(leaks))
	for _, leak := range leaks {
		f, was := toFinding(leak, redactor, key), toFinding(leak, former, secrets.Keyless)
		f.SetFormer(&was)
		findings = append(findings, f)
	}
	return findings
}

func toFinding(leak report.Finding, redactor reports.Redactor, key secrets.Key) core.Finding {
	return core.Finding{
		Tool:               Name,
		RuleID:             leak.RuleID,
		File:               core.Printable(leak.File),
		Line:               leak.StartLine,
		EndLine:            lastLine(leak),
		Severity:           severityOfRule(leak.RuleID),
		Title:              leak.Description,
		Message:            leak.Description + advice,
		CWE:                "CWE-798",
		Snippet:            snippetOf(leak, redactor, key),
		PartialFingerprint: key.Mask(leak.Secret),
		SecretHash:         key.Hash(leak.Secret),
	}
}

// lastLine counts again, because gitleaks miscounts at the end of a file.
func lastLine(leak report.Finding) int {
	if isEncoded(leak) {
		return leak.EndLine
	}
	return leak.StartLine + strings.Count(leak.Match, "\n")
}

// isEncoded tells whether the secret is encoded in the file, for example in base64.
func isEncoded(leak report.Finding) bool { return !strings.Contains(leak.Line, leak.Match) }

func severityOfRule(rule string) core.Severity {
	if slices.ContainsFunc(criticalRules, func(begin string) bool { return strings.HasPrefix(rule, begin) }) {
		return core.Critical
	}
	return core.High
}

// snippetOf returns the lines of the secret, with the secret masked.
func snippetOf(leak report.Finding, redactor reports.Redactor, key secrets.Key) string {
	lines := linesOf(leak)
	if lines == "" || redactor.Encoded(leak.StartLine) || redactor.Encoded(leak.EndLine) {
		return ""
	}
	text := redactor.Line(lines)
	if len(text) > maxSnippet {
		at := max(strings.Index(text, key.Mask(leak.Secret)), 0)
		text = text[max(at-maxSnippet/4, 0):min(at+maxSnippet/4, len(text))]
	}
	return core.Printable(strings.TrimSpace(text))
}

// linesOf returns the lines of the secret out of those that gitleaks gives, which may be the whole file if the secret is on
// its last line.
func linesOf(leak report.Finding) string {
	at := strings.LastIndex(leak.Line, leak.Match)
	if at < 0 || leak.Secret == "" {
		return ""
	}
	begin := at + max(strings.Index(leak.Match, leak.Secret), 0)
	end := begin + len(leak.Secret)
	begin = strings.LastIndexByte(leak.Line[:begin], '\n') + 1
	if more := strings.IndexByte(leak.Line[end:], '\n'); more >= 0 {
		return leak.Line[begin : end+more]
	}
	return leak.Line[begin:]
}
