package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/migrations"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestReadFlow(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		now := start
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		if flow := flowOf(t, s); len(flow.Jobs)+len(flow.Statuses)+len(flow.Open)+len(flow.Recent)+len(flow.Lists) != 0 {
			t.Errorf("flow of an empty store: %+v", flow)
		}
		for n := range 3 {
			pushed(t, s, n+1, storetest.OnBranch(fmt.Sprint("b", n)))
			now = now.Add(time.Minute)
		}
		run(t, s, finding("r", core.High))
		claimJob(t, s, by("worker", scanners...))
		list := core.Feed{Kind: core.FeedEPSS, Source: "test",
			Date: start, Scores: []core.Score{{CVEID: "CVE-2026-1", Probability: 0.5}}}
		if _, err := s.PutFeed(t.Context(), list, store.FeedOptions{}); err != nil {
			t.Fatal(err)
		}
		migrated, err := migrations.Hashes("sqlite") // PostgreSQL has as many
		if err != nil {
			t.Fatal(err)
		}
		want := store.Flow{
			Schema: len(migrated),
			Jobs: []store.JobsUnderWay{
				{Scanner: "gitleaks", State: core.JobPending, Count: 1, Since: start.Add(2 * time.Minute)},
				{Scanner: "gitleaks", State: core.JobRunning, Count: 1, Since: start.Add(time.Minute)},
			},
			Statuses: []store.Backlog{{Platform: "github", Count: 3, Since: start.Add(time.Minute)}},
			Open: []store.ScansInState{
				{Status: core.ScanPending, Count: 1}, {Status: core.ScanProcessing, Count: 1},
			},
			Recent: []store.ScansInState{
				{Status: core.ScanCompleted, Verdict: core.Fail, Count: 1},
				{Status: core.ScanPending, Count: 1}, {Status: core.ScanProcessing, Count: 1},
			},
		}
		got := flowOf(t, s)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Flow{}, "Ping", "Lists")); diff != "" {
			t.Errorf("flow (-want +got):\n%s", diff)
		}
		if len(got.Lists) != 1 || got.Lists[0].Kind != core.FeedEPSS || !got.Lists[0].Date.Equal(start) {
			t.Errorf("lists: %+v, want EPSS of %s", got.Lists, start)
		}
	})
}

// A status that is refused for good is counted for a day.
func TestFlowTellsOfStatusesGivenUp(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		pushed(t, s, 1)
		settle(t, s, claimOne(t, s), store.PostResult{GivenUp: true, Error: "422", Code: 422})
		if lost := flowOf(t, s).GivenUp; len(lost) != 1 || lost[0].Count != 1 || lost[0].Platform != "github" {
			t.Errorf("given up: %+v", lost)
		}
		clock.advance(25 * time.Hour)
		if lost := flowOf(t, s).GivenUp; len(lost) != 0 {
			t.Errorf("a day later: %+v", lost)
		}
	})
}

func flowOf(t *testing.T, s *store.Store) store.Flow {
	t.Helper()
	flow, err := s.ReadFlow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range flow.Jobs {
		flow.Jobs[i].Since = flow.Jobs[i].Since.UTC()
	}
	for i := range flow.Statuses {
		flow.Statuses[i].Since = flow.Statuses[i].Since.UTC()
	}
	return flow
}

// BenchmarkFlow reads what a scrape needs, at most once in five seconds, while so many scans, jobs and statuses wait.
//
//	.ci/with-postgres go test -run '^$' -bench Flow ./store/
func BenchmarkFlow(b *testing.B) {
	for _, waiting := range []int{1, 1000} {
		for _, e := range storetest.Engines {
			b.Run(fmt.Sprintf("%s/%d00", e.Name, waiting), func(b *testing.B) {
				s := e.Open(b, store.Config{})
				if err := s.Fill(b.Context(), waiting); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := s.ReadFlow(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A database that answers but cannot write, because its disk is full, is not ready until it can or a while has passed.
func TestFullDiskIsNotReady(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := storetest.Open(t, store.Config{Now: clock.Now})
	n := 0
	push := func() error {
		d, p := storetest.PushOf(n + 1)
		_, err := s.Accept(t.Context(), storetest.With(d, p))
		if err == nil {
			n++
		}
		return err
	}
	wantReady := func(when string, want error) {
		t.Helper()
		if err := s.Ready(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	wantReady("at first", nil)
	s.LimitPages(t, 1)
	var full error
	for full == nil && n < 1000 {
		full = push()
	}
	if !errors.Is(full, core.ErrUnavailable) {
		t.Fatalf("a full disk: %v", full)
	}
	wantReady("with a full disk", core.ErrUnavailable)
	clock.advance(time.Minute)
	wantReady("a while later", nil)
	_ = push()
	wantReady("full still", core.ErrUnavailable)
	s.LimitPages(t, 1<<30)
	if err := push(); err != nil {
		t.Fatal(err)
	}
	wantReady("with room again", nil)
}

// Without traffic, TryWrite finds out that the disk is full, and that there is space again.
func TestTryWrite(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for range 3 {
			if err := s.TryWrite(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s.Shared() {
			return
		}
		s.LimitPages(t, 1)
		var full error
		for n := 1; full == nil && n < 1000; n++ { // until the pages are used up that there are
			d, p := storetest.PushOf(n)
			_, full = s.Accept(t.Context(), storetest.With(d, p))
		}
		if err := s.TryWrite(t.Context()); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("on a full disk: %v", err)
		}
		s.LimitPages(t, 1<<30)
		if err := s.TryWrite(t.Context()); err != nil || s.Ready(t.Context()) != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}
