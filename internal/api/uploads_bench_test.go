package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// largeSARIF is a report of n results, about 500 bytes each.
func largeSARIF(n int) string {
	var b strings.Builder
	b.WriteString(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"bench","rules":[]}},"results":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"ruleId":"rule-%d","level":"error","message":{"text":"%s in function number %d"},"locations":[
			{"physicalLocation":{"artifactLocation":{"uri":"src/package%d/file%d.go","uriBaseId":"%%SRCROOT%%"},
			"region":{"startLine":%d,"endLine":%d,"snippet":{"text":"\tvalue%d := compute(input, %d)"}}}}],
			"partialFingerprints":{"primaryLocationLineHash":"%016x:1"}}`,
			i%50, strings.Repeat("a finding that needs some words ", 4), i, i%100, i%1000, i+1, i+2, i, i*7, i*2654435761)
	}
	b.WriteString(`]}]}`)
	return b.String()
}

// BenchmarkUpload takes a report of 100,000 results over HTTP to its verdict: the first of a project, and a second one
// that is compared with it. It reports the time as a multiple of decoding the file with encoding/json, and how much
// the process grew.
//
//	.ci/with-postgres go test -run '^$' -bench Upload ./internal/api
func BenchmarkUpload(b *testing.B) {
	file, size := writeLarge(b)
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	for _, e := range storetest.Engines {
		b.Run(e.Name, func(b *testing.B) {
			u := newUploads(b, e, file)
			var first, second, decode time.Duration
			var peaks [2]int64
			for n := range b.N {
				decode += decoding(b, file)
				project := fmt.Sprint("acme/shop", n)
				first += u.timed(project, 0)
				second += u.timed(project, 1)
				for i := range peaks {
					peaks[i] += u.peak(fmt.Sprint("acme/peak", n), i)
				}
			}
			rounds := float64(b.N)
			b.ReportMetric(decode.Seconds()/rounds, "s-decode")
			b.ReportMetric(first.Seconds()/rounds, "s-first")
			b.ReportMetric(second.Seconds()/rounds, "s-second")
			b.ReportMetric(first.Seconds()/decode.Seconds(), "x-decode-first")
			b.ReportMetric(second.Seconds()/decode.Seconds(), "x-decode-second")
			b.ReportMetric(float64(peaks[0])/rounds/size, "x-file-first")
			b.ReportMetric(float64(peaks[1])/rounds/size, "x-file-second")
			b.ReportMetric(size/(1<<20), "MiB-file")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// gcPercent is what serve sets.
const gcPercent = 33

// writeLarge writes a report to a file, because in memory it would count as idle memory.
func writeLarge(b *testing.B) (file string, size float64) {
	b.Helper()
	report := []byte(largeSARIF(100_000))
	file = filepath.Join(b.TempDir(), "large.sarif")
	if err := os.WriteFile(file, report, 0o600); err != nil {
		b.Fatal(err)
	}
	return file, float64(len(report))
}

// decoding is how long encoding/json takes, in a process that sets nothing.
func decoding(b *testing.B, file string) time.Duration {
	b.Helper()
	const untouched = 100
	defer debug.SetGCPercent(debug.SetGCPercent(untouched))
	report, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	start := time.Now()
	var tree any
	if err := json.Unmarshal(report, &tree); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// uploads delivers one report again and again.
type uploads struct {
	b      *testing.B
	server *httptest.Server
	file   string
}

func newUploads(b *testing.B, e storetest.Engine, file string) uploads {
	b.Helper()
	s := e.Open(b, store.Config{Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}})
	log := slog.New(slog.DiscardHandler)
	router := httpx.NewRouter(log)
	api.New(api.Config{Store: s, Log: log, Platforms: platforms.Set{"github": nil}, Tokens: auth.Tokens{
		{Name: "ci", Token: "uploader-token", Grant: access.Grant{Role: access.Uploader}},
	}}).Register(router)
	server := httptest.NewServer(router)
	b.Cleanup(server.Close)
	return uploads{b, server, file}
}

// timed uploads the report for the n-th commit of a project.
func (u uploads) timed(project string, n int) time.Duration {
	u.b.Helper()
	runtime.GC()
	start := time.Now()
	u.put(project, n)
	return time.Since(start)
}

func (u uploads) put(project string, n int) {
	u.b.Helper()
	url := u.server.URL + "/api/v1/results/gitleaks?platform=github&branch=main&project=" + project + "&project_id=42&commit=" +
		storetest.SHA(n)
	report, err := os.Open(u.file)
	if err != nil {
		u.b.Fatal(err)
	}
	defer func() { _ = report.Close() }()
	request, err := http.NewRequestWithContext(u.b.Context(), http.MethodPut, url, report)
	if err != nil {
		u.b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer uploader-token")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		u.b.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "verdict") {
		u.b.Fatalf("%d %s", answer.StatusCode, body)
	}
}

// peak is how many bytes of memory the process took at most above what it has when idle; 0 where the system does not
// report it.
func (u uploads) peak(project string, n int) int64 {
	u.b.Helper()
	debug.FreeOSMemory()
	const forgetPeak = "5"
	if err := os.WriteFile("/proc/self/clear_refs", []byte(forgetPeak), 0); err != nil {
		return 0
	}
	idle := resident(u.b, "VmRSS")
	u.put(project, n)
	return resident(u.b, "VmHWM") - idle
}

func resident(b *testing.B, name string) int64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), name+":")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		b.Fatal(err)
	}
	return kilobytes << 10
}
