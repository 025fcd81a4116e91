package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

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
			{kevCatalog(1, 2, 4), core.FeedChange{Added: 3}},
			{kevCatalog(1, 2, 4), core.FeedChange{}},
			{scores(firstDay.AddDate(0, 0, 1), -1, -1, 0.4, 0.5), core.FeedChange{Added: 1, Changed: 1, Removed: 2}},
			{kevCatalog(1, 3), core.FeedChange{Added: 1, Removed: 2}},
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

const benchmarkRows = 300_000

// edition is as large as a day of EPSS. Percentiles of nearly all CVEs differ from day to day, as they really do.
func edition(day int) core.Feed {
	feed := core.Feed{Kind: core.FeedEPSS, Date: firstDay.AddDate(0, 0, day), Source: "scores.csv"}
	for n := range benchmarkRows {
		feed.Scores = append(feed.Scores, core.Score{
			CVEID:       fmt.Sprintf("CVE-%d-%04d", 1999+n/12000, n%12000),
			Probability: float64(n%9973) / 9973, Percentile: float64((n+day)%100000) / 100000,
		})
	}
	return feed
}

// BenchmarkEPSS imports a file of 300,000 scores: into an empty database, once more the same, and the next day's. On
// PostgreSQL each is compared with psql's \copy of the same file into an identical table in the same run ("x-psql"). Of
// three rounds the best counts, for other work on the machine only ever makes them slower.
//
//	.ci/with-postgres go test -run '^$' -bench EPSS ./store/
func BenchmarkEPSS(b *testing.B) {
	first, next := writeCSV(b, edition(0)), writeCSV(b, edition(1))
	for _, e := range storetest.Engines {
		b.Run(e.Name, func(b *testing.B) {
			best := map[string]time.Duration{}
			keep := func(name string, took time.Duration) {
				if before, measured := best[name]; !measured || took < before {
					best[name] = took
				}
			}
			for range 3 {
				round(b, e.URL(b), first, next, keep)
			}
			for _, name := range []string{"first", "same", "next-day"} {
				b.ReportMetric(best[name].Seconds(), "s-"+name)
				if psql := best["psql"]; psql > 0 {
					b.ReportMetric(best[name].Seconds()/psql.Seconds(), "x-psql-"+name)
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func round(b *testing.B, url, first, next string, keep func(string, time.Duration)) {
	b.Helper()
	s := storetest.OpenAt(b, url, store.Config{})
	keep("psql", copyByPsql(b, url, first))
	keep("first", importing(b, s, first))
	keep("same", importing(b, s, first))
	keep("next-day", importing(b, s, next))
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func importing(b *testing.B, s *store.Store, name string) time.Duration {
	b.Helper()
	start := time.Now()
	file, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	importer := epss.New(epss.Config{Store: s, Log: slog.New(slog.DiscardHandler)})
	result, err := importer.Import(b.Context(), name, file, store.FeedOptions{})
	if err != nil || result.Rows != benchmarkRows {
		b.Fatalf("%d rows, %v", result.Rows, err)
	}
	return time.Since(start)
}

// copyByPsql measures psql's \copy; 0 on another engine or without psql.
func copyByPsql(b *testing.B, url, file string) time.Duration {
	b.Helper()
	psql, err := exec.LookPath("psql")
	if err != nil || !strings.HasPrefix(url, "postgres") {
		return 0
	}
	address, schema, _ := strings.Cut(url, "&search_path=")
	psqlRun := func(command string) time.Duration {
		start := time.Now()
		run := exec.CommandContext(b.Context(), psql, address, "-q", "-v", "ON_ERROR_STOP=1", "-c", command)
		run.Env = append(os.Environ(), "PGOPTIONS=-c search_path="+schema)
		if out, err := run.CombinedOutput(); err != nil {
			b.Fatalf("psql: %v\n%s", err, out)
		}
		return time.Since(start)
	}
	psqlRun(`CREATE TABLE twin (LIKE epss_data INCLUDING ALL)`)
	return psqlRun(`\copy twin (cve_id, probability, percentile) FROM '` + file + `' WITH (FORMAT csv, HEADER)`)
}

func writeCSV(b *testing.B, feed core.Feed) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "scores.csv")
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "cve,epss,percentile")
	for _, s := range feed.Scores {
		share := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
		fmt.Fprintf(w, "%s,%s,%s\n", s.CVEID, share(s.Probability), share(s.Percentile))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return name
}

// A vulnerability with several ids is judged by the riskiest of them, as things are known at any time.
func TestRiskIsTheHighestOfAllIDs(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {})})
		several := vulnerable(0, core.Low)
		several.About.Aliases = cve(1) + " " + cve(2) + " GHSA-Q2WR-7H4C-M9XP"
		scan := pushed(t, s, 1)
		run(t, s, several, vulnerable(3, core.Low))
		shows(t, s, scan, core.StatusSuccess, "2 new (2 low)")
		put(t, s, scores(firstDay, 0.01, 0.02, 0.5))
		turned(t, s, 1)
		shows(t, s, scan, core.StatusFailure, "2 new (2 low), CVE-2024-0002 now at EPSS 0.5")
		put(t, s, kevCatalog(1))
		turned(t, s, 0)
		put(t, s, scores(firstDay.AddDate(0, 0, 1), 0.01, 0.02, 0.03))
		turned(t, s, 0)
		put(t, s, kevCatalog())
		turned(t, s, 1)
		shows(t, s, scan, core.StatusSuccess, "2 new (2 low)")
	})
}

// Heads are judged by the gate as it is now.
func TestJudgeHeads(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		s := storetest.OpenAt(t, url, store.Config{})
		scanned(t, s, 1, core.Report{Findings: []core.Finding{finding("old", core.Medium)}})
		head := scanned(t, s, 2, core.Report{Findings: []core.Finding{finding("old", core.Medium), finding("new", core.Medium)}})
		strict := storetest.Policy
		strict.Gate.FailOn = core.Medium
		later := storetest.OpenAt(t, url, store.Config{Policies: core.Policies{{Match: "**", Policy: strict}}})
		for n, want := range []int{1, 0} {
			if turned, err := later.JudgeHeads(t.Context()); turned != want || err != nil {
				t.Errorf("call %d: %d turned, want %d; %v", n+1, turned, want, err)
			}
			wantStatus(t, later, get(t, later, head.ReferenceID), "with the strict gate", core.StatusFailure, "1 new (1 medium), 1 known")
		}
	})
}

// The branch of an open request is judged again however long it stands; another old one when somebody looks at it, or when a branch
// moves to its commit.
func TestOldHeadsAreJudged(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url, clock := e.URL(t), newClock()
		s := storetest.OpenAt(t, url, store.Config{Now: clock.Now})
		report := core.Report{Findings: []core.Finding{finding("new", core.Medium)}}
		scanned(t, s, 1, core.Report{})
		var heads []core.Scan
		for n := range 3 {
			heads = append(heads, deliver(t, s, pushed(t, s, 10+n, storetest.OnBranch(fmt.Sprint("topic-", n))), "gitleaks", report))
		}
		told(t, s, 10, core.RequestOpened, func(r *core.Request) { r.Fork, r.Branch, r.Ref = false, "topic-0", "" })
		clock.advance(60 * 24 * time.Hour)
		strict := storetest.Policy
		strict.Gate.FailOn = core.Medium
		later := storetest.OpenAt(t, url, store.Config{Now: clock.Now, Policies: core.Policies{{Match: "**", Policy: strict}}})
		if turned, err := later.JudgeHeads(t.Context()); turned != 1 || err != nil {
			t.Errorf("%d turned, want that of the request; %v", turned, err)
		}
		wantStatus(t, later, heads[0], "of an open request", core.StatusFailure, "1 new (1 medium)")
		wantStatus(t, later, heads[1], "before anybody looks", core.StatusSuccess, "1 new (1 medium)")
		looked, err := later.Current(t.Context(), get(t, later, heads[1].ReferenceID))
		if err != nil || looked.Verdict == nil || *looked.Verdict != core.Fail {
			t.Errorf("looked at: %v, %v", looked.Verdict, err)
		}
		wantStatus(t, later, heads[1], "when somebody looks", core.StatusFailure, "1 new (1 medium)")
		d, p := storetest.PushOf(12, storetest.OnBranch("another"))
		d.Key, p.Before = "moves", heads[0].CommitSHA
		accept(t, later, d, p)
		wantStatus(t, later, heads[2], "when a branch moves there", core.StatusFailure, "1 new (1 medium)")
	})
}
