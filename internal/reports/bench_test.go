package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

// minimal is the least that one would decode of SARIF with json.Unmarshal: what Parse is measured against.
type minimal struct {
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name  string
				Rules []struct{ ID, Name string }
			}
		}
		Results []struct {
			RuleID    string
			RuleIndex int
			Level     string
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct {
						StartLine, EndLine int
						Snippet            struct{ Text string }
					}
				}
			}
			PartialFingerprints map[string]string
		}
	}
}

// generate writes a SARIF log as large scanners do: results before the tool, a few hundred rules, thousands of files.
func generate(results int) []byte {
	var out bytes.Buffer
	out.WriteString(`{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"results":[`)
	for i := range results {
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(&out, `{"ruleId":"pack/rule-%[1]d","ruleIndex":%[1]d,"level":"warning","message":{"text":`+
			`"The value %[2]d flows from a request into a query without being checked first."},"locations":[{`+
			`"physicalLocation":{"artifactLocation":{"uri":"src/module%[3]d/file%[3]d.go","uriBaseId":"%%SRCROOT%%",`+
			`"index":%[3]d},"region":{"startLine":%[4]d,"startColumn":3,"endLine":%[4]d,"endColumn":40,"snippet":{`+
			`"text":"rows, err := db.Query(\"SELECT \" + name%[2]d)"}}}}],"partialFingerprints":{`+
			`"primaryLocationLineHash":"%016[2]x:1"},"rank":50.0}`, i%300, i, i%4000, i%900+1)
	}
	out.WriteString(`],"tool":{"driver":{"name":"bench","rules":[`)
	for i := range 300 {
		if i > 0 {
			out.WriteString(",")
		}
		fmt.Fprintf(&out, `{"id":"pack/rule-%d","name":"Rule","shortDescription":{"text":"A rule"},`+
			`"properties":{"tags":["security","external/cwe/cwe-089"],"security-severity":"7.5"}}`, i)
	}
	out.WriteString(`]}}}]}`)
	return out.Bytes()
}

func BenchmarkParse(b *testing.B) {
	raw := generate(100_000)
	var report core.Report
	parse := func() {
		var err error
		report, err = reports.Parse(bytes.NewReader(raw), reports.Limits{})
		if err != nil || report.Results != 100_000 {
			b.Error(report.Results, err)
		}
	}
	var log minimal
	unmarshal := func(into any) func() {
		return func() {
			log = minimal{}
			if err := json.Unmarshal(raw, into); err != nil {
				b.Error(err)
			}
		}
	}
	var tree any
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var ours, theirs, trees time.Duration
	for b.Loop() {
		ours += timed(parse)
		b.StopTimer()
		theirs += timed(unmarshal(&log))
		tree = nil
		trees += timed(unmarshal(&tree))
		b.StartTimer()
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x/struct")
	b.ReportMetric(float64(ours)/float64(trees), "x/any")
	log, tree, report = minimal{}, nil, core.Report{}
	b.ReportMetric(peak(parse), "peak-MB")
	b.ReportMetric(kept(&report), "kept-MB")
	b.ReportMetric(peak(unmarshal(&log)), "struct-peak-MB")
}

func timed(work func()) time.Duration {
	runtime.GC()
	start := time.Now()
	work()
	return time.Since(start)
}

// kept is what the report itself takes of the heap.
func kept(report *core.Report) float64 {
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	*report = core.Report{}
	runtime.GC()
	runtime.ReadMemStats(&without)
	return float64(with.HeapAlloc-without.HeapAlloc) / (1 << 20)
}

// peak is how far the live heap grew while work ran, sampled every millisecond.
func peak(work func()) float64 {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	highest := before.HeapAlloc
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return float64(highest-before.HeapAlloc) / (1 << 20)
		case <-ticker.C:
			runtime.ReadMemStats(&now)
			highest = max(highest, now.HeapAlloc)
		}
	}
}
