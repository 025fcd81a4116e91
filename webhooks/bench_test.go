package webhooks_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

// benchCallers is how many platforms' workers call at the same time.
const benchCallers = 64

// BenchmarkIntake compares, on the same payload in one run, what a webhook costs when it is only verified, when each is
// a transaction of its own, and here, where concurrent ones share a transaction. Run it with make bench.
func BenchmarkIntake(b *testing.B) {
	b.Run("verify-only", func(b *testing.B) { benchmarkHandler(b, verifyOnly(b)) })
	for _, e := range storetest.Engines {
		b.Run("transaction-each/"+e.Name, func(b *testing.B) {
			benchmarkHandler(b, transactionEach(b, e))
		})
		b.Run("scanhook/"+e.Name, func(b *testing.B) {
			benchmarkHandler(b, serve(b, e.Open(b, store.Config{})))
		})
	}
}

func verifyOnly(b *testing.B) http.Handler {
	set := newSet(b)
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	router.POST("/webhooks/:platform", func(c *gin.Context) {
		body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, webhooks.MaxBody))
		if err == nil {
			_, err = set[c.Param("platform")].Verify(c.Request.Header, body)
		}
		if err != nil {
			c.Status(http.StatusUnauthorized)
			return
		}
		c.JSON(http.StatusAccepted, gin.H{"outcome": core.OutcomeIgnored})
	})
	return router
}

// benchmarkHandler sends b.N different pushes over real HTTP from benchCallers at once.
func benchmarkHandler(b *testing.B, handler http.Handler) {
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchCallers}}
	deliveries := make([]fakeforge.Delivery, b.N)
	for n := range deliveries {
		sha := fmt.Sprintf("%040x", n+1)
		deliveries[n] = seal(b, "github", "push", strings.ReplaceAll(pushBody, head, sha))
	}
	durations := make([]time.Duration, b.N)
	var next atomic.Int64
	var callers sync.WaitGroup
	b.ResetTimer()
	for range benchCallers {
		callers.Go(func() {
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				start := time.Now()
				call(b, client, server.URL+"/webhooks/github", deliveries[n])
				durations[n] = time.Since(start)
			}
		})
	}
	callers.Wait()
	b.StopTimer()
	slices.Sort(durations)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(durations[b.N/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(durations[b.N*99/100].Seconds()*1000, "p99-ms")
}

func call(b *testing.B, client *http.Client, url string, d fakeforge.Delivery) {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(string(d.Body)))
	if err != nil {
		b.Error(err)
		return
	}
	request.Header = d.Header
	response, err := client.Do(request)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		b.Errorf("answered %d", response.StatusCode)
	}
}
