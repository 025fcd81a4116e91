package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
)

const (
	reviewTime = 10 * time.Minute // for all findings of a job
	maxWaiting = 16               // reviews; their files are kept in memory
	maxAway    = 3                // questions in a row that the service leaves without an answer

	statusPause    = 500 * time.Millisecond // between two looks whether the commit has its status
	statusPatience = time.Minute
)

// AI says whom to ask about new findings, and what may come of it.
type AI struct {
	Client      *ai.Client
	MayDismiss  bool // its false positives stop to count for the gate, where core.MayAIDismiss allows it
	MaxFindings int  // of a job that it is asked about, the gravest
}

// review is what is left to ask about a job whose report is in. Its workspace is gone: the suspects hold the files.
type review struct {
	log      *slog.Logger
	scan     core.Scan
	suspects []suspect
}

// askLater leaves the new findings of an ended job to the AI. That is an extra which no scan waits for: when there is
// too much to do, or after a crash, they stay without its opinion.
func (r *Runner) askLater(ctx context.Context, t *task) {
	if r.AI == nil {
		return
	}
	log := r.Log.With(t.attrs()...)
	suspects, err := r.suspectsOf(ctx, t.job, t.saved.Findings, t.space.source)
	switch {
	case err != nil:
		log.Warn("AI not asked", keyError, err)
	case len(suspects) > 0:
		select {
		case r.reviews <- review{log: log, scan: t.scan, suspects: suspects}:
		default:
			log.Warn("AI not asked: it does not keep up, other scans wait for it", keyFindings, len(suspects))
		}
	}
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

// awaitStatus lets the commit have its status first: what the AI says may change it. One that cannot be posted soon is
// not waited for.
func (r *Runner) awaitStatus(ctx context.Context, scan core.Scan) {
	end := r.Jobs.Now().Add(statusPatience)
	due := func(s core.Status) bool { return s.DueBy(end) }
	for r.Jobs.Now().Before(end) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(statusPause):
		}
		if list, err := r.Jobs.ListStatuses(ctx, scan); err != nil || !slices.ContainsFunc(list, due) {
			return
		}
	}
}

// review asks about one finding after the other, and gives up on a service that is away.
func (r *Runner) review(ctx context.Context, work review) {
	ctx, cancel := context.WithTimeoutCause(ctx, reviewTime, fmt.Errorf("the AI took more than %s", reviewTime))
	defer cancel()
	var result reviewResult
	for _, s := range work.suspects {
		result.add(r.ask(ctx, s))
		if ctx.Err() != nil || result.away == maxAway {
			break
		}
	}
	result.tell(work.log, len(work.suspects), context.Cause(ctx))
}

// ask puts one question and keeps the answer with the finding.
func (r *Runner) ask(ctx context.Context, s suspect) (core.Statement, error) {
	question, err := s.question(ctx)
	if err != nil {
		return core.Statement{}, err
	}
	opinion, err := r.AI.Client.Review(ctx, question)
	if err != nil {
		return core.Statement{}, err
	}
	said := opinion.Statement(question.Finding, r.AI.Client.Model, r.AI.MayDismiss)
	_, err = r.Jobs.PatchFinding(ctx, question.Finding.ID, said)
	return said, err
}

// reviewResult is what came of the questions about a job.
type reviewResult struct {
	answers, dismissed int
	away               int   // questions without an answer since the last one
	failure            error // the first one
}

func (s *reviewResult) add(said core.Statement, err error) {
	switch {
	case errors.Is(err, core.ErrNotFound): // a newer report has replaced the finding
		return
	case err == nil:
		s.answers++
		if said.TriageDecision.Set {
			s.dismissed++
		}
	case s.failure == nil:
		s.failure = err
	}
	if s.away++; !errors.Is(err, core.ErrUnavailable) {
		s.away = 0
	}
}

// tell writes the one line of a review into the log, without anything that was asked or answered.
func (s *reviewResult) tell(log *slog.Logger, findings int, interrupted error) {
	log = log.With(keyFindings, findings, "answers", s.answers, "dismissed", s.dismissed)
	switch {
	case interrupted != nil:
		log.Info("AI review broken off", keyError, interrupted)
	case s.failure != nil:
		log.Warn("AI review without all answers", keyError, s.failure)
	default:
		log.Info("AI review done")
	}
}
