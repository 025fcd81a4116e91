// Package statuses posts what commits and requests should show, and notices when they show something else. A desired status is a row
// that is claimed, posted and settled. Posting is at least once, in order per commit, and the latest desired status wins.
package statuses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/trace"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	claimEvery  = time.Second
	parallel    = 16               // posts to one platform at the same time
	batch       = 8                // of them claimed together
	postTimeout = 20 * time.Second // GitLab waits up to 10 s for its lock
	leaseTime   = 30 * time.Second // longer than a post may take, so that a late answer cannot overtake a newer one

	settleTimeout = 8 * time.Second
)

const (
	firstPause    = 2 * time.Second
	noTokenPause  = time.Hour // a token may come with the next start
	tooEarlyPause = time.Second
	refusedGrace  = 15 * time.Minute // the platform may accept later what it refuses now, for example a limit of jobs
	hiddenGrace   = time.Minute      // the API may not know a new project for so long
	firstProbe    = 30 * time.Second // until a held project is tried again
	longestProbe  = 15 * time.Minute
)

// refusedAdvice is what to do about a status that the platform refuses.
const refusedAdvice = "; it is tried for 15 minutes, then \"Scan again\" on the scan's page posts it anew"

// Config holds what a Poster needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set
	Pace      map[string]time.Duration // shortest time between two posts to a platform; none when absent
	Meter     *metrics.Meter           // may be nil
	Trace     *trace.Tracer            // may be nil
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Poster posts commit statuses.
type Poster struct {
	Config
	pauses      lease.Pauses // of posts, by platform
	checkPauses lease.Pauses // of drift checks, by platform
	notePauses  lease.Pauses // of comments, by platform
	held        sync.Map     // projects and branches that the log has called held
	posted      sync.Map     // when something was last posted, by platform
}

// New returns a Poster; Run makes it work.
func New(cfg Config) *Poster {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Poster{Config: cfg}
}

// Run blocks until ctx ends; posts under way are finished first. Each platform has a sender of its own, so that one that
// hangs holds up no other. It begins with what waits for a token: the configuration may have a new one.
func (p *Poster) Run(ctx context.Context) {
	if err := p.Store.ProbeHolds(ctx); err != nil {
		p.Log.Warn("held statuses are tried later", "error", err)
	}
	var senders sync.WaitGroup
	for name := range p.Platforms {
		s := &sender{Poster: p, platform: name}
		senders.Go(func() { s.posts().Run(ctx) })
		if keeper, ok := s.keeper(); ok {
			senders.Go(func() { s.notes(keeper).Run(ctx) })
		}
		if reader, ok := platforms.StatusReaderOf(p.Platforms[name]); ok {
			senders.Go(func() { s.driftChecks(reader).Run(ctx) })
		}
	}
	senders.Wait()
}

// PausedUntil is when posts to a platform go on; zero when they were never paused.
func (p *Poster) PausedUntil(platform string) time.Time { return p.pauses.End(platform) }

// LastPost is when this process last posted a status to a platform; zero for never.
func (p *Poster) LastPost(platform string) time.Time {
	last, _ := p.posted.Load(platform)
	at, _ := last.(time.Time)
	return at
}

// sender posts to one platform.
type sender struct {
	*Poster
	platform string
	busy     atomic.Int64 // when something was claimed last, in Unix seconds
	turn     sync.Mutex   // of who claims what is posted
}

// posts is the worker that posts statuses, those of different commits at the same time. Where the platform wants a pace,
// they are posted one by one.
func (s *sender) posts() lease.Worker[core.Status, store.PostResult] {
	w := lease.Worker[core.Status, store.PostResult]{
		Name: "statuses " + s.platform, Log: s.Log, Wake: s.Store.Changed(),
		Every: claimEvery, Parallel: parallel, Batch: batch, Lease: leaseTime, Handover: settleTimeout,
		Claim: s.claim, Work: s.post, Settle: s.settle,
	}
	if s.Pace[s.platform] > 0 {
		w.Parallel = 1
	}
	return w
}

func (s *sender) claim(ctx context.Context, most int) ([]core.Status, error) {
	claimed, err := inTurn(s, func() ([]core.Status, error) {
		return s.Store.ClaimStatuses(ctx, []string{s.platform}, most, leaseTime)
	})
	if len(claimed) > 0 {
		s.busy.Store(s.Now().Unix())
	}
	return claimed, err
}

// inTurn claims what is to be posted, unless the platform wants a pause. Statuses and comments share its pace.
func inTurn[T any](s *sender, claim func() ([]T, error)) ([]T, error) {
	pace := s.Pace[s.platform]
	if pace > 0 {
		s.turn.Lock()
		defer s.turn.Unlock()
	}
	if s.pauses.Paused(s.platform, s.Now()) {
		return nil, nil
	}
	claimed, err := claim()
	if len(claimed) > 0 {
		s.pauses.Delay(s.platform, s.Now(), pace)
	}
	return claimed, err
}

// post outlives ctx: the outcome of an interrupted post would be unknown.
func (s *sender) post(ctx context.Context, status core.Status) (store.PostResult, error) {
	posting, cancel := context.WithTimeout(context.WithoutCancel(ctx), postTimeout)
	defer cancel()
	began := s.Now()
	posted, err := s.show(posting, status)
	end := s.outcome(status, posted, err)
	end.Latency = s.Now().Sub(began)
	s.logOutcome(status, end, err)
	s.measure(status, end, err)
	return end, nil
}

// show has the platform show a status as its kind demands.
func (s *sender) show(ctx context.Context, status core.Status) (platforms.Posted, error) {
	platform := s.Platforms[s.platform]
	if status.Kind != core.KindCheck {
		status.Commented = s.Store.CommentMode(s.platform, status.ProjectName).Writes()
		return platforms.Post(ctx, platform, status)
	}
	runner, able := platforms.CheckRunnerOf(platform)
	if !able {
		return platforms.Posted{}, fmt.Errorf("%w: the platform has no check runs, or no App is configured for it", platforms.ErrRefused)
	}
	report, err := s.checkReport(ctx, status)
	if err != nil {
		return platforms.Posted{}, err
	}
	return runner.PostCheck(ctx, status, report)
}

// outcome decides what happens next. A rate limit holds for the whole platform.
func (p *Poster) outcome(status core.Status, posted platforms.Posted, err error) store.PostResult {
	if err == nil {
		return store.PostResult{
			Posted: true, PipelinePin: posted.PipelinePin, PostedID: posted.ID, Code: posted.Code,
			LeftOut: posted.LeftOut, ShownIn: posted.ShownIn, CheckAfter: p.checkAfter(status),
		}
	}
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		p.pauses.Delay(status.SourcePlatform, p.Now(), limited.After)
	}
	due := status.DesiredAt
	if status.DueSince.After(due) {
		due = status.DueSince
	}
	return decide(status, err, p.Now().Sub(due)-p.Store.Jumped(due))
}

// decide turns a failed post into what happens next. The status has been due for age.
func decide(status core.Status, err error, age time.Duration) store.PostResult {
	retry := platforms.RetryAfter(err, firstPause, status.Attempts, age)
	end := store.PostResult{Error: reason(err), Code: platforms.CodeOf(err), RetryAfter: retry.After, GivenUp: retry.GivenUp}
	limited, denied := new(platforms.RateLimited), new(platforms.Denied)
	switch {
	case errors.As(err, &limited):
		end.Waiting = true
	case errors.Is(err, platforms.ErrNoToken):
		end.RetryAfter, end.Hold, end.GivenUp = noTokenPause, &core.Hold{Probes: 1}, false
	case errors.As(err, &denied) && (!denied.Hidden || age > hiddenGrace):
		end.RetryAfter, end.Hold, end.GivenUp = poll.Backoff(firstProbe, status.Probe, longestProbe), holdOf(status, denied), false
	case errors.Is(err, platforms.ErrTooEarly):
		end.RetryAfter, end.Waiting = tooEarlyPause, true
	case errors.Is(err, platforms.ErrRefused):
		end.GivenUp = end.GivenUp || age > refusedGrace || end.Code == 0
		end.Error += refusedAdvice
	}
	return end
}

// maxReason bounds the text of a failure that is kept, in bytes.
const maxReason = 400

// reason is why a post failed, as a text to be kept and shown. It is the same for the same cause: the HTTP status and the
// length of a pause, which change with each answer, are left out.
func reason(err error) string {
	if answered := new(platforms.HTTPError); errors.As(err, &answered) {
		err = answered.Err
	}
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		err = limited.Err
	}
	return core.Clip(core.Line(err.Error()), maxReason)
}

// holdOf is the hold that a denied post puts on the project, or on one branch of it.
func holdOf(status core.Status, denied *platforms.Denied) *core.Hold {
	hold := &core.Hold{Probes: status.Probe + 1}
	if denied.Branch {
		hold.Branch = status.Branch
	}
	return hold
}

// logOutcome logs each outcome once; of a hold only the first.
func (p *Poster) logOutcome(status core.Status, end store.PostResult, err error) {
	log := p.Log.With("platform", status.SourcePlatform, "project", status.ProjectName,
		"commit", status.CommitSHA, "state", status.State)
	switch {
	case err == nil:
		log.Info("status posted", "description", status.Description)
		if end.LeftOut != "" {
			log.Warn("the platform refused a text of a status, which was posted without it", "why", end.LeftOut)
		}
		if status.Restores() && status.Contested() {
			log.Warn("another program keeps replacing this status, which was posted again", "times", status.Overwrites)
		}
		if status.Probe > 0 {
			log.Info("hold ended: statuses of this project are posted again, those that waited too")
			p.held.Delete(holdKey(status, ""))
			p.held.Delete(holdKey(status, status.Branch))
		}
	case end.Hold != nil:
		if _, logged := p.held.LoadOrStore(holdKey(status, end.Hold.Branch), true); !logged {
			log.Warn("statuses of this project are kept and shown, but not posted: "+end.Error,
				"branch", end.Hold.Branch)
		}
	case errors.Is(err, platforms.ErrTooEarly):
		log.Debug("status waits", "reason", err)
	case end.GivenUp:
		log.Error("status given up", "error", err)
	default:
		log.Warn("status not posted, trying again", "after", end.RetryAfter, "error", err)
	}
}

func holdKey(status core.Status, branch string) string {
	return strings.Join([]string{status.SourcePlatform, status.ProjectName, branch}, "\n")
}

// measure counts the outcome of a post.
func (p *Poster) measure(status core.Status, end store.PostResult, err error) {
	p.trace(status, end)
	p.Meter.TriedToPost(status, metricOf(end, err))
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		p.Meter.Paused(status.SourcePlatform, limited.After)
	}
	if err != nil {
		return
	}
	p.posted.Store(status.SourcePlatform, p.Now())
	if status.FirstFinal() {
		p.Meter.FirstFinal(status.SourcePlatform, p.Now().Sub(*status.PushedAt))
	}
}

// trace records a post, and the whole push with the first final status.
func (p *Poster) trace(status core.Status, end store.PostResult) {
	now := p.Now()
	post := trace.Span{
		Name: "post status", Ref: trace.RefIn(status.TargetURL), Start: now.Add(-end.Latency), End: now, Failure: end.Error,
		Attributes: map[string]string{
			"scanhook.platform": status.SourcePlatform, "scanhook.project": status.ProjectName, "scanhook.commit": status.CommitSHA,
			"scanhook.state": string(status.State),
		},
	}
	p.Trace.Record(post)
	if end.Posted && status.FirstFinal() {
		post.Name, post.Whole, post.Start = "push", true, *status.PushedAt
		p.Trace.Record(post)
	}
}

func metricOf(end store.PostResult, err error) metrics.PostOutcome {
	limited, denied := new(platforms.RateLimited), new(platforms.Denied)
	switch {
	case err == nil:
		return metrics.Posted
	case end.GivenUp:
		return metrics.GivenUp
	case errors.As(err, &limited):
		return metrics.RateLimited
	case errors.As(err, &denied):
		return metrics.Denied
	case errors.Is(err, platforms.ErrNoToken):
		return metrics.NoToken
	case errors.Is(err, platforms.ErrTooEarly):
		return metrics.TooEarly
	case errors.Is(err, platforms.ErrUnknownCommit):
		return metrics.UnknownCommit
	}
	return metrics.PostFailed
}

// settle has a time limit for each attempt, because a database that hangs may answer the next one.
func (s *sender) settle(ctx context.Context, status core.Status, end store.PostResult) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	err := s.Store.SettleStatus(ctx, status, end)
	if errors.Is(err, core.ErrConflict) {
		s.Log.Error("status was posted after its lease, it may be posted twice", "commit", status.CommitSHA, "error", err)
		return nil
	}
	return err
}
