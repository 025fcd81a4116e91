package actions

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
	"github.com/scanhook/scanhook/platforms"
)

func TestScanAgain(t *testing.T) {
	t.Parallel()
	for _, byUs := range []bool{true, false} {
		b := setup(t, core.High)
		button := ""
		if byUs {
			button = b.buttons(t)[0].ID
		}
		events := b.press(t, func(a *core.CheckAction) { a.Button = button })
		if len(events) != 1 || events[0].Action != core.AuditRescan || events[0].Actor != "mira (github)" {
			t.Fatalf("the audit has %+v", events)
		}
		for range 2 { // the second one is not the first again: the check run is another one then, or the scan goes on
			events = b.press(t, func(a *core.CheckAction) { a.Button = button })
			if len(events) != 1 || events[0].Action != core.AuditButtonRefused {
				t.Errorf("pressed again: %+v", events)
			}
		}
	}
}

func TestDismissTheOneFinding(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]core.Reason{1: core.AsFalsePositive, 2: core.UsedInTests} {
		b := setup(t, core.High)
		list := b.buttons(t)
		events := b.press(t, func(a *core.CheckAction) { a.Button = list[n].ID })
		if len(events) != 1 || events[0].Action != core.AuditTriage || events[0].Actor != "mira (github)" {
			t.Fatalf("the audit has %+v", events)
		}
		found, err := b.store.GetFinding(t.Context(), b.finding.ID)
		if err != nil || found.Decision == nil || found.Decision.Grounds().Reason != want || found.Scan.Summary != "0 new, 1 dismissed" {
			t.Errorf("%s: %+v, %q, %v", want, found.Decision, found.Scan.Summary, err)
		}
		if events := b.press(t, func(a *core.CheckAction) { a.Button = list[n].ID }); len(events) != 0 {
			t.Errorf("what is done already: %+v", events)
		}
		if _, err := b.store.WithdrawFeedback(t.Context(), core.Withdrawal{FindingID: b.finding.ID, Author: "ada"}); err != nil {
			t.Fatal(err)
		}
		b.show(t)
		events = b.press(t, func(a *core.CheckAction) { a.Button = list[n].ID })
		if len(events) != 1 || events[0].Action != core.AuditButtonRefused || !strings.Contains(events[0].Detail, "changed since") {
			t.Errorf("an old button after it was taken back: %+v", events)
		}
	}
}

func TestWhatIsRefusedIsAudited(t *testing.T) {
	t.Parallel()
	b := setup(t, core.High)
	list := b.buttons(t)
	for why, change := range map[string]func(*core.CheckAction){
		"permission to write":  func(a *core.CheckAction) { a.Login = "guest" },
		"permission to write ": func(a *core.CheckAction) { a.UserID = 502 },
		"shows now":            func(a *core.CheckAction) { a.CheckID = 72 },
		"has no button":        func(a *core.CheckAction) { a.Button = "override.0.1" },
		"changed since": func(a *core.CheckAction) {
			a.Button = strings.TrimSuffix(list[1].ID, list[1].ID[len(list[1].ID)-1:]) + "z"
		},
		"no check run of ours":  func(a *core.CheckAction) { a.CommitSHA = strings.Repeat("b", 40) },
		"no check run of ours ": func(a *core.CheckAction) { a.Project.Name, a.Project.Ref = "acme/other", "43" },
	} {
		events := b.press(t, func(a *core.CheckAction) { a.Button = list[1].ID; change(a) })
		if len(events) != 1 || events[0].Action != core.AuditButtonRefused || !strings.Contains(events[0].Detail, strings.TrimSpace(why)) {
			t.Errorf("%s: %+v", why, events)
		}
	}
	if found, err := b.store.GetFinding(t.Context(), b.finding.ID); err != nil || found.Decision != nil {
		t.Errorf("decided: %+v, %v", found.Decision, err)
	}
	critical := setup(t, core.Critical)
	status := critical.show(t)
	forged := buttons.Of(status, []core.Finding{{ID: critical.finding.ID, Severity: core.High}}, buttons.Rights{Mode: core.ButtonsDismiss})[1].ID
	if len(critical.buttons(t)) != 1 {
		t.Errorf("buttons of what takes a comment: %+v", critical.buttons(t))
	}
	events := critical.press(t, func(a *core.CheckAction) { a.Button = forged })
	if len(events) != 1 || events[0].Action != core.AuditButtonRefused || !strings.Contains(events[0].Detail, "comment only") {
		t.Errorf("without a comment: %+v", events)
	}
}

// A platform that does not answer is asked again for a while. One that refuses, or does not answer in time, is taken for a no.
func TestUnknownRights(t *testing.T) {
	t.Parallel()
	b := setup(t, core.High, errors.New("502"), &platforms.RateLimited{After: time.Minute, Err: errors.New("429")})
	if events := b.press(t, func(*core.CheckAction) {}); len(events) != 0 {
		t.Errorf("after a failure: %+v", events)
	}
	before := len(b.audit(t, 0))
	b.work(t, 5*time.Second)
	b.work(t, 30*time.Second)
	if b.fake.asked != 2 {
		t.Errorf("asked %d times during the pause", b.fake.asked)
	}
	b.work(t, time.Minute)
	if events := b.audit(t, before); len(events) != 1 || events[0].Action != core.AuditRescan {
		t.Errorf("after the outage: %+v", events)
	}
	refused := setup(t, core.High, &platforms.HTTPError{Code: 403, Err: &platforms.Denied{Err: errors.New("no")}})
	if events := refused.press(t, func(*core.CheckAction) {}); len(events) != 1 || events[0].Action != core.AuditButtonRefused {
		t.Errorf("denied: %+v", events)
	}
	var failures []error
	for range 30 {
		failures = append(failures, errors.New("502"))
	}
	never := setup(t, core.High, failures...)
	before = len(never.audit(t, 0))
	never.press(t, func(*core.CheckAction) {})
	for range 12 {
		never.work(t, 5*time.Minute)
	}
	if events := never.audit(t, before); len(events) != 1 || events[0].Action != core.AuditButtonRefused {
		t.Errorf("never answered: %+v", events)
	}
}

// Who may write to the repository decides on findings only where the policy says so, also by a button of before.
func TestButtonsDismissNothingByDefault(t *testing.T) {
	t.Parallel()
	b := setup(t, core.High)
	if list := buttons.Of(b.show(t), []core.Finding{b.finding}, buttons.Rights{}); len(list) != 1 {
		t.Errorf("buttons: %+v, want only one to scan again", list)
	}
	former := b.buttons(t)[1].ID
	b.policies[0].Policy.Buttons = ""
	events := b.press(t, func(a *core.CheckAction) { a.Button = former })
	if len(events) != 1 || events[0].Action != core.AuditButtonRefused || !strings.Contains(events[0].Detail, "buttons: dismiss") {
		t.Errorf("pressed a button of before: %+v", events)
	}
}

// A button neither proposes nor approves what two people dismiss: who presses it could be the one who says so on the page.
func TestButtonsAreNoSecondPerson(t *testing.T) {
	t.Parallel()
	b := setup(t, core.High)
	former := b.buttons(t)[1].ID
	b.policies[0].Policy.Approval = core.Approval{High: 2}
	_, err := b.store.RecordFeedback(t.Context(), core.Feedback{FindingID: b.finding.ID, UserVerdict: core.FalsePositive, Author: "mira"})
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []int{2, 1} { // or that two were needed when it was proposed
		b.policies[0].Policy.Approval.High = needed
		events := b.press(t, func(a *core.CheckAction) { a.Button = former })
		if len(events) != 1 || events[0].Action != core.AuditButtonRefused || !strings.Contains(events[0].Detail, "two people") {
			t.Errorf("pressed where %d are needed: %+v", needed, events)
		}
	}
	if found, err := b.store.GetFinding(t.Context(), b.finding.ID); err != nil || found.Decision != nil || found.Waiting == nil {
		t.Errorf("decided: %+v, %+v, %v", found.Decision, found.Waiting, err)
	}
}
