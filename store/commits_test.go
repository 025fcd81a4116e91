package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestSupersede(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		old := pushed(t, s, 1)
		fresh := pushed(t, s, 2)

		old = get(t, s, old.ReferenceID)
		if old.Status != core.ScanFailed || old.SupersededBy != storetest.SHA(2) {
			t.Errorf("old scan = %s, superseded by %q", old.Status, old.SupersededBy)
		}
		want := "Superseded by a newer push: " + storetest.SHA(2)[:7]
		if st := statusOf(t, s, old); st.State != core.StatusCancelled || st.Description != want {
			t.Errorf("old status = %s %q", st.State, st.Description)
		}
		if fresh.Status != core.ScanPending {
			t.Errorf("new scan = %s", fresh.Status)
		}

		d3, p3 := storetest.PushOf(3, storetest.OnBranch("side"))
		shared := accept(t, s, d3, p3)
		d3.Key, p3.Ref = "second branch", "refs/heads/side2"
		accept(t, s, d3, p3)
		pushed(t, s, 4, storetest.OnBranch("side"))
		if shared = get(t, s, shared.ReferenceID); shared.Status != core.ScanPending {
			t.Errorf("a commit that another branch still points at is %s, want pending", shared.Status)
		}

		d5, p5 := storetest.PushOf(5)
		p5.Before = p5.CommitSHA // as Gitea's test button pushes
		if own := accept(t, s, d5, p5); own.Status != core.ScanPending {
			t.Errorf("a commit that is pushed onto itself is %s, want pending", own.Status)
		}
	})
}

func TestSupersededCommitIsPushedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		old := accept(t, s, d, p)
		pushed(t, s, 2)
		d.Key, p.Ref = "a branch made of it", "refs/heads/rescue"
		again := accept(t, s, d, p)
		if again.ID != old.ID || again.Status != core.ScanPending || again.SupersededBy != "" {
			t.Fatalf("scan = %+v, want the old one pending again", again)
		}
		run(t, s)
		if st := statusOf(t, s, again); st.State != core.StatusSuccess {
			t.Errorf("status = %s %q", st.State, st.Description)
		}
	})
}

// opened is an event of request 7 from a fork.
func opened(n int, action core.RequestAction, change ...func(*core.Request)) (core.Delivery, core.Request) {
	d, push := storetest.PushOf(n)
	request := core.Request{
		Project: push.Project, Number: 7, Action: action, Head: storetest.SHA(n), Ref: "refs/pull/7/head", Branch: "main", Target: "main", Fork: true,
		UpdatedAt: time.Date(2026, 11, 23, 12, n, 0, 0, time.UTC),
	}
	for _, apply := range change {
		apply(&request)
	}
	d.Name, d.Key = "pull_request", fmt.Sprint(d.Key, action, request.Target)
	return d, request
}

// told takes such an event in, and returns the scan of its head.
func told(t *testing.T, s *store.Store, n int, action core.RequestAction, change ...func(*core.Request)) core.Scan {
	t.Helper()
	d, request := opened(n, action, change...)
	if _, err := s.Accept(t.Context(), storetest.With(d, request)); err != nil {
		t.Fatal(err)
	}
	return get(t, s, core.ReferenceOf("github", request.Project.Ref, request.Project.Name, request.Head))
}

// forks is a store whose first scanner is built in, and whose second is a command.
func forks(t *testing.T, e storetest.Engine, change ...func(*core.Policy)) *store.Store {
	policy := storetest.Policy
	policy.Scanners = []string{"gitleaks", "lint"}
	for _, apply := range change {
		apply(&policy)
	}
	return e.Open(t, store.Config{
		Policies: core.Policies{{Match: "**", Policy: policy}}, Scanners: core.Scanners{"gitleaks": core.BuiltIn, "lint": core.RunsHere},
	})
}

// Code from a fork waits for what is built in only. A push of the commit makes it the project's own.
func TestForksAreAdopted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := forks(t, e)
		scan := told(t, s, 1, core.RequestOpened)
		if !scan.Fork || scan.Ref != "refs/pull/7/head" || scan.TargetBranch != "main" {
			t.Fatalf("%+v", scan)
		}
		run(t, s)
		if scan = get(t, s, scan.ReferenceID); scan.Status != core.ScanCompleted || !strings.Contains(scan.Summary, "1 not searched") {
			t.Fatalf("%s %q", scan.Status, scan.Summary)
		}
		scan = pushed(t, s, 1)
		if scan.Fork || scan.Ref != "refs/heads/main" || scan.Status != core.ScanProcessing {
			t.Errorf("adopted: %+v", scan)
		}
		if job := claimJob(t, s, by("w", "gitleaks", "lint")); job.Scanner != "lint" {
			t.Errorf("claimed %s, want lint", job.Scanner)
		}
	})
}

func TestForksAreRefused(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		off := forks(t, e, func(p *core.Policy) { p.Forks = core.ForksOff })
		scan := told(t, off, 1, core.RequestOpened)
		wantStatus(t, off, scan, "forks are off", core.StatusFailure, "not scanned: forks are off")
		if scan = pushed(t, off, 1); scan.Status != core.ScanPending || scan.Refused != "" {
			t.Errorf("pushed: %+v", scan)
		}
		none := forks(t, e, func(p *core.Policy) { p.Scanners = []string{"lint"} })
		scan = told(t, none, 2, core.RequestOpened)
		if st := statusOf(t, none, scan); st.State != core.StatusFailure || !strings.HasPrefix(st.Description, "not scanned: no scanner") {
			t.Errorf("status = %s %q", st.State, st.Description)
		}
	})
}

// The scan of a closed request ends, and begins when that is opened again.
func TestClosedRequestsEnd(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := forks(t, e)
		first := told(t, s, 1, core.RequestOpened)
		second := told(t, s, 2, core.RequestPushed, func(r *core.Request) { r.Before = storetest.SHA(1) })
		if first = get(t, s, first.ReferenceID); first.SupersededBy != second.CommitSHA {
			t.Errorf("the former head: %+v", first)
		}
		later := func(seconds int) func(*core.Request) {
			return func(r *core.Request) { r.UpdatedAt = r.UpdatedAt.Add(time.Duration(seconds) * time.Second) }
		}
		second = told(t, s, 2, core.RequestClosed, later(1))
		if st := statusOf(t, s, second); st.State != core.StatusCancelled || st.Description != core.ClosedError {
			t.Errorf("closed: %s %q", st.State, st.Description)
		}
		if refs, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 10); err != nil || len(refs) != 0 {
			t.Errorf("refs of a closed request: %+v, %v", refs, err)
		}
		d, request := opened(2, core.RequestOpened, later(2))
		d.Key = "again"
		if _, err := s.Accept(t.Context(), storetest.With(d, request)); err != nil {
			t.Fatal(err)
		}
		if second = get(t, s, second.ReferenceID); second.Status.Ended() || second.SupersededBy != "" {
			t.Errorf("opened again: %+v", second)
		}
		refs, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 10)
		if err != nil || len(refs) != 1 || refs[0].Name != "refs/pull/7/head" || refs[0].SHA != second.CommitSHA {
			t.Errorf("refs: %+v, %v", refs, err)
		}
	})
}

// A request into another branch is decided anew: jobs that ran here run again, and reports are compared anew.
func TestRetargetedRequestsAreComparedAnew(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scanned(t, s, 1, found("old"))
		release := pushed(t, s, 2, storetest.OnBranch("release"), newBranch)
		deliver(t, s, release, "gitleaks", found("old", "released"))
		feature := pushed(t, s, 3, storetest.OnBranch("feature"), newBranch)
		if err := s.RecordMergeBase(t.Context(), feature, storetest.SHA(1)); err != nil {
			t.Fatal(err)
		}
		feature = deliver(t, s, feature, "gitleaks", found("old", "released"))
		if feature.Summary != "1 new (1 low), 1 known" {
			t.Fatalf("compared with main: %q", feature.Summary)
		}
		own := func(target string) func(*core.Request) {
			return func(r *core.Request) { r.Fork, r.Branch, r.Target = false, "feature", target }
		}
		feature = told(t, s, 3, core.RequestOpened, own("release"))
		if feature.TargetBranch != "release" || feature.MergeBaseSHA != "" || !strings.HasSuffix(feature.Summary, "2 known") {
			t.Fatalf("into release: %q, %+v", feature.Summary, feature)
		}
		answer := store.EnrichmentResult{Base: store.MergeBase{Scan: feature, SHA: storetest.SHA(1)}}
		if err := s.FinishEnrichment(t.Context(), asked(t, s), answer); err != nil {
			t.Fatal(err)
		}
		if feature = get(t, s, feature.ReferenceID); feature.Summary != "1 new (1 low), 1 known" {
			t.Errorf("with its merge base: %q", feature.Summary)
		}
	})
}

// Runs that are each other's baseline, as the platform tells of requests both ways between two branches, are followed once.
func TestRequestsBothWaysAreCompared(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scanned(t, s, 1, found("old"))
		names, scans := map[int]string{2: "release", 3: "feature"}, map[int]core.Scan{}
		for _, n := range []int{2, 3} {
			pushed(t, s, n, storetest.OnBranch(names[n]), newBranch)
			scans[n] = told(t, s, n, core.RequestOpened, func(r *core.Request) {
				r.Number, r.Fork, r.Branch, r.Target = int64(n), false, names[n], names[5-n]
			})
			if err := s.RecordMergeBase(t.Context(), scans[n], storetest.SHA(5-n)); err != nil {
				t.Fatal(err)
			}
		}
		deliver(t, s, scans[3], "gitleaks", found("old", "both"))
		deliver(t, s, scans[2], "gitleaks", found("old", "both"))
		for n, scan := range scans {
			if compared := baselines(t, s, scan)["gitleaks"]; compared != storetest.SHA(5-n) {
				t.Errorf("%s is compared with %s", names[n], compared)
			}
			if scan = get(t, s, scan.ReferenceID); scan.Summary != "0 new, 2 known" {
				t.Errorf("%s: %q", names[n], scan.Summary)
			}
		}
	})
}
