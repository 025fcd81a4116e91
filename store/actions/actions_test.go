package actions_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/actions"
	"github.com/scanhook/scanhook/store/storetest"
)

type bench struct {
	*store.Store
	now time.Time
}

func open(t *testing.T, e storetest.Engine) *bench {
	b := &bench{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	policies := core.Policies{{Match: "**", Policy: core.Policy{
		Context: "scanhook", Branches: []string{"**"}, Scanners: []string{"gitleaks"}, ScanTimeout: time.Hour, Publish: core.PublishBoth,
	}}}
	b.Store = e.Open(t, store.Config{
		Now: func() time.Time { return b.now }, Policies: policies, Scanners: core.Scanners{"gitleaks": core.BuiltIn},
		Checks: func(string) bool { return true },
	})
	return b
}

func (b *bench) push(t *testing.T, n int) core.Receipt {
	t.Helper()
	b.now = b.now.Add(time.Minute)
	d, push := storetest.PushOf(n)
	receipt, err := b.Accept(t.Context(), storetest.With(d, push))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// press takes in that a button was pressed, by a call with a key.
func (b *bench) press(t *testing.T, key string, scope string, action core.CheckAction) core.Receipt {
	t.Helper()
	b.now = b.now.Add(time.Second)
	d, push := storetest.PushOf(1)
	d.Key, d.Name, d.ReceivedAt, d.Verification = key, "check_run", b.now, core.Verification{Scope: scope}
	action.Project = push.Project
	receipt, err := b.Accept(t.Context(), storetest.With(d, action))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func (b *bench) claim(t *testing.T, when string, want bool) actions.Action {
	t.Helper()
	claimed, err := b.Actions().Claim(t.Context(), "github", time.Minute)
	if want != (err == nil) || err != nil && !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("%s: claimed %+v, %v", when, claimed, err)
	}
	return claimed
}

func asked(n int) core.CheckAction {
	return core.CheckAction{
		CommitSHA: storetest.SHA(1), CheckID: 71, Button: "scan.0.1", Login: "mira", UserID: 501, Digest: strings.Repeat("a", 63) + string(rune('0'+n)),
	}
}

// A button is kept until it is decided. Its call counts once, under whatever key it is sent.
func TestActionsAreDecidedOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := open(t, e)
		b.push(t, 1)
		if got := b.press(t, "one", "", asked(1)); got.Outcome != core.ActionTaken {
			t.Errorf("taken: %+v", got)
		}
		if got := b.press(t, "one", "", asked(1)); got.Outcome != core.Duplicate {
			t.Errorf("sent again: %+v", got)
		}
		if got := b.press(t, "other", "github/acme/*", asked(2)); got.Outcome != core.OutcomeIgnored || !strings.Contains(got.Reason, "of the App") {
			t.Errorf("with the secret of some projects: %+v", got)
		}
		first := b.claim(t, "pressed", true)
		if first.Login != "mira" || first.ProjectName != "acme/shop" || first.ProjectRef == "" || first.Asked().Button != "scan.0.1" {
			t.Errorf("claimed %+v", first)
		}
		b.claim(t, "while it is decided", false)
		b.now = b.now.Add(2 * time.Minute)
		second := b.claim(t, "after the lease", true)
		if err := b.Actions().Finish(t.Context(), first); !errors.Is(err, core.ErrConflict) {
			t.Errorf("finished without a lease: %v", err)
		}
		if err := b.Actions().Retry(t.Context(), second, time.Minute); err != nil {
			t.Fatal(err)
		}
		b.claim(t, "in the pause", false)
		b.now = b.now.Add(time.Minute)
		third := b.claim(t, "after the pause", true)
		if third.Attempts != 1 {
			t.Errorf("after an attempt: %+v", third)
		}
		if err := b.Actions().Finish(t.Context(), third); err != nil {
			t.Fatal(err)
		}
		b.press(t, "a copy", "", asked(1))
		b.claim(t, "a copy under another key", false)
		list, err := b.ListAudit(t.Context(), store.AuditFilter{Limit: 9})
		if err != nil || len(list) != 1 || list[0].Action != core.AuditButtonRefused || list[0].Actor != "mira (github)" ||
			!strings.Contains(list[0].Detail, "sent before") {
			t.Errorf("the audit has %+v, %v", list, err)
		}
		b.now = b.now.Add(91 * 24 * time.Hour)
		b.press(t, "much later", "", asked(3))
		b.press(t, "a forgotten one", "", asked(1))
	})
}

func TestSubjectIsAsItIsNow(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := open(t, e)
		b.press(t, "before", "", asked(1))
		early := b.claim(t, "before its commit", true)
		s, err := b.Actions().Subject(t.Context(), early)
		if err != nil || s.Scan.ID != 0 || s.Check.FirstScanID != 0 || s.IsHead {
			t.Errorf("of an unknown commit: %+v, %v", s, err)
		}
		receipt := b.push(t, 1)
		s, err = b.Actions().Subject(t.Context(), early)
		if err != nil || s.Scan.ReferenceID != receipt.Reference || s.Check.Kind != core.KindCheck || s.Check.Revision != 1 || !s.IsHead {
			t.Errorf("of the head: %+v, %v", s, err)
		}
		b.push(t, 2)
		if s, err = b.Actions().Subject(t.Context(), early); err != nil || s.IsHead {
			t.Errorf("after another push: %+v, %v", s, err)
		}
		early.ProjectID++
		if s, err = b.Actions().Subject(t.Context(), early); err != nil || s.Scan.ID != 0 {
			t.Errorf("in another project: %+v, %v", s, err)
		}
	})
}
