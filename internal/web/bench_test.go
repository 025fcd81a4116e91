package web_test

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkScanPage compares the page of a scan of 5,000 findings with that of one of 50: people wait for the first
// page only, so that it should not take longer than three times as long (x-of-50).
//
//	go test -run '^$' -bench ScanPage -benchtime 30x ./internal/web
func BenchmarkScanPage(b *testing.B) {
	s := newSite(b)
	small, large := s.scanned(1, many(50)...), s.scanned(2, many(5000)...)
	s.page("/scans/" + large.ReferenceID)
	few, most := make([]time.Duration, b.N), make([]time.Duration, b.N)
	for i := range b.N {
		few[i], most[i] = s.takes("/scans/"+small.ReferenceID), s.takes("/scans/"+large.ReferenceID)
	}
	slices.Sort(few)
	slices.Sort(most)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(few[b.N/2].Seconds()*1000, "ms-50")
	b.ReportMetric(most[b.N/2].Seconds()*1000, "ms-5000")
	b.ReportMetric(most[b.N/2].Seconds()/few[b.N/2].Seconds(), "x-of-50")
}

func (s *site) takes(path string) time.Duration {
	start := time.Now()
	s.page(path)
	return time.Since(start)
}
