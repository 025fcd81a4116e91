package statuses

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/platforms"
)

const (
	firstCheck  = time.Minute // after a final status was posted
	secondCheck = 15 * time.Minute
	lastCheck   = 7 * 24 * time.Hour // of a status that was overwritten before
	checkEvery  = 2 * time.Second    // the pace of checks on a platform
	lateCheck   = time.Hour          // a check that is so late is left out
	idleAfter   = time.Second        // without anything to post
)

// checkAfter is how long after its post a status is checked; 0 if it is not, because it will change anyway or because
// the platform cannot be asked.
func (p *Poster) checkAfter(status core.Status) time.Duration {
	if _, ok := platforms.StatusReaderOf(p.Platforms[status.SourcePlatform]); !ok || status.State == core.StatusPending || status.Kind == core.KindCheck { // only its App changes a check run
		return 0
	}
	return firstCheck
}

// driftChecks is the worker that compares final statuses with what the platform shows, while there is nothing to post.
// A check is claimed once; one that fails is left out, because another one may follow.
func (s *sender) driftChecks(reader platforms.StatusReader) lease.Worker[core.Status, *core.ObservedStatus] {
	return lease.Worker[core.Status, *core.ObservedStatus]{
		Name: "drift " + s.platform, Log: s.Log, Every: checkEvery, Paced: true, Lease: leaseTime,
		Claim: lease.One(s.claimCheck),
		Work: func(ctx context.Context, status core.Status) (*core.ObservedStatus, error) {
			return s.observe(ctx, reader, status), nil
		},
		Settle: s.settleCheck,
	}
}

// claimCheck returns core.ErrNotFound while no check may be made.
func (s *sender) claimCheck(ctx context.Context) (core.Status, error) {
	for {
		now := s.Now()
		if s.pauses.Paused(s.platform, now) || s.checkPauses.Paused(s.platform, now) ||
			now.Sub(time.Unix(s.busy.Load(), 0)) < idleAfter {
			return core.Status{}, core.ErrNotFound
		}
		status, err := s.Store.ClaimDriftCheck(ctx, s.platform, nextCheck)
		if err != nil || now.Sub(*status.CheckAt) <= lateCheck {
			return status, err
		}
	}
}

// nextCheck is how long after a check the next one comes. A status that a webhook has confirmed needs no other: a
// webhook would also announce what overwrites it. One that was overwritten before is checked for a week, ever more seldom.
func nextCheck(status core.Status) time.Duration {
	if status.PostedAt == nil {
		return 0
	}
	switch age := status.CheckAt.Sub(*status.PostedAt); {
	case age < secondCheck && (status.Overwrites > 0 || status.ObservedID < status.PostedID):
		return secondCheck - firstCheck
	case age < lastCheck && status.Overwrites > 0:
		return age
	}
	return 0
}

// observe asks the platform which status it shows; nil if it does not answer.
func (s *sender) observe(ctx context.Context, reader platforms.StatusReader, status core.Status) *core.ObservedStatus {
	asking, cancel := context.WithTimeout(platforms.LowPriority(ctx), postTimeout)
	defer cancel()
	observed, err := reader.LatestStatus(asking, status)
	if err != nil {
		if limited := new(platforms.RateLimited); errors.As(err, &limited) {
			s.checkPauses.Delay(s.platform, s.Now(), limited.After)
		}
		s.Log.Debug("posted status not checked", "platform", s.platform, "project", status.ProjectName,
			"commit", status.CommitSHA, "error", err)
		return nil
	}
	return &observed
}

func (s *sender) settleCheck(ctx context.Context, status core.Status, observed *core.ObservedStatus) error {
	if observed == nil {
		return nil
	}
	drift, err := s.Store.ObserveStatus(ctx, s.platform, *observed)
	if err != nil {
		return fmt.Errorf("comparing status: %w", err)
	}
	if drift == core.DriftForeign {
		s.Log.Warn("another program overwrote our status", "platform", s.platform, "project", status.ProjectName,
			"commit", status.CommitSHA, "context", observed.Context, "by", observed.CreatorName(), "state", observed.State)
	}
	return nil
}
