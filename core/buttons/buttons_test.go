package buttons_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// shown is a check run that the platform shows, with its newest finding.
func shown() (buttons.Subject, []core.Finding) {
	return buttons.Subject{
		Scan:   core.Scan{ID: 5, Status: core.ScanCompleted, Timestamp: noon.Add(-time.Hour)},
		Check:  core.Status{FirstScanID: 5, PostedID: 71, Revision: 3, PostedRevision: 3, State: core.StatusFailure},
		IsHead: true,
	}, []core.Finding{{ID: 99, Severity: core.High}}
}

func TestButtonsFitThePlatform(t *testing.T) {
	t.Parallel()
	status, found := core.Status{State: core.StatusFailure, Revision: 1 << 25}, []core.Finding{{ID: 1 << 40, Severity: core.High}}
	list := buttons.Of(status, found, buttons.Rights{Mode: core.ButtonsDismiss})
	if len(list) != 3 {
		t.Fatalf("%d buttons", len(list))
	}
	for _, b := range list {
		if utf8.RuneCountInString(b.Label) > 20 || utf8.RuneCountInString(b.Description) > 40 || len(b.ID) > 20 || b.ID == "" {
			t.Errorf("%+v is too long", b)
		}
	}
	rights := buttons.Rights{Mode: core.ButtonsDismiss, Approval: core.Approval{Medium: 2}}
	for name, c := range map[string]struct {
		status core.Status
		found  []core.Finding
		want   int
	}{
		"pending":            {core.Status{State: core.StatusPending}, found, 0},
		"passed":             {core.Status{State: core.StatusSuccess}, nil, 1},
		"two findings":       {status, append(found, found...), 1},
		"needs a comment":    {status, []core.Finding{{ID: 1, Severity: core.Critical}}, 1},
		"known exploited":    {status, []core.Finding{{ID: 1, Severity: core.Low, KEV: true}}, 1},
		"takes two people":   {status, []core.Finding{{ID: 1, Severity: core.Medium}}, 1},
		"ids beyond measure": {core.Status{State: core.StatusFailure, Revision: math.MaxInt64}, []core.Finding{{ID: math.MaxInt64}}, 1},
	} {
		if list := buttons.Of(c.status, c.found, rights); len(list) != c.want {
			t.Errorf("%s: %+v, want %d", name, list, c.want)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	s, found := shown()
	list := buttons.Of(s.Check, found, buttons.Rights{Mode: core.ButtonsDismiss})
	for i, want := range []buttons.Deed{{Act: buttons.ScanAgain}, {Act: buttons.FalsePositive, Finding: 99}, {Act: buttons.UsedInTests, Finding: 99}} {
		deed, err := buttons.Decide(core.CheckAction{CheckID: 71, Button: list[i].ID}, noon, s)
		if err != nil || deed != want {
			t.Errorf("%s: %+v, %v", list[i].Label, deed, err)
		}
	}
	for _, check := range []int64{71, 0} {
		if deed, err := buttons.Decide(core.CheckAction{CheckID: check}, noon, s); err != nil || deed.Act != buttons.ScanAgain {
			t.Errorf("run again: %+v, %v", deed, err)
		}
	}
	refused := map[string]func(a *core.CheckAction, s *buttons.Subject){
		"has no button":   func(a *core.CheckAction, _ *buttons.Subject) { a.Button = "erase.1.3" },
		"button \"scan\"": func(a *core.CheckAction, _ *buttons.Subject) { a.Button = "scan" },
		"fp.0.3":          func(a *core.CheckAction, _ *buttons.Subject) { a.Button = "fp.0.3" },
		"scan.2r.3":       func(a *core.CheckAction, _ *buttons.Subject) { a.Button = "scan.2r.3" },
		"fp.-2r.3":        func(a *core.CheckAction, _ *buttons.Subject) { a.Button = "fp.-2r.3" },
		"fp.02R.3":        func(a *core.CheckAction, _ *buttons.Subject) { a.Button = "fp.02R.3" },
		"no check run":    func(_ *core.CheckAction, s *buttons.Subject) { s.Check = core.Status{} },
		"of ours":         func(_ *core.CheckAction, s *buttons.Subject) { s.Scan = core.Scan{} },
		"shows now":       func(a *core.CheckAction, _ *buttons.Subject) { a.CheckID = 72 },
		"any more":        func(_ *core.CheckAction, s *buttons.Subject) { s.IsHead = false },
		"changed since":   func(_ *core.CheckAction, s *buttons.Subject) { s.Check.Revision, s.Check.PostedRevision = 4, 4 },
		"look at it":      func(_ *core.CheckAction, s *buttons.Subject) { s.Check.PostedRevision = 2 },
		"being scanned":   func(_ *core.CheckAction, s *buttons.Subject) { s.Scan.Status = core.ScanProcessing },
	}
	for why, change := range refused {
		s, _ := shown()
		a := core.CheckAction{CheckID: 71, Button: list[1].ID}
		change(&a, &s)
		if _, err := buttons.Decide(a, noon, s); !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
	s.Scan.Timestamp, s.Scan.Status = noon.Add(time.Second), core.ScanPending
	if _, err := buttons.Decide(core.CheckAction{CheckID: 71}, noon, s); !errors.Is(err, buttons.ErrDone) {
		t.Errorf("scanned again since: %v", err)
	}
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	if f := (buttons.Deed{Act: buttons.FalsePositive, Finding: 9}).Feedback("ada"); f.FindingID != 9 || f.UserVerdict != core.FalsePositive || f.Reason != "" || f.Author != "ada" {
		t.Errorf("false positive: %+v", f)
	}
	if f := (buttons.Deed{Act: buttons.UsedInTests, Finding: 9}).Feedback("ada"); f.UserVerdict != core.TruePositive || f.Reason != core.UsedInTests || f.Comments != "" {
		t.Errorf("used in tests: %+v", f)
	}
}
