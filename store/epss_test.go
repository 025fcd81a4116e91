package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// cve is the n-th vulnerability.
func cve(n int) string { return fmt.Sprintf("CVE-2024-%04d", n) }

// scores is an edition of EPSS that gives CVE n the probability of its n-th argument; a negative one leaves it out.
func scores(date time.Time, probabilities ...float64) core.Feed {
	feed := core.Feed{Kind: core.FeedEPSS, Date: date, Version: "v2025.03.14", Source: "scores.csv"}
	for n, p := range probabilities {
		if p >= 0 {
			feed.Scores = append(feed.Scores, core.Score{CVEID: cve(n), Probability: p, Percentile: p / 2})
		}
	}
	return feed
}

// catalog is an edition of KEV that lists the n-th vulnerabilities.
func catalog(list ...int) core.Feed {
	feed := core.Feed{Kind: core.FeedKEV, Version: "2026.11.23", Source: "kev.json"}
	for _, n := range list {
		feed.Scores = append(feed.Scores, core.Score{CVEID: cve(n), KEV: true})
	}
	return feed
}

func put(t *testing.T, s *store.Store, feed core.Feed) core.FeedChange {
	t.Helper()
	change, err := s.PutFeed(t.Context(), feed, store.FeedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// stored is what the store knows about the first n vulnerabilities.
func stored(t *testing.T, s *store.Store, n int) []core.Score {
	t.Helper()
	var list []core.Score
	for i := range n {
		score, err := s.GetScore(t.Context(), cve(i))
		if errors.Is(err, core.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, score)
	}
	return list
}

var firstDay = time.Date(2026, 8, 16, 12, 55, 0, 0, time.UTC)

func TestPutFeedHoldsTheLatestEditions(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		steps := []struct {
			feed core.Feed
			want core.FeedChange
		}{
			{scores(firstDay, 0.1, 0.2, 0.3), core.FeedChange{Added: 3}},
			{scores(firstDay, 0.1, 0.2, 0.3), core.FeedChange{}},
			{catalog(1, 2, 4), core.FeedChange{Added: 3}},
			{catalog(1, 2, 4), core.FeedChange{}},
			{scores(firstDay.AddDate(0, 0, 1), -1, -1, 0.4, 0.5), core.FeedChange{Added: 1, Changed: 1, Removed: 2}},
			{catalog(1, 3), core.FeedChange{Added: 1, Removed: 2}},
		}
		for i, step := range steps {
			if got := put(t, s, step.feed); got != step.want {
				t.Errorf("step %d changes %+v, want %+v", i, got, step.want)
			}
		}
		want := []core.Score{
			{CVEID: cve(1), KEV: true},
			{CVEID: cve(2), Probability: 0.4, Percentile: 0.2},
			{CVEID: cve(3), Probability: 0.5, Percentile: 0.25, KEV: true},
		}
		if diff := cmp.Diff(want, stored(t, s, 6)); diff != "" {
			t.Errorf("scores (-want +got):\n%s", diff)
		}
		put(t, s, scores(firstDay.AddDate(0, 0, 2), -1, 0.9))
		scored := core.Score{CVEID: cve(1), Probability: 0.9, Percentile: 0.45, KEV: true}
		if got := stored(t, s, 6)[0]; got != scored {
			t.Errorf("a vulnerability of the catalog got a score: %+v, want %+v", got, scored)
		}
	})
}

func TestPutFeedKeepsOneRowForAnEdition(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		if _, err := s.LatestFeed(t.Context(), core.FeedEPSS); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("before the first import: %v, want ErrNotFound", err)
		}
		edition := scores(firstDay, 0.1, 0.2)
		edition.ETag, edition.Digest = `"abc"`, "1f8b"
		imported := clock.Now()
		put(t, s, edition)
		clock.advance(time.Hour)
		put(t, s, edition)
		want := core.FeedImport{
			ID: 1, Kind: core.FeedEPSS, Source: "scores.csv", Date: &firstDay, Version: "v2025.03.14", ETag: `"abc"`,
			Digest: "1f8b", NumRows: 2, ImportedAt: imported, CheckedAt: clock.Now(),
		}
		got, err := s.LatestFeed(t.Context(), core.FeedEPSS)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("error %v, import (-want +got):\n%s", err, diff)
		}
		clock.advance(time.Hour)
		if err := s.KeepFeed(t.Context(), got.ID); err != nil {
			t.Fatal(err)
		}
		put(t, s, core.Feed{Kind: core.FeedEPSS, Source: "undated.csv", Scores: edition.Scores})
		got, err = s.LatestFeed(t.Context(), core.FeedEPSS)
		if err != nil || got.Date != nil || got.Source != "undated.csv" {
			t.Errorf("undated edition = %+v, %v", got, err)
		}
	})
}

func TestPutFeedRefusesOlderEditions(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, scores(firstDay, 0.1))
		put(t, s, scores(firstDay.Truncate(24*time.Hour), 0.2)) // the same day without its time
		older := scores(firstDay.AddDate(0, 0, -1), 0.3)
		if _, err := s.PutFeed(t.Context(), older, store.FeedOptions{}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("an older edition: %v, want ErrConflict", err)
		}
		if got := stored(t, s, 1)[0].Probability; got != 0.2 {
			t.Errorf("probability = %v after a refused import, want 0.2", got)
		}
		if _, err := s.PutFeed(t.Context(), older, store.FeedOptions{Force: true}); err != nil {
			t.Errorf("forced: %v", err)
		}
		put(t, s, scores(firstDay, 0.4))
	})
}

// An import that fails half-way leaves what was there.
func TestPutFeedIsAtomic(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, scores(firstDay, 0.1, 0.2))
		twice := scores(firstDay.AddDate(0, 0, 1), 0.5, 0.6, 0.7)
		twice.Scores = append(twice.Scores, twice.Scores[2])
		if _, err := s.PutFeed(t.Context(), twice, store.FeedOptions{}); err == nil {
			t.Error("a vulnerability that stands in the list twice is accepted")
		}
		want := scores(firstDay, 0.1, 0.2).Scores
		if diff := cmp.Diff(want, stored(t, s, 4)); diff != "" {
			t.Errorf("scores (-want +got):\n%s", diff)
		}
		put(t, s, scores(firstDay.AddDate(0, 0, 1), 0.5))
	})
}
