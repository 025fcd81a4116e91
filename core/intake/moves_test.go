package intake_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/core/refs"
)

func TestWordOf(t *testing.T) {
	t.Parallel()
	zeros := "0000000000000000000000000000000000000000"
	for name, c := range map[string]struct {
		event string
		push  core.Push
		want  refs.Event
	}{
		"a push":          {"push", core.Push{Before: sha("1"), CommitSHA: sha("2")}, announced(sha("1"), sha("2"))},
		"created":         {"push", core.Push{Before: zeros, CommitSHA: sha("2")}, announced("", sha("2"))},
		"deleted":         {"push", core.Push{Before: sha("1"), Deleted: true}, announced(sha("1"), "")},
		"only deleted":    {"delete", core.Push{Deleted: true}, announced(refs.Unknown, "")},
		"a tag moved":     {"push", core.Push{Ref: "refs/tags/v1", Before: sha("9"), CommitSHA: sha("2")}, announced(refs.Unknown, sha("2"))},
		"a tag created":   {"push", core.Push{Ref: "refs/tags/v1", Before: zeros, CommitSHA: sha("2")}, announced("", sha("2"))},
		"found, not told": {core.OriginReconcile, core.Push{Before: sha("1"), CommitSHA: sha("2")}, refs.Event{Source: refs.Seen, Step: refs.Step{Before: sha("1"), After: sha("2")}}},
	} {
		got := intake.WordOf(7, core.Delivery{Name: c.event}, c.push)
		if diff := cmp.Diff(&intake.Word{RefKey: intake.RefKey{Project: 7, Name: c.push.Ref}, Event: c.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func announced(before, after string) refs.Event {
	return refs.Event{Step: refs.Step{Before: before, After: after}}
}

// moved applies the words of pushes to main that stands at a commit.
func moved(at string, requests ...*intake.Request) []intake.Moved {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	items := intake.Admit(requests, nil)
	for _, item := range items {
		item.Word.At = now
	}
	key := intake.RefKey{Project: 1, Name: "refs/heads/main"}
	known := map[intake.RefKey]*refs.State{key: {SHA: at}}
	return intake.Move(items, known, now)
}

func TestSupersede(t *testing.T) {
	t.Parallel()
	pending := core.Scan{ID: 1, Ref: "refs/heads/main", Status: core.ScanPending}
	changed := func(change func(*core.Scan)) core.Scan {
		scan := pending
		change(&scan)
		return scan
	}
	off := func(r *intake.Request) { r.Policy.Supersede = false }
	// scanned are the scans of main's commits 1, 2 and 3, each pushed onto the one before.
	scanned := []core.Scan{
		{ProjectID: 1, Ref: "refs/heads/main", CommitSHA: sha("2"), BeforeSHA: sha("1"), Status: core.ScanPending},
		{ProjectID: 1, Ref: "refs/heads/main", CommitSHA: sha("1"), BeforeSHA: sha("0"), Status: core.ScanPending},
		{ProjectID: 1, Ref: "refs/heads/feature", CommitSHA: sha("5"), BeforeSHA: sha("1"), Status: core.ScanPending},
	}
	cases := map[string]struct {
		moved []intake.Moved
		scans []core.Scan
		first core.Scan // of commit 1
		by    string
	}{
		"a push onto it":       {moved(sha("1"), push("a", "1", "2")), nil, pending, "2"},
		"two, one after":       {moved(sha("1"), push("a", "1", "2"), push("b", "2", "3")), nil, pending, "2"},
		"of another branch":    {moved(sha("1"), push("a", "1", "2")), nil, changed(func(s *core.Scan) { s.Ref = "refs/heads/feature" }), ""},
		"it has ended":         {moved(sha("1"), push("a", "1", "2")), nil, changed(func(s *core.Scan) { s.Status = core.ScanFailed }), ""},
		"others point at it":   {moved(sha("1"), push("a", "1", "2")), nil, changed(func(s *core.Scan) { s.SharedRefs = true }), ""},
		"there is none":        {moved(sha("1"), push("a", "1", "2")), nil, core.Scan{}, ""},
		"switched off":         {moved(sha("1"), push("a", "1", "2", off)), nil, pending, ""},
		"onto itself":          {moved(sha("1"), push("a", "1", "1")), nil, pending, ""},
		"a new branch":         {moved("", push("a", "0", "1")), nil, pending, ""},
		"there and back again": {moved(sha("1"), push("a", "1", "2"), push("b", "2", "1")), nil, pending, ""},
		"set back from it":     {moved(sha("1"), push("a", "1", "4")), nil, pending, "4"},
		"late, it was left":    {moved(sha("2"), push("a", "0", "1")), scanned, pending, "2"},
		"late, and unknown":    {moved(sha("3"), push("a", "0", "1")), nil, pending, ""},
		"in order":             {moved(sha("7"), push("a", "7", "8")), scanned, pending, ""},
	}
	for name, c := range cases {
		got := ""
		latest := func(left intake.Left) core.Scan {
			if left.Commit == sha("1") {
				return c.first
			}
			return core.Scan{}
		}
		for _, ended := range intake.Supersede(intake.Lefts(c.moved, c.scans), latest) {
			got += ended.By[:1]
		}
		if got != c.by {
			t.Errorf("%s: superseded by %q, want %q", name, got, c.by)
		}
	}
}

func TestLate(t *testing.T) {
	t.Parallel()
	seen := func(r *intake.Request) { r.Word.Source = refs.Seen }
	off := func(r *intake.Request) { r.Policy.Supersede = false }
	for name, c := range map[string]struct {
		moved []intake.Moved
		want  []int64
	}{
		"in order":                      {moved(sha("1"), push("a", "1", "2"), push("b", "2", "3")), nil},
		"out of order":                  {moved(sha("1"), push("b", "2", "3"), push("a", "1", "2")), nil},
		"what comes between is to come": {moved(sha("1"), push("a", "2", "3")), []int64{1}},
		"left long ago":                 {moved(sha("3"), push("a", "0", "1")), []int64{1}},
		"left by what came before it":   {moved("", push("a", "2", "3"), push("b", "1", "2")), nil},
		"the platform answered":         {moved(sha("1"), push("a", "1", "2", seen)), []int64{1}},
		"superseding is switched off":   {moved(sha("3"), push("a", "0", "1", off)), nil},
	} {
		if diff := cmp.Diff(c.want, intake.Late(c.moved, intake.Lefts(c.moved, nil))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOpenings(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	elsewhere := func(r *intake.Request) { r.Scan.Ref, r.Word.Name = "refs/heads/feature", "refs/heads/feature" }
	items := intake.Admit([]*intake.Request{
		push("a", "0", "1"), push("b", "1", "2"), push("c", "0", "3"), push("d", "0", "3", elsewhere),
	}, nil)
	for n, item := range items[:3] {
		item.Created, item.Scan.ID = true, int64(n+1)
	}
	plan := intake.Decide(items, func(*core.Scan) core.Scan { return *items[2].Scan })
	openings, others, jobs := plan.Openings()
	ended := openings.Supersede([]intake.Superseded{{ScanID: 1, By: sha("2")}, {ScanID: 3, By: sha("4")}}, now)
	if diff := cmp.Diff(map[int64]bool{1: true}, ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	var states []core.JobState
	for _, job := range openings.Jobs() {
		states = append(states, job.State)
	}
	if diff := cmp.Diff([]core.JobState{core.JobSuperseded, core.JobSuperseded, core.JobPending, core.JobPending}, states); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	first := openings[0]
	if job := first.Jobs[0]; first.Scan.SupersededBy != sha("2") || job.Error != core.SupersededError(sha("2")) || !job.FinishedAt.Equal(now) {
		t.Errorf("superseded by %q: %q at %s", first.Scan.SupersededBy, job.Error, job.FinishedAt)
	}
	if len(others) != 1 || others[0].ID != 3 || len(jobs) != 2 || jobs[0].ScanID != 3 { // another branch has it, too
		t.Errorf("got %d other scans and %d jobs, want one with two", len(others), len(jobs))
	}
	if got := openings.Others([]intake.Superseded{{ScanID: 1}, {ScanID: 3}}); len(got) != 1 || got[0].ScanID != 3 {
		t.Errorf("others superseded: %v", got)
	}
}
