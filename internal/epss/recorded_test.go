package epss

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

// recorded is what the manifest of the shared test data says of a list, counted by a script from the raw file.
type recorded struct {
	Path, Family string
	Facts        struct {
		Rows    int                   `json:"distinct_cves"`
		Samples map[string][2]float64 `json:"samples"` // probability and percentile
		Half    int                   `json:"over_0.5"`
		Tenth   int                   `json:"over_0.1"`
		Version string                `json:"catalogVersion"`
		Entries *int                  `json:"entries"` // null for what is no whole catalog
	}
}

// testdata finds the folder that the sessions of the project share; it is not part of the repository.
func testdata(t *testing.T) (directory string, lists []recorded) {
	t.Helper()
	directory, err := os.Getwd()
	for err == nil && directory != "/" {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			break
		}
		directory = filepath.Dir(directory)
	}
	directory = filepath.Join(directory, "..", "shared", "testdata")
	raw, err := os.ReadFile(filepath.Join(directory, "manifest.json"))
	if err != nil {
		t.Skip("no shared test data here")
	}
	var manifest struct{ Other []recorded }
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	return directory, manifest.Other
}

func TestReadRecorded(t *testing.T) {
	t.Parallel()
	directory, lists := testdata(t)
	for _, list := range lists {
		if list.Family != string(core.FeedEPSS) && list.Family != string(core.FeedKEV) {
			continue
		}
		t.Run(list.Path, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(filepath.Join(directory, list.Path))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			feed, err := Read(file)
			switch {
			case strings.HasSuffix(list.Path, "_schema.json"):
				if !errors.Is(err, core.ErrInvalid) {
					t.Errorf("a schema is read as a list: %v", err)
				}
			case err != nil || string(feed.Kind) != list.Family:
				t.Errorf("a list of %s is read as %q, %v", list.Family, feed.Kind, err)
			case feed.Kind == core.FeedEPSS:
				compareScores(t, list, feed)
			default:
				compareCatalog(t, list, feed)
			}
		})
	}
}

func compareScores(t *testing.T, want recorded, feed core.Feed) {
	t.Helper()
	samples, half, tenth := 0, 0, 0
	for _, score := range feed.Scores {
		if sample, ok := want.Facts.Samples[score.CVEID]; ok && sample == [2]float64{score.Probability, score.Percentile} {
			samples++
		}
		if score.Probability > 0.5 {
			half++
		}
		if score.Probability > 0.1 {
			tenth++
		}
	}
	if len(feed.Scores) != want.Facts.Rows || half != want.Facts.Half || tenth != want.Facts.Tenth {
		t.Errorf("%d scores, %d over 0.5, %d over 0.1, want %+v", len(feed.Scores), half, tenth, want.Facts)
	}
	if samples != len(want.Facts.Samples) || feed.Date.IsZero() || feed.Version == "" {
		t.Errorf("%d of %d samples, date %s, version %q", samples, len(want.Facts.Samples), feed.Date, feed.Version)
	}
}

func compareCatalog(t *testing.T, want recorded, feed core.Feed) {
	t.Helper()
	if want.Facts.Entries != nil && len(feed.Scores) != *want.Facts.Entries || len(feed.Scores) == 0 {
		t.Errorf("%d vulnerabilities, want %v", len(feed.Scores), want.Facts.Entries)
	}
	if feed.Version != want.Facts.Version {
		t.Errorf("version %q, want %q", feed.Version, want.Facts.Version)
	}
}
