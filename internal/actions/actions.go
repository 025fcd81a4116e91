// Package actions does what the buttons of check runs ask for, under the rights of who pressed them. Each is a row that is claimed and
// settled: the platform tells what the person may do in the project, and what cannot be done is refused in the audit.
package actions

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/buttons"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/actions"
)

const (
	claimEvery = time.Second
	askTimeout = 20 * time.Second
	leaseTime  = time.Minute
	firstPause = 2 * time.Second
	patience   = 15 * time.Minute // after it, nobody waits any more for what the button does
)

// Config holds what the loops need.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set // those that are no platforms.Referee have no buttons
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Actor does what buttons ask for.
type Actor struct{ doers []*doer }

// New returns an actor; Run makes it work.
func New(cfg Config) *Actor {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &Actor{}
	for name, platform := range cfg.Platforms {
		if referee, able := platforms.RefereeOf(platform); able {
			a.doers = append(a.doers, &doer{Config: cfg, name: name, referee: referee})
		}
	}
	return a
}

// Run blocks until ctx ends. Each platform has its own loop, so that one that hangs holds up no other.
func (a *Actor) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, d := range a.doers {
		loops.Go(func() { d.worker().Run(ctx) })
	}
	loops.Wait()
}

// doer does what the buttons of one platform ask for, one after the other.
type doer struct {
	Config
	name    string
	referee platforms.Referee
	pauses  lease.Pauses
}

// end is what became of an action.
type end struct {
	retry time.Duration // 0 where it is decided
}

func (d *doer) worker() lease.Worker[actions.Action, end] {
	return lease.Worker[actions.Action, end]{
		Name: "actions " + d.name, Log: d.Log, Every: claimEvery, Lease: leaseTime,
		Claim: lease.One(d.claim), Work: d.do, Settle: d.settle,
	}
}

func (d *doer) claim(ctx context.Context) (actions.Action, error) {
	if d.pauses.Paused(d.name, d.Now()) {
		return actions.Action{}, core.ErrNotFound
	}
	return d.Store.Actions().Claim(ctx, d.name, leaseTime)
}

func (d *doer) settle(ctx context.Context, action actions.Action, e end) error {
	if e.retry > 0 {
		return d.Store.Actions().Retry(ctx, action, e.retry)
	}
	return d.Store.Actions().Finish(ctx, action)
}

// do decides an action by what is now, and does it.
func (d *doer) do(ctx context.Context, action actions.Action) (end, error) {
	subject, err := d.Store.Actions().Subject(ctx, action)
	if err != nil {
		return end{}, err
	}
	deed, err := buttons.Decide(action.Asked(), action.RequestedAt, subject)
	done, failed := d.isDone(ctx, action, deed)
	switch {
	case failed != nil:
		return end{}, failed
	case done || errors.Is(err, buttons.ErrDone):
		return end{}, nil
	case err != nil:
		return end{}, d.refuse(ctx, action, subject.Scan, err)
	}
	may, retry, err := d.ask(ctx, action)
	switch {
	case retry > 0:
		return end{retry: retry}, nil
	case ctx.Err() != nil:
		return end{}, ctx.Err()
	case err != nil:
		return end{}, d.refuse(ctx, action, subject.Scan, err)
	case !may:
		return end{}, d.refuse(ctx, action, subject.Scan, errMayNot)
	}
	err = d.perform(ctx, action, subject.Scan, deed)
	if errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil {
		return end{}, err
	}
	if err != nil {
		return end{}, d.refuse(ctx, action, subject.Scan, err)
	}
	d.Log.Info("button of a check run pressed", d.attrs(action, "act", deed.Act)...)
	return end{}, nil
}

// isDone tells whether the person has decided on the finding, as where a process died after it did what the button asks for.
func (d *doer) isDone(ctx context.Context, action actions.Action, deed buttons.Deed) (bool, error) {
	if deed.Finding == 0 {
		return false, nil
	}
	finding, err := d.Store.GetFinding(ctx, deed.Finding)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	return err == nil && finding.Decision != nil && finding.Decision.Author == action.Asked().Actor(d.name), err
}

var errMayNot = errors.New("this takes the permission to write to the repository")

// ask asks the platform what the person may do. It is asked again for a while where it does not answer; then that is the reason to refuse.
func (d *doer) ask(ctx context.Context, action actions.Action) (may bool, retry time.Duration, err error) {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	may, err = d.referee.MayWrite(asking, core.Project{Name: action.ProjectName, Ref: action.ProjectRef}, action.Login, action.UserID)
	if err == nil {
		return may, 0, nil
	}
	age := d.Now().Sub(action.RequestedAt) - d.Store.Jumped(action.RequestedAt)
	next := platforms.RetryAfter(err, firstPause, action.Attempts, age)
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		d.pauses.Delay(d.name, d.Now(), limited.After)
	}
	final := errors.Is(err, platforms.ErrRefused) || errors.Is(err, platforms.ErrNoToken) || errors.As(err, new(*platforms.Denied))
	if final || age+next.After > patience {
		return false, 0, err
	}
	d.Log.Info("what a person may do is asked again", d.attrs(action, "after", next.After, "error", err)...)
	return false, next.After, nil
}

// perform does what a button asks for, with the rights of somebody who may judge findings of the project.
func (d *doer) perform(ctx context.Context, action actions.Action, scan core.Scan, deed buttons.Deed) error {
	by := action.Asked().Actor(d.name)
	ctx = access.With(ctx, access.Actor{Name: by, Grants: []access.Grant{{
		Role: access.Triager, Projects: []string{access.Project{Platform: d.name, Name: action.ProjectName}.String()},
	}}})
	if deed.Act == buttons.ScanAgain {
		_, err := d.Store.Rescan(ctx, scan.ReferenceID, by)
		return err
	}
	finding, err := d.Store.GetFinding(ctx, deed.Finding)
	rights := d.Store.ButtonsOf(scan)
	switch {
	case err != nil:
		return err
	case !rights.Mode.Dismiss():
		return errNoDismissals
	case finding.Scan.ID != scan.ID:
		return errElsewhere
	case !rights.Dismiss(finding.Finding) || finding.Waiting != nil: // it may wait because the alert is worse elsewhere
		return errTwoPeople
	}
	_, err = d.Store.RecordFeedback(ctx, deed.Feedback(by))
	return err
}

var errNoDismissals = errors.New("buttons dismiss no findings here; with buttons: dismiss in the configuration, they would")

var errTwoPeople = errors.New("two people dismiss this finding: decide on its page")

var errElsewhere = errors.New("the finding is not one of the commit's scan")

// refuse tells the audit why nothing is done.
func (d *doer) refuse(ctx context.Context, action actions.Action, scan core.Scan, why error) error {
	d.Log.Warn("button of a check run refused", d.attrs(action, "error", why)...)
	return d.Store.RecordAudit(ctx, action.Refusal(scan, why.Error()))
}

func (d *doer) attrs(action actions.Action, more ...any) []any {
	return append([]any{"platform", d.name, "project", action.ProjectName, "commit", action.CommitSHA, "by", action.Login}, more...)
}
