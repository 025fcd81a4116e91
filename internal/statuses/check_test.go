package statuses

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// checker is a platform with check runs.
type checker struct {
	*fake
	reports []platforms.CheckReport
	refuses bool
}

func (c *checker) ShowsChecks() bool { return true }

func (c *checker) PostCheck(_ context.Context, status core.Status, report platforms.CheckReport) (platforms.Posted, error) {
	if c.refuses {
		return platforms.Posted{}, &platforms.HTTPError{Code: 403, Err: platforms.ErrRefused}
	}
	c.reports = append(c.reports, report)
	c.numbers++
	return platforms.Posted{ID: c.numbers, Code: 201}, nil
}

func TestChecksArePostedBesideStatuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	runner := &checker{fake: b.platform}
	b.Platforms["github"] = runner
	policies := core.Policies{{Match: "**", Policy: core.Policy{
		Context: "scanhook", Branches: []string{"**"}, ScanTimeout: time.Hour, Publish: core.PublishBoth,
	}}}
	b.store = storetest.Open(t, store.Config{Now: func() time.Time { return b.now }, Policies: policies, Checks: b.Platforms.ShowChecks})
	b.Store = b.store
	scan := b.push(t, 1)
	shown := func() map[string]core.Status {
		t.Helper()
		b.now = b.now.Add(time.Minute)
		for range 2 { // those of one commit are posted one after the other
			claimed, err := b.sender.claim(t.Context(), 8)
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range claimed {
				end, _ := b.sender.post(t.Context(), status)
				if err := b.sender.settle(t.Context(), status, end); err != nil {
					t.Fatal(err)
				}
			}
		}
		list, err := b.store.ListStatuses(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		byContext := map[string]core.Status{}
		for _, status := range list {
			byContext[status.Context] = status
		}
		return byContext
	}
	runner.refuses = true
	list := shown()
	if status := list["scanhook"]; len(list) != 2 || status.PostedRevision != 1 || status.Kind != core.KindStatus {
		t.Errorf("a refused check run holds up the status: %+v", list)
	}
	if check := list["scanhook/check"]; check.PostedRevision != 0 || check.Kind != core.KindCheck || check.Held || check.LastError == "" {
		t.Errorf("a refused check run is %+v", check)
	}
	runner.refuses = false
	if check := shown()["scanhook/check"]; check.PostedRevision != 1 || len(runner.reports) != 1 {
		t.Errorf("the check run is %+v", check)
	}
	delete(b.Platforms, "github")
	b.Platforms["github"] = b.platform
	if _, err := b.sender.show(t.Context(), core.Status{Kind: core.KindCheck}); !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("without check runs: %v", err)
	}
}

func TestCheckReportTellsNewFindingsFirst(t *testing.T) {
	t.Parallel()
	report := describeCheck(told{core.Scan{Summary: "2 new (1 critical, 1 high)", VerdictReason: "fail_on: high"},
		&core.Coverage{Left: []core.Omission{{Reason: core.LeftOut("size"), Count: 3}}}, []core.Finding{
			{Severity: core.Critical, Title: "Key [x](http://evil) @acme | <b>", File: "a.go", Line: 3, Commit: strings.Repeat("c", 40)},
			{Severity: core.High, RuleID: "G1", Message: "m\x1b[31m", File: "b.go", Line: 7, EndLine: 9},
			{Severity: core.Low, Title: "no place"},
		}}, "https://scanhook.example/scans/r")
	if len(report.Annotations) != 1 || report.Annotations[0].File != "b.go" || strings.Contains(report.Annotations[0].Message, "\x1b") {
		t.Errorf("annotations are %+v", report.Annotations)
	}
	bare := regexp.MustCompile("`[^`]*`").ReplaceAllString(report.Summary, "")
	for _, unwanted := range []string{"evil", "@acme", "<b>", "b.go"} {
		if strings.Contains(bare, unwanted) {
			t.Errorf("%q is not code in the summary:\n%s", unwanted, report.Summary)
		}
	}
	for _, wanted := range []string{"2 new (1 critical, 1 high)", "The gate: fail_on: high.", "Not searched: 3", "- **High** `G1` in `b.go:7`\n",
		"of commit ccccccc", "(<https://scanhook.example/scans/r>)"} {
		if !strings.Contains(report.Summary, wanted) {
			t.Errorf("%q is not in the summary:\n%s", wanted, report.Summary)
		}
	}
}
