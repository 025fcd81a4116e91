package epss

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
)

const day = "#model_version:v2025.03.14,score_date:2025-12-26T12:55:00Z\n"

var noDigest = cmpopts.IgnoreFields(core.Feed{}, "Digest")

func pack(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReadScores(t *testing.T) {
	t.Parallel()
	rows := []core.Score{
		{CVEID: "CVE-1999-0001", Probability: 0.01151, Percentile: 0.7802},
		{CVEID: "CVE-2026-74439", Probability: 1, Percentile: 0},
	}
	const body = "cve,epss,percentile\nCVE-1999-0001,0.01151,0.7802\nCVE-2026-74439,1,0.0\n"
	at := func(hour, minute int) time.Time { return time.Date(2025, 12, 26, hour, minute, 0, 0, time.UTC) }
	cases := map[string]struct {
		text    string
		date    time.Time
		version string
	}{
		"as published":            {day + body, at(12, 55), "v2025.03.14"},
		"gzip":                    {pack(t, day+body), at(12, 55), "v2025.03.14"},
		"as published until 2025": {"#model_version:v1,score_date:2025-12-26T02:00:00+0200\n" + body, at(0, 0), "v1"},
		"date without time":       {"# score_date: 2025-12-26 \n" + body, at(0, 0), ""},
		"without a comment":       {body, time.Time{}, ""},
		"without a date":          {"#model_version:v1,score_date:\n" + body, time.Time{}, "v1"},
		"no newline at the end":   {day + strings.TrimSuffix(body, "\n"), at(12, 55), "v2025.03.14"},
		"Windows":                 {"\ufeff" + strings.ReplaceAll(day+body, "\n", "\r\n"), at(12, 55), "v2025.03.14"},
		"blank lines":             {"\n" + day + "\n" + body + "\n\n", at(12, 55), "v2025.03.14"},
		"a row twice":             {day + body + "CVE-2026-74439,1,0\n", at(12, 55), "v2025.03.14"},
		"other columns, order and case": {
			day + "\"Percentile\",date,EPSS,CVE\n.7802,x,1.151e-2,cve-1999-0001\n0,,1,\"CVE-2026-74439\"\n",
			at(12, 55), "v2025.03.14",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Read(strings.NewReader(c.text))
			want := core.Feed{Kind: core.FeedEPSS, Date: c.date, Version: c.version, Scores: rows}
			if diff := cmp.Diff(want, got, noDigest); err != nil || diff != "" || len(got.Digest) != 64 {
				t.Errorf("error %v, digest %q, feed (-want +got):\n%s", err, got.Digest, diff)
			}
		})
	}
}

func TestReadCatalog(t *testing.T) {
	t.Parallel()
	listed := []core.Score{{CVEID: "CVE-2024-3094", KEV: true}, {CVEID: "CVE-2021-44228", KEV: true}}
	const list = `[{"cveID":"cve-2024-3094","notes":"x"},{"cveID":"CVE-2021-44228"},{"cveID":"CVE-2024-3094"}]`
	const whole = `{"catalogVersion":"2025.08.25","dateReleased":"2025-08-25T17:04:19.9796Z","count":7,
		"vulnerabilities":` + list + `}`
	released := time.Date(2025, 8, 25, 17, 4, 19, 979600000, time.UTC)
	for name, c := range map[string]struct {
		text string
		want core.Feed
	}{
		"whole": {" \n" + whole, core.Feed{Date: released, Version: "2025.08.25"}},
		"list":  {list, core.Feed{}},
		"gzip":  {pack(t, whole), core.Feed{Date: released, Version: "2025.08.25"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.Kind, c.want.Scores = core.FeedKEV, listed
			got, err := Read(strings.NewReader(c.text))
			if diff := cmp.Diff(c.want, got, noDigest); err != nil || diff != "" {
				t.Errorf("error %v, feed (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	packed := pack(t, day+"cve,epss,percentile\nCVE-2024-3094,0.5,0.5\n")
	const header = "cve,epss,percentile\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":              {"", "line 1: no score"},
		"only a header":        {day + header, "line 2: no score"},
		"wrong header":         {day + "cve;epss;percentile\n", "line 2: the header"},
		"a page":               {"<html>\n", "line 1: the header"},
		"wrong date":           {"#score_date:yesterday\n", "line 1: score_date"},
		"no CVE":               {day + header + "CVE-2024-3094,0,0\nGHSA-1,0,0\n", `line 4: "GHSA-1" is not`},
		"above one":            {day + header + "CVE-2024-3094,1.01,0\n", "line 3: epss"},
		"not a number":         {day + header + "CVE-2024-3094,NaN,0\n", "line 3: epss"},
		"negative":             {day + header + "CVE-2024-3094,0,-0.1\n", "line 3: percentile"},
		"a value missing":      {day + header + "CVE-2024-3094,0\n", "line 3: has 2 values"},
		"a contradiction":      {day + header + "CVE-2024-3094,0,0\nCVE-2024-3094,0,1\n", "line 4: CVE-2024-3094 has"},
		"a long line":          {day + header + strings.Repeat("x", maxLine+1), "line 3: is longer"},
		"a cut archive":        {packed[:len(packed)-9], "cut off"},
		"a damaged archive":    {packed[:len(packed)-8] + "12345678", "damaged"},
		"no archive after all": {"\x1f\x8bx", "damaged or cut off"},
		"broken JSON":          {"{\n\"vulnerabilities\": [\n}", "line 3: not the JSON"},
		"JSON of another kind": {`{"properties": {"vulnerabilities": []}}`, "no vulnerability"},
		"a wrong type":         {"{\"vulnerabilities\":\n[{\"cveID\": 7}]}", "line 2: not the JSON"},
		"an entry without CVE": {`[{"cveID":"CVE-2024-3094"},{"cve":"x"}]`, "vulnerabilities[1]"},
		"catalog's date":       {`{"dateReleased":"soon","vulnerabilities":[{"cveID":"CVE-2024-3094"}]}`, "dateReleased"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Read(strings.NewReader(c.text))
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), c.want) || got.Scores != nil {
				t.Errorf("%d scores, error %v, want ErrInvalid with %q", len(got.Scores), err, c.want)
			}
		})
	}
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	_, err := io.ReadAll(&limited{r: strings.NewReader("12345"), left: 4})
	if !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
	all, err := io.ReadAll(&limited{r: strings.NewReader("12345"), left: 5})
	if err != nil || string(all) != "12345" {
		t.Errorf("read %q, %v, want all", all, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(day + "cve,epss,percentile\nCVE-2024-3094,0.5,0.5\ncve-2024-3095,1,1"))
	f.Add([]byte(`{"vulnerabilities":[{"cveID":"CVE-2024-3094"}]}`))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("\ufeff#score_date:2025-12-26\npercentile,cve,epss\n0,CVE-1999-0001,0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		feed, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, score := range feed.Scores {
			id, err := core.ParseCVE(score.CVEID)
			if err != nil || id != score.CVEID || seen[id] ||
				!(score.Probability >= 0 && score.Probability <= 1 && score.Percentile >= 0 && score.Percentile <= 1) {
				t.Fatalf("accepted %+v", score)
			}
			seen[id] = true
		}
		if len(seen) == 0 {
			t.Fatal("accepted a list of nothing")
		}
	})
}

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

// testdata finds the folder of recorded lists beside the repository, or skips the test.
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
