package web

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/store"
)

// The size of a chart in SVG's units, and the room inside it.
const (
	chartWidth, chartHeight                 = 640, 190
	chartLeft, chartTop, chartRight         = 64, 12, 12
	chartBottom                             = 24
	plotWidth, plotHeight           float64 = chartWidth - chartLeft - chartRight, chartHeight - chartTop - chartBottom
)

// chart is a picture of a series, made here; beside it stands a table with the same numbers.
type chart struct {
	Title         string
	Width, Height int
	Lines         []chartLine
	Bands         []string // polygons: where values are ordinary
	Points        []chartPoint
	Ticks         []chartTick
}

type chartLine struct {
	Kind, Name, Points string
}

type chartPoint struct {
	X, Y  string
	Label string
	Link  string
	Kind  string // unusual, expected or empty
}

type chartTick struct{ Y, Label string }

// scale places values: the i-th of n from left to right, and 0 to top upwards.
type scale struct {
	n   int
	top float64
}

func (s scale) x(i int) string {
	return fmt.Sprintf("%.1f", chartLeft+plotWidth*float64(i)/float64(max(s.n-1, 1)))
}

func (s scale) y(value float64) string {
	return fmt.Sprintf("%.1f", chartTop+plotHeight*(1-min(value/s.top, 1)))
}

func (s scale) at(i int, value float64) string { return s.x(i) + "," + s.y(value) }

// newChart makes the frame of a chart with three ticks.
func newChart(title string, s scale, unit func(float64) string) *chart {
	c := &chart{Title: title, Width: chartWidth, Height: chartHeight}
	for _, share := range []float64{0, 0.5, 1} {
		c.Ticks = append(c.Ticks, chartTick{s.y(s.top * share), unit(s.top * share)})
	}
	return c
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

// trendChart shows how many findings are open, new and fixed from scan to scan; nil for fewer than two.
func (w *Web) trendChart(points []store.TrendPoint) *chart {
	if len(points) < 2 {
		return nil
	}
	highest := 0
	for _, p := range points {
		highest = max(highest, p.Open, p.New, p.Fixed)
	}
	s := scale{len(points), max(roundTop(float64(highest)), 2)}
	c := newChart("Findings on the default branch, scan by scan", s, func(v float64) string { return fmt.Sprintf("%.0f", v) })
	for _, line := range []struct {
		kind  string
		value func(store.TrendPoint) int
	}{
		{"open", func(p store.TrendPoint) int { return p.Open }},
		{"new", func(p store.TrendPoint) int { return p.New }},
		{"fixed", func(p store.TrendPoint) int { return p.Fixed }},
	} {
		var path []string
		for i, p := range points {
			path = append(path, s.at(i, float64(line.value(p))))
		}
		c.Lines = append(c.Lines, chartLine{line.kind, line.kind, strings.Join(path, " ")})
	}
	return c
}

// pipelineCharts shows duration and artifact size of runs, which come the newest first.
func (w *Web) pipelineCharts(runs []store.Metric) []*chart {
	oldest := slices.Clone(runs)
	slices.Reverse(oldest)
	var charts []*chart
	for _, c := range []*chart{
		w.seriesChart("Duration", oldest, anomaly.Duration, seconds, func(r store.Metric) *float64 { return r.BuildDurationSeconds }),
		w.seriesChart("Artifact size", oldest, anomaly.Artifact, size, func(r store.Metric) *float64 {
			if r.ArtifactSizeBytes == nil {
				return nil
			}
			bytes := float64(*r.ArtifactSizeBytes)
			return &bytes
		}),
	} {
		if c != nil {
			charts = append(charts, c)
		}
	}
	return charts
}

// seriesChart draws one measure with the band in which it is ordinary; nil where fewer than two runs have it.
func (w *Web) seriesChart(title string, runs []store.Metric, measure anomaly.Measure, unit func(float64) string,
	value func(store.Metric) *float64) *chart {
	highest, known := 0.0, 0
	for _, run := range runs {
		if v := value(run); v != nil {
			highest, known = max(highest, *v), known+1
		}
	}
	if known < 2 {
		return nil
	}
	s := scale{len(runs), roundTop(highest)}
	c := newChart(title, s, unit)
	c.Bands = bands(runs, measure, s)
	var path []string
	for i, run := range runs {
		v := value(run)
		if v == nil {
			continue
		}
		path = append(path, s.at(i, *v))
		c.Points = append(c.Points, chartPoint{s.x(i), s.y(*v), fmt.Sprintf("%s at %s%s", unit(*v), core.ShortSHA(run.CommitSHA),
			reasonOf(run)), w.base + "/scans/" + run.ReferenceID, kindOf(run, measure)})
	}
	c.Lines = []chartLine{{"open", title, strings.Join(path, " ")}}
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

// drawnWith is the chart in which a measure is seen.
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
	return ": " + visible(run.AnomalyReason)
}

// bands are polygons over the stretches of runs for which something was to be expected.
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
		above, below = append(above, s.at(i, expected.High)), append(below, s.at(i, expected.Low))
	}
	flush()
	return polygons
}

func seconds(value float64) string {
	switch {
	case value < 600:
		return fmt.Sprintf("%.3g s", value)
	case value < 7200:
		return fmt.Sprintf("%.3g min", value/60)
	}
	return fmt.Sprintf("%.3g h", value/3600)
}

func size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if bytes < 1000 {
			return fmt.Sprintf("%.3g %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.3g TB", bytes)
}
