package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/ai"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/source"
)

const (
	reviewTimeout = 10 * time.Minute // for all findings of a job
	maxWaiting    = 16               // reviews; their files are kept in memory
	maxUnanswered = 3                // requests in a row

	statusPause    = 500 * time.Millisecond // between two checks whether the commit has its status
	statusPatience = time.Minute
)

// AI says whom to ask about new findings, and what may come of it.
type AI struct {
	Client      *ai.Client
	MayDismiss  bool // its false positives do not count for the gate, where core.MayAIDismiss allows it
	MaxFindings int  // of a job that it reviews, the most severe
}

// reviewTask is what the AI is asked about a finished job. The workspace is gone: the candidates hold its files.
type reviewTask struct {
	log        *slog.Logger
	scan       core.Scan
	candidates []candidate
}

// candidate is a finding to ask the AI about.
type candidate struct {
	finding core.Finding
	file    *sourceFile
}

// sourceFile is a file of the checkout, in memory.
type sourceFile struct {
	name, text string
	findings   []core.Finding // all that the job has in it

	redacted string // text with its secrets masked; empty before it is needed
	redactor reports.Redactor
}

// askLater has the AI review the new findings of a finished job. No scan waits for it: if there is too much to do, or after a
// crash, they stay without a review.
func (r *Runner) askLater(ctx context.Context, job core.Job, scan core.Scan, findings []core.Finding, dir string) {
	if r.AI == nil {
		return
	}
	log := r.Log.With("scan", scan.ReferenceID, "scanner", job.Scanner, "project", scan.ProjectName, "commit", scan.CommitSHA)
	candidates, err := r.candidates(ctx, job, findings, dir)
	switch {
	case err != nil:
		log.Warn("AI not asked", keyError, err)
	case len(candidates) > 0:
		select {
		case r.reviews <- reviewTask{log: log, scan: scan, candidates: candidates}:
		default:
			log.Warn("AI not asked: it does not keep up, other scans wait for it", keyFindings, len(candidates))
		}
	}
}

// candidates reads what the AI needs to know of a job's new findings out of the checkout. Findings whose file cannot be shown
// are left out.
func (r *Runner) candidates(ctx context.Context, job core.Job, all []core.Finding, dir string) ([]candidate, error) {
	findings, err := r.Jobs.ListUndecided(ctx, job, r.AI.MaxFindings)
	findings = slices.DeleteFunc(findings, core.Finding.IsPast) // there is no code of theirs to show
	if err != nil || len(findings) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the checkout: %w", err)
	}
	defer func() { _ = root.Close() }()
	files := make(map[string]*sourceFile)
	var candidates []candidate
	for _, f := range findings {
		file, known := files[f.File]
		if !known {
			file = readSource(root, f.File, all)
			files[f.File] = file
		}
		if file != nil {
			candidates = append(candidates, candidate{finding: f, file: file})
		}
	}
	return candidates, nil
}

// readSource returns nil for a file that cannot be shown.
func readSource(root *os.Root, name string, all []core.Finding) *sourceFile {
	text, ok := source.ReadText(root, name)
	if !ok {
		return nil
	}
	file := &sourceFile{name: name, text: text}
	for _, f := range all {
		if f.File == name {
			file.findings = append(file.findings, f)
		}
	}
	return file
}

// reviewAll asks the AI until ctx ends.
func (r *Runner) reviewAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-r.reviews:
			r.awaitStatus(ctx, next.scan)
			r.review(ctx, next)
		}
	}
}

// awaitStatus waits until the commit has its status, which the review may change. It does not wait for a status that cannot
// be posted soon.
func (r *Runner) awaitStatus(ctx context.Context, scan core.Scan) {
	end := r.Jobs.Now().Add(statusPatience)
	due := func(s core.Status) bool { return s.DueBy(end) }
	for r.Jobs.Now().Before(end) {
		if !poll.Sleep(ctx, statusPause) {
			return
		}
		if list, err := r.Jobs.ListStatuses(ctx, scan); err != nil || !slices.ContainsFunc(list, due) {
			return
		}
	}
}

// review asks about one finding after the other, and gives up on a service that does not answer.
func (r *Runner) review(ctx context.Context, next reviewTask) {
	ctx, cancel := context.WithTimeoutCause(ctx, reviewTimeout, fmt.Errorf("the AI took more than %s", reviewTimeout))
	defer cancel()
	var result reviewResult
	for _, c := range next.candidates {
		result.add(r.ask(ctx, c, r.AI.MayDismiss && !next.scan.Fork)) // a stranger's code may persuade it
		if ctx.Err() != nil || result.unanswered == maxUnanswered {
			break
		}
	}
	result.logTo(next.log, len(next.candidates), context.Cause(ctx))
}

// ask asks about one finding and keeps the answer with it.
func (r *Runner) ask(ctx context.Context, c candidate, mayDismiss bool) (core.TriageUpdate, error) {
	question, err := c.request(ctx, r.key)
	if err != nil {
		return core.TriageUpdate{}, err
	}
	opinion, err := r.AI.Client.Review(ctx, question)
	if err != nil {
		return core.TriageUpdate{}, err
	}
	said := opinion.Update(question.Finding, r.AI.Client.Model, mayDismiss)
	_, err = r.Jobs.PatchFinding(ctx, question.Finding.ID, said)
	return said, err
}

// request is what the AI is asked about a finding, without the secrets of its file, which the scanner may have repeated.
func (c candidate) request(ctx context.Context, key secrets.Key) (ai.ReviewRequest, error) {
	if c.file.redacted == "" {
		redacted, redactor, err := gitleaks.Redact(ctx, key, c.file.name, c.file.text, c.file.findings)
		if err != nil {
			return ai.ReviewRequest{}, err
		}
		c.file.redacted, c.file.redactor = redacted, redactor
	}
	f := c.finding
	f.Title, f.Message = c.file.redactor.Line(f.Title), c.file.redactor.Line(f.Message)
	return ai.ReviewRequest{Finding: f, Source: c.file.text, Shown: c.file.redacted}, nil
}

// reviewResult counts the answers about a job.
type reviewResult struct {
	answers, dismissed int
	unanswered         int   // requests since the last answer
	failure            error // the first one
}

func (r *reviewResult) add(said core.TriageUpdate, err error) {
	switch {
	case errors.Is(err, core.ErrNotFound): // a newer report has replaced the finding
		return
	case err == nil:
		r.answers++
		if said.TriageDecision.Set {
			r.dismissed++
		}
	case r.failure == nil:
		r.failure = err
	}
	if r.unanswered++; !errors.Is(err, core.ErrUnavailable) {
		r.unanswered = 0
	}
}

// logTo writes the one line of a review, without anything that was asked or answered.
func (r *reviewResult) logTo(log *slog.Logger, findings int, interrupted error) {
	log = log.With(keyFindings, findings, "answers", r.answers, "dismissed", r.dismissed)
	switch {
	case interrupted != nil:
		log.Info("AI review interrupted", keyError, interrupted)
	case r.failure != nil:
		log.Warn("AI review without all answers", keyError, r.failure)
	default:
		log.Info("AI review done")
	}
}
