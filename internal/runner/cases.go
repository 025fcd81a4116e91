package runner

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
	"github.com/scanhook/scanhook/internal/reports"
)

// maxReviewedFile bounds the files that an AI is asked about, in bytes; larger ones are made by machines.
const maxReviewedFile = 512 << 10

// suspect is a finding to ask the AI about.
type suspect struct {
	finding core.Finding
	file    *exhibit
}

// exhibit is a file of the checkout, in memory.
type exhibit struct {
	name, source string
	findings     []core.Finding // all that the job has in it

	shown    string // source with its secrets masked; empty until it is asked for
	redactor reports.Redactor
}

// suspectsOf reads what the AI needs to know of a job's new findings out of the checkout. Findings whose file cannot be
// shown are left out.
func (r *Runner) suspectsOf(ctx context.Context, job core.Job, all []core.Finding, source string) ([]suspect, error) {
	findings, err := r.Jobs.ListUndecided(ctx, job, r.AI.MaxFindings)
	if err != nil || len(findings) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(source)
	if err != nil {
		return nil, fmt.Errorf("opening the checkout: %w", err)
	}
	defer func() { _ = root.Close() }()
	files := make(map[string]*exhibit)
	var suspects []suspect
	for _, f := range findings {
		file, known := files[f.File]
		if !known {
			file = readExhibit(root, f.File, all)
			files[f.File] = file
		}
		if file != nil {
			suspects = append(suspects, suspect{finding: f, file: file})
		}
	}
	return suspects, nil
}

// readExhibit returns nil for a file that cannot be shown.
func readExhibit(root *os.Root, name string, all []core.Finding) *exhibit {
	source, ok := readText(root, name)
	if !ok {
		return nil
	}
	file := &exhibit{name: name, source: source}
	for _, f := range all {
		if f.File == name {
			file.findings = append(file.findings, f)
		}
	}
	return file
}

// question is how the AI hears of a finding: without the secrets of its file, in the scanner's words neither.
func (s suspect) question(ctx context.Context) (ai.ReviewRequest, error) {
	if s.file.shown == "" {
		shown, redactor, err := cover(ctx, s.file.name, s.file.source, s.file.findings)
		if err != nil {
			return ai.ReviewRequest{}, err
		}
		s.file.shown, s.file.redactor = shown, redactor
	}
	f := s.finding
	f.Title, f.Message = s.file.redactor.Line(f.Title), s.file.redactor.Line(f.Message)
	return ai.ReviewRequest{Finding: f, Source: s.file.source, Shown: s.file.shown}, nil
}

// readText reads a text file of the checkout. Neither the repository nor the scanner, who chose the name, can make it
// read anything else: no links, nothing of git's own, nothing outside.
func readText(root *os.Root, name string) (text string, ok bool) {
	name = path.Clean(name)
	if !filepath.IsLocal(name) || strings.EqualFold(strings.SplitN(name, "/", 2)[0], ".git") || !plain(root, name) {
		return "", false
	}
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return "", false
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxReviewedFile+1))
	text = string(data)
	return text, err == nil && len(data) > 0 && len(data) <= maxReviewedFile && !strings.Contains(text, "\x00")
}

// plain tells whether name is a regular file that is reached without a link.
func plain(root *os.Root, name string) bool {
	for at := range len(name) {
		if name[at] != '/' {
			continue
		}
		if info, err := root.Lstat(name[:at]); err != nil || !info.IsDir() {
			return false
		}
	}
	info, err := root.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}
