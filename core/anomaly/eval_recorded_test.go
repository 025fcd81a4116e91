//go:build !race

package anomaly_test

import (
	"encoding/csv"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/scanhook/scanhook/core/anomaly"
)

// seriesFolder names the folder whose recorded series TestEvalRecorded reads instead of the shared test data.
const seriesFolder = "SCANHOOK_EVAL_SERIES"

const maxRecorded = 20_000 // points read of one file

// TestEvalRecorded plants jumps into recorded series (files of "timestamp,value" lines) and prints the result. It holds
// them to no threshold: what is natural in a stranger's series, and called a false alarm here, nobody has labelled.
func TestEvalRecorded(t *testing.T) {
	t.Parallel()
	series := recordedSeries(t)
	if len(series) == 0 {
		t.Skipf("no recorded series: set %s to a folder of timestamp,value files", seriesFolder)
	}
	for _, m := range []anomaly.Measure{anomaly.Artifact, anomaly.Duration} {
		table := newTable("recorded, " + string(m))
		var sum tally
		for _, name := range slices.Sorted(maps.Keys(series)) {
			r := rand.New(rand.NewPCG(1, 0))
			factors := slices.Clone(series[name])
			labels := plant(r, factors, m, 0)
			got := count(toRuns(r, factors, m), labels)
			table.add(name, got)
			sum = sum.plus(got)
		}
		table.add("all", sum)
		t.Log(table)
	}
}

func recordedSeries(t *testing.T) map[string][]float64 {
	t.Helper()
	series := map[string][]float64{}
	root := seriesRoot(t)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".csv" {
			return err
		}
		if values := readSeries(t, path); len(values) > 0 {
			series[filepath.Base(path)] = values
		}
		return nil
	})
	if err != nil {
		t.Skipf("reading recorded series below %s: %v", root, err)
	}
	return series
}

// seriesRoot is the folder named by the environment, else the test data shared beside the repository.
func seriesRoot(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv(seriesFolder); folder != "" {
		return folder
	}
	folder, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return filepath.Join(folder, "..", "shared", "testdata")
		}
		if parent := filepath.Dir(folder); parent != folder {
			folder = parent
			continue
		}
		t.Skip("no go.mod above the test")
	}
}

// readSeries gives nil for files of any other shape.
func readSeries(t *testing.T, path string) []float64 {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := csv.NewReader(file)
	header, err := lines.Read()
	if err != nil || len(header) != 2 || header[0] != "timestamp" || header[1] != "value" {
		return nil
	}
	var values []float64
	for len(values) < maxRecorded {
		line, err := lines.Read()
		if err != nil {
			return values
		}
		value, err := strconv.ParseFloat(line[1], 64)
		if err != nil {
			return values
		}
		values = append(values, value)
	}
	return values
}
