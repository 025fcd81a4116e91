package health

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// readings are gauges, told to one scrape.
type readings struct {
	to  chan<- prometheus.Metric
	now time.Time
}

// tell takes labels as names and values in turn.
func (r readings) tell(name, help string, value float64, labels ...string) {
	var names, values []string
	for pair := range slices.Chunk(labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	desc := prometheus.NewDesc("scanhook_"+name, help, names, nil)
	r.to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
}

func (r readings) flag(name, help string, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	r.tell(name, help, value, labels...)
}

// age is how long ago something was, in seconds; 0 for never.
func (r readings) age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, r.now.Sub(since).Seconds())
}

// pile is a number of things that wait, and since when the first does.
type pile struct {
	count int
	since time.Time
}

func (p pile) with(count int, since time.Time) pile {
	if p.since.IsZero() || since.Before(p.since) {
		p.since = since
	}
	return pile{p.count + count, p.since}
}
