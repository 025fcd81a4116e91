// Package chart draws series of values as SVG, on the server.
package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
)

// The size of a chart in SVG's units, its margins, and the area inside them.
const (
	width, height                    = 640, 200
	left, top, right, bottom         = 76, 12, 12, 34
	plotWidth, plotHeight    float64 = width - left - right, height - top - bottom
)

// Chart is the picture of one or more series. A page shows it beside a table with the same numbers.
type Chart struct {
	Title         string
	Width, Height int
	Lines         []Line
	Bands         []string // polygons: where values are ordinary
	Points        []Point
	Ticks         []Tick
	Times         []Time
}

// Line is a series: its style, its name, and its corners as SVG writes them.
type Line struct {
	Kind, Name, Points string
}

// Point is one value of a series.
type Point struct {
	X, Y  string
	Label string
	Link  string
	Kind  string // unusual, expected or empty
}

// Tick is a label of the vertical axis.
type Tick struct{ Y, Label string }

// Time is a label of the horizontal axis: when the first value was taken, that in the middle, or the last one.
type Time struct{ X, Anchor, Label string }

// Trend shows how many findings are open, new and fixed from scan to scan; nil for fewer than two.
func Trend(points []store.TrendPoint) *Chart {
	if len(points) < 2 {
		return nil
	}
	return counts("Number of findings on the default branch, scan by scan", points, func(p store.TrendPoint) time.Time { return p.Timestamp }, []count[store.TrendPoint]{
		{"open", func(p store.TrendPoint) int { return p.Open }},
		{"new", func(p store.TrendPoint) int { return p.New }},
		{"fixed", func(p store.TrendPoint) int { return p.Fixed }},
	})
}

// Days shows how many alerts are open at the end of each day, by severity; nil for fewer than two days.
func Days(days []alerts.Day) *Chart {
	if len(days) < 2 {
		return nil
	}
	day := func(d alerts.Day) time.Time {
		at, _ := time.Parse(time.DateOnly, d.Day)
		return at
	}
	return counts("Number of open alerts on the default branch, day by day (UTC)", days, day, []count[alerts.Day]{
		{"critical", func(d alerts.Day) int { return d.Critical }},
		{"high", func(d alerts.Day) int { return d.High }},
		{"medium", func(d alerts.Day) int { return d.Medium }},
		{"low", func(d alerts.Day) int { return d.Low }},
	})
}

// count is a number that each of the rows of a chart has.
type count[R any] struct {
	name string
	of   func(R) int
}

// counts draws numbers of rows, each as a line.
func counts[R any](title string, rows []R, at func(R) time.Time, lines []count[R]) *Chart {
	highest := 0
	for _, row := range rows {
		for _, line := range lines {
			highest = max(highest, line.of(row))
		}
	}
	s := scale{len(rows), max(roundTop(float64(highest)), 2)}
	c := newChart(title, s, func(v float64) string { return text.Number(int(math.Round(v))) })
	c.Times = times(s, func(i int) time.Time { return at(rows[i]) })
	for _, line := range lines {
		var path []string
		for i, row := range rows {
			path = append(path, s.point(i, float64(line.of(row))))
		}
		c.Lines = append(c.Lines, Line{line.name, line.name, strings.Join(path, " ")})
	}
	return c
}

// Pipeline shows duration and artifact size of runs, which come the newest first. link leads to the scan of a run.
func Pipeline(runs []store.Metric, link func(reference string) string) []*Chart {
	oldest := slices.Clone(runs)
	slices.Reverse(oldest)
	var charts []*Chart
	for _, s := range []series{
		{"Duration, run by run", anomaly.Duration, text.Seconds, func(r store.Metric) *float64 { return r.BuildDurationSeconds }},
		{"Artifact size, run by run", anomaly.Artifact, text.Size, artifactSize},
	} {
		if c := s.draw(oldest, link); c != nil {
			charts = append(charts, c)
		}
	}
	return charts
}

func artifactSize(r store.Metric) *float64 {
	if r.ArtifactSizeBytes == nil {
		return nil
	}
	bytes := float64(*r.ArtifactSizeBytes)
	return &bytes
}

// series is one measure of a pipeline's runs.
type series struct {
	title   string
	measure anomaly.Measure
	unit    func(float64) string
	value   func(store.Metric) *float64 // nil where the run does not have it
}

// draw shows the series with the band in which it is ordinary; nil where fewer than two runs have a value.
func (s series) draw(runs []store.Metric, link func(reference string) string) *Chart {
	highest, known := 0.0, 0
	for _, run := range runs {
		if v := s.value(run); v != nil {
			highest, known = max(highest, *v), known+1
		}
	}
	if known < 2 {
		return nil
	}
	at := scale{len(runs), roundTop(highest)}
	c := newChart(s.title, at, s.unit)
	c.Times = times(at, func(i int) time.Time { return runs[i].RecordedAt })
	c.Bands = bands(runs, s.measure, at)
	var path []string
	for i, run := range runs {
		v := s.value(run)
		if v == nil {
			continue
		}
		path = append(path, at.point(i, *v))
		label := fmt.Sprintf("%s at %s%s", s.unit(*v), core.ShortSHA(run.CommitSHA), reasonOf(run))
		c.Points = append(c.Points, Point{at.x(i), at.y(*v), label, link(run.ReferenceID), kindOf(run, s.measure)})
	}
	c.Lines = []Line{{"open", s.title, strings.Join(path, " ")}}
	return c
}

// kindOf marks an unusual run in the chart of the measure that is unusual about it.
func kindOf(run store.Metric, measure anomaly.Measure) string {
	elsewhere := slices.ContainsFunc(run.Readings, anomaly.Reading.Unusual) &&
		!slices.ContainsFunc(run.Readings, func(r anomaly.Reading) bool { return r.Unusual() && drawnWith(r.Measure) == measure })
	switch {
	case !run.Unusual() || elsewhere:
		return ""
	case run.Expected:
		return "expected"
	}
	return "unusual"
}

// drawnWith is the measure in whose chart another one shows.
func drawnWith(measure anomaly.Measure) anomaly.Measure {
	if measure == anomaly.BytesPerFile {
		return anomaly.Artifact
	}
	return measure
}

func reasonOf(run store.Metric) string {
	if run.AnomalyReason == "" {
		return ""
	}
	return ": " + text.Visible(run.AnomalyReason)
}

// bands are polygons over the stretches of runs that have an expected range.
func bands(runs []store.Metric, measure anomaly.Measure, s scale) (polygons []string) {
	var above, below []string
	flush := func() {
		if len(above) > 1 {
			slices.Reverse(below)
			polygons = append(polygons, strings.Join(append(above, below...), " "))
		}
		above, below = nil, nil
	}
	for i, run := range runs {
		at := slices.IndexFunc(run.Readings, func(r anomaly.Reading) bool { return r.Measure == measure })
		if at < 0 {
			flush()
			continue
		}
		expected := run.Readings[at].Expected
		above, below = append(above, s.point(i, expected.High)), append(below, s.point(i, expected.Low))
	}
	flush()
	return polygons
}

// newChart is an empty chart with three ticks.
func newChart(title string, s scale, unit func(float64) string) *Chart {
	c := &Chart{Title: title, Width: width, Height: height}
	for _, share := range []float64{0, 0.5, 1} {
		c.Ticks = append(c.Ticks, Tick{s.y(s.highest * share), unit(s.highest * share)})
	}
	return c
}

// times label the horizontal axis: with days, or with hours where all is of one day.
func times(s scale, at func(i int) time.Time) []Time {
	first, last := at(0).UTC(), at(s.n-1).UTC()
	layout := "2 Jan 2006"
	if first.YearDay() == last.YearDay() && first.Year() == last.Year() {
		layout = "2 Jan 15:04 UTC"
	}
	list := []Time{{s.x(0), "start", first.Format(layout)}}
	if s.n > 2 {
		list = append(list, Time{s.x(s.n / 2), "middle", at(s.n / 2).UTC().Format(layout)})
	}
	return append(list, Time{s.x(s.n - 1), "end", last.Format(layout)})
}

// roundTop is a round number at or above the highest value.
func roundTop(highest float64) float64 {
	if highest <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(highest)))
	for _, step := range []float64{1, 1.5, 2, 3, 4, 6, 8, 10} {
		if step*power >= highest {
			return step * power
		}
	}
	return 10 * power
}

// scale places values: the i-th of n from left to right, and 0 to highest upwards.
type scale struct {
	n       int
	highest float64
}

func (s scale) x(i int) string {
	return fmt.Sprintf("%.1f", left+plotWidth*float64(i)/float64(max(s.n-1, 1)))
}

func (s scale) y(value float64) string {
	return fmt.Sprintf("%.1f", top+plotHeight*(1-min(value/s.highest, 1)))
}

func (s scale) point(i int, value float64) string { return s.x(i) + "," + s.y(value) }
