package actions

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// fake is a platform on which mira may write. It first fails as the test queued.
type fake struct {
	platforms.Platform
	errs  []error
	asked int
}

func (f *fake) ShowsChecks() bool { return true }

func (f *fake) PostCheck(context.Context, core.Status, platforms.CheckReport) (platforms.Posted, error) {
	return platforms.Posted{}, nil
}

func (f *fake) MayWrite(_ context.Context, _ core.Project, login string, id int64) (bool, error) {
	f.asked++
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return false, err
	}
	return login == "mira" && id == 501, nil
}

// bench is a commit whose scan found one thing, which its check run shows.
type bench struct {
	*doer
	fake    *fake
	store   *store.Store
	now     time.Time
	scan    core.Scan
	finding core.Finding
	presses int

	policies core.Policies
}

func setup(t *testing.T, severity core.Severity, errs ...error) *bench {
	t.Helper()
	b := &bench{fake: &fake{errs: errs}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return b.now }
	set := platforms.Set{"github": b.fake}
	b.policies = core.Policies{{Match: "**", Policy: core.Policy{
		Context: "scanhook", Branches: []string{"**"}, Scanners: []string{"trivy"}, ScanTimeout: time.Hour, Publish: core.PublishCheck, Buttons: core.ButtonsDismiss,
		Gate: core.Gate{FailOn: core.Low, NewOnly: true},
	}}}
	b.store = storetest.Open(t, store.Config{
		Now: clock, Policies: b.policies, Scanners: core.Scanners{"trivy": core.Uploaded}, Checks: set.ShowChecks,
	})
	b.doer = New(Config{Store: b.store, Platforms: set, Now: clock, Log: slog.New(slog.DiscardHandler)}).doers[0]
	d, push := storetest.PushOf(1)
	receipt, err := b.store.Accept(t.Context(), storetest.With(d, push))
	if err != nil {
		t.Fatal(err)
	}
	b.report(t, receipt.Reference, severity)
	return b
}

// report ends the scan with one finding.
func (b *bench) report(t *testing.T, reference string, severity core.Severity) {
	t.Helper()
	b.now = b.now.Add(time.Minute)
	finding := core.Finding{Tool: "trivy", RuleID: "r", File: "main.go", Line: 3, Severity: severity, Message: "m", Fingerprint: "f"}
	_, err := b.store.PutReport(t.Context(), reference, "trivy", core.Report{By: "ci", Bringer: core.ByToken, Findings: []core.Finding{finding}})
	if err != nil {
		t.Fatal(err)
	}
	if b.scan, err = b.store.GetScan(t.Context(), reference); err != nil || !b.scan.Status.Ended() {
		t.Fatalf("the scan is %+v, %v", b.scan, err)
	}
	list, err := b.store.PageFindings(t.Context(), b.scan, store.FindingPage{State: core.New, Limit: 9})
	if err != nil || len(list) != 1 {
		t.Fatalf("the findings are %+v, %v", list, err)
	}
	b.finding = list[0]
	b.show(t)
}

// show has the platform show the check run, under the number 71.
func (b *bench) show(t *testing.T) core.Status {
	t.Helper()
	b.now = b.now.Add(time.Second)
	claimed, err := b.store.ClaimStatuses(t.Context(), []string{"github"}, 9, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range claimed {
		if err := b.store.SettleStatus(t.Context(), status, store.PostResult{Posted: true, PostedID: 71}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.store.ListStatuses(t.Context(), b.scan)
	if err != nil || len(list) != 1 {
		t.Fatalf("the commit shows %+v, %v", list, err)
	}
	return list[0]
}

// buttons are those that the check run shows.
func (b *bench) buttons(t *testing.T) []buttons.Button {
	t.Helper()
	return buttons.Of(b.show(t), []core.Finding{b.finding}, buttons.Rights{Mode: core.ButtonsDismiss})
}

// press has somebody press a button, and returns what the audit says since.
func (b *bench) press(t *testing.T, change func(*core.CheckAction)) []core.AuditEvent {
	t.Helper()
	b.presses++
	b.now = b.now.Add(time.Second)
	since := b.audit(t, 0)
	d, push := storetest.PushOf(1)
	action := core.CheckAction{
		Project: push.Project, CommitSHA: push.CommitSHA, CheckID: 71, Login: "mira", UserID: 501, Digest: fmt.Sprintf("%064d", b.presses),
	}
	change(&action)
	d.Key, d.Name, d.ReceivedAt = fmt.Sprint("press ", b.presses), "check_run", b.now
	if _, err := b.store.Accept(t.Context(), storetest.With(d, action)); err != nil {
		t.Fatal(err)
	}
	b.work(t, 0)
	return b.audit(t, len(since))
}

// work does what is due after a time.
func (b *bench) work(t *testing.T, after time.Duration) {
	t.Helper()
	b.now = b.now.Add(after)
	if _, err := b.worker().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// audit is what the audit has, the newest first, without the oldest ones.
func (b *bench) audit(t *testing.T, without int) []core.AuditEvent {
	t.Helper()
	list, err := b.store.ListAudit(t.Context(), store.AuditFilter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return list[:len(list)-without]
}
