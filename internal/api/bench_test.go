package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/api"
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

// BenchmarkUpload takes a report of 100,000 results to its verdict, and compares that with decoding the file alone.
func BenchmarkUpload(b *testing.B) {
	report := largeSARIF(100_000)
	for _, e := range storetest.Engines {
		b.Run(e.Name, func(b *testing.B) {
			s := e.Open(b, store.Config{Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}})
			log := slog.New(slog.DiscardHandler)
			router := httpx.NewRouter(log)
			api.New(api.Config{Store: s, Log: log, Platforms: platforms.Set{"github": nil}, Tokens: []api.Token{
				{Name: "ci", Token: "scanner-token", Role: api.Scanner},
			}}).Register(router)
			var upload, decode time.Duration
			for n := range b.N {
				start := time.Now()
				put(b, router, report, n)
				upload += time.Since(start)
				start = time.Now()
				var any any
				if err := json.Unmarshal([]byte(report), &any); err != nil {
					b.Fatal(err)
				}
				decode += time.Since(start)
			}
			b.ReportMetric(upload.Seconds()/float64(b.N), "upload-s")
			b.ReportMetric(decode.Seconds()/float64(b.N), "decode-s")
			b.ReportMetric(upload.Seconds()/decode.Seconds(), "upload/decode")
			b.ReportMetric(float64(len(report))/(1<<20), "file-MiB")
		})
	}
}

func put(b *testing.B, handler http.Handler, report string, n int) {
	b.Helper()
	path := "/api/v1/results/gitleaks?platform=github&project=acme/shop&branch=main&commit=" + storetest.SHA(n)
	request := httptest.NewRequest(http.MethodPut, path, strings.NewReader(report))
	request.Header.Set("Authorization", "Bearer scanner-token")
	recorder := httptest.NewRecorder()
	runtime.GC()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK {
		b.Fatalf("%d %s", recorder.Code, recorder.Body)
	}
}
