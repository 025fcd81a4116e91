package intake_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/core/refs"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// event is one of request 7 of project 1, from a fork, so many seconds after noon.
func event(key string, action core.RequestAction, head string, seconds int, change ...func(*core.Request)) *intake.Request {
	about := core.Request{
		Number: 7, Action: action, Head: sha(head), Ref: "refs/pull/7/head", Target: "main", Fork: true,
		UpdatedAt: noon.Add(time.Duration(seconds) * time.Second),
	}
	for _, apply := range change {
		apply(&about)
	}
	d := &core.Delivery{Key: key, ProjectID: 1, ReceivedAt: noon, Event: about}
	return &intake.Request{
		Delivery: d, About: &about, Word: intake.HeadOf(1, *d, about), Closing: intake.ClosingOf(1, about),
		Scan: &core.Scan{ProjectID: 1, CommitSHA: about.Head, Fork: about.Fork},
	}
}

// What came late changes nothing, and asks for nothing.
func TestReceive(t *testing.T) {
	t.Parallel()
	opened, pushed, closed := core.RequestOpened, core.RequestPushed, core.RequestClosed
	for name, c := range map[string]struct {
		events []*intake.Request
		head   string
		open   bool
		late   int
	}{
		"in order":              {[]*intake.Request{event("a", opened, "1", 0), event("b", pushed, "2", 9)}, "2", true, 0},
		"the newest first":      {[]*intake.Request{event("b", pushed, "2", 9), event("a", opened, "1", 0)}, "2", true, 1},
		"within a second":       {[]*intake.Request{event("b", pushed, "2", 0), event("a", opened, "1", 0)}, "2", true, 1},
		"closed":                {[]*intake.Request{event("a", opened, "1", 0), event("b", closed, "1", 9)}, "1", false, 0},
		"closed first":          {[]*intake.Request{event("b", closed, "2", 9), event("a", pushed, "2", 3)}, "2", false, 1},
		"closed and reopened":   {[]*intake.Request{event("a", closed, "1", 3), event("b", opened, "1", 3)}, "1", true, 0},
		"closed, branch gone":   {[]*intake.Request{event("a", opened, "1", 0), event("b", closed, "1", 9, withoutHead)}, "1", false, 0},
		"told by two webhooks":  {[]*intake.Request{event("a", opened, "1", 0), event("b", opened, "1", 0)}, "1", true, 0},
		"from a time unknown":   {[]*intake.Request{event("a", pushed, "2", 9), event("b", pushed, "3", 9)}, "3", true, 0},
		"an old one once again": {[]*intake.Request{event("a", opened, "1", 0), event("b", pushed, "2", 9), event("c", opened, "1", 0)}, "2", true, 1},
	} {
		items := intake.Admit(c.events, nil)
		known := map[intake.RequestKey]core.KeptRequest{}
		changes := intake.Receive(items, known)
		late := 0
		for _, item := range items {
			if item.Scan == nil && item.Word == nil && item.Ignored != "" {
				late++
			}
		}
		is := changes[0].Is
		if len(changes) != 1 || is.HeadSHA != sha(c.head) || is.IsOpen != c.open || late != c.late {
			t.Errorf("%s: %d changes, the last %+v, %d late", name, len(changes), is, late)
		}
	}
}

func withoutHead(r *core.Request) { r.Head = "" }

// The branch of a request within the project is moved and ended by pushes.
func TestHeadAndClosing(t *testing.T) {
	t.Parallel()
	own := func(r *core.Request) { r.Fork = false }
	if r := event("a", core.RequestClosed, "1", 0, own); r.Word != nil || r.Closing != nil {
		t.Errorf("a request of the project: %+v, %+v", r.Word, r.Closing)
	}
	closed := event("a", core.RequestClosed, "1", 0)
	want := &intake.Word{
		RefKey: intake.RefKey{Project: 1, Name: "refs/pull/7/head"}, Event: refs.Event{Source: refs.Ordered, Step: refs.Step{At: noon}},
	}
	if diff := cmp.Diff(want, closed.Word); diff != "" || closed.Closing.Commit != sha("1") {
		t.Errorf("closing %+v, head (-want +got):\n%s", closed.Closing, diff)
	}
	dropped := core.Push{Ref: "refs/heads/gh-readonly-queue/main/pr-7", Deleted: true, Dropped: sha("1")}
	if closing := intake.ClosingOf(1, dropped); closing == nil || closing.Name != dropped.Ref {
		t.Errorf("a merge queue's branch: %+v", closing)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	closing := *event("a", core.RequestClosed, "1", 0).Closing
	for name, c := range map[string]struct {
		scan core.Scan
		ends bool
	}{
		"waits":                   {core.Scan{ID: 9, Ref: closing.Name, Status: core.ScanPending}, true},
		"has ended":               {core.Scan{ID: 9, Ref: closing.Name, Status: core.ScanCompleted}, false},
		"another ref has it, too": {core.Scan{ID: 9, Ref: closing.Name, Status: core.ScanPending, SharedRefs: true}, false},
		"a branch brought it":     {core.Scan{ID: 9, Ref: "refs/heads/main", Status: core.ScanPending}, false},
		"there is none":           {core.Scan{}, false},
	} {
		ended := intake.Close([]intake.Closing{closing}, func(intake.Closing) core.Scan { return c.scan })
		if (len(ended) == 1) != c.ends || c.ends && ended[0].Reason() != core.ClosedError {
			t.Errorf("%s: %+v", name, ended)
		}
	}
}

func TestRetarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scan          core.Scan
		target        string
		opened        bool
		changed, anew bool
	}{
		"into the default branch": {core.Scan{ID: 9, DefaultBranch: "main"}, "main", false, true, false},
		"into another":            {core.Scan{ID: 9, DefaultBranch: "main"}, "release", false, true, true},
		"just opened":             {core.Scan{ID: 9, DefaultBranch: "main"}, "release", true, true, false},
		"back":                    {core.Scan{ID: 9, DefaultBranch: "main", TargetBranch: "release"}, "main", false, true, true},
		"the same":                {core.Scan{ID: 9, DefaultBranch: "main", TargetBranch: "release"}, "release", false, false, false},
		"of the default branch":   {core.Scan{ID: 9, DefaultBranch: "main", Ref: "refs/heads/main"}, "release", false, false, false},
		"no request":              {core.Scan{ID: 9, DefaultBranch: "main"}, "", false, false, false},
	} {
		aim, changed := intake.Retarget(c.scan, c.target, c.opened)
		if changed != c.changed || aim.Anew != c.anew || changed && aim.Target != c.target {
			t.Errorf("%s: %+v, %t", name, aim, changed)
		}
	}
}

// What a push brings is the project's own, whoever brought it before: all scanners look at it.
func TestDecideAdopts(t *testing.T) {
	t.Parallel()
	foreign := core.Scan{ID: 7, CommitSHA: sha("2"), Ref: "refs/pull/7/head", Fork: true, BeforeSHA: sha("1"), Status: core.ScanCompleted}
	items := intake.Admit([]*intake.Request{push("a", "1", "2")}, nil)
	plan := intake.Decide(items, func(*core.Scan) core.Scan { return foreign })
	if len(plan.Adopted) != 1 || len(plan.Jobs) == 0 || len(plan.Joins) != 0 || plan.Adopted[0].ID != 7 {
		t.Errorf("%+v", plan)
	}
	again := event("b", core.RequestOpened, "2", 0)
	plan = intake.Decide(intake.Admit([]*intake.Request{again}, nil), func(*core.Scan) core.Scan { return foreign })
	if len(plan.Adopted)+len(plan.Jobs) != 0 {
		t.Errorf("the request itself: %+v", plan)
	}
}
