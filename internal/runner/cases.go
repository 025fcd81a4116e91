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
)

// maxReviewedFile bounds the files that an AI is asked about, in bytes; larger ones are made by machines.
const maxReviewedFile = 512 << 10

// casesOf reads what the AI needs to know of a job's new findings out of the checkout. Findings whose file cannot be
// shown are left out.
func (r *Runner) casesOf(ctx context.Context, job core.Job, all []core.Finding, source string) ([]ai.Case, error) {
	findings, err := r.Jobs.ListUndecided(ctx, job, r.AI.MaxFindings)
	if err != nil || len(findings) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(source)
	if err != nil {
		return nil, fmt.Errorf("opening the checkout: %w", err)
	}
	defer func() { _ = root.Close() }()
	files := make(map[string]reviewed)
	var cases []ai.Case
	for _, f := range findings {
		file, known := files[f.File]
		if !known {
			file = readReviewed(ctx, root, f.File, all)
			files[f.File] = file
		}
		if file.source != "" {
			f.Title, f.Message = file.veil.mask(f.Title), file.veil.mask(f.Message)
			cases = append(cases, ai.Case{Finding: f, Source: file.source, Shown: file.shown})
		}
	}
	return cases, nil
}

// reviewed is a file as it is, and as it may be shown; empty when it may not.
type reviewed struct {
	source, shown string
	veil          veil
}

func readReviewed(ctx context.Context, root *os.Root, name string, all []core.Finding) (file reviewed) {
	source, ok := readText(root, name)
	if !ok {
		return reviewed{}
	}
	var inFile []core.Finding
	for _, f := range all {
		if f.File == name {
			inFile = append(inFile, f)
		}
	}
	shown, veil, err := cover(ctx, name, source, inFile)
	if err != nil {
		return reviewed{}
	}
	return reviewed{source: source, shown: shown, veil: veil}
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
