package store_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

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
	s, err := store.Open(b.Context(), store.Config{URL: url})
	if err != nil {
		b.Fatal(err)
	}
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
