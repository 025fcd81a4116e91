package webhooks_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

const (
	benchCallers = 64      // platforms' workers that call at the same time
	benchBody    = 7 << 10 // bytes of a call, as GitHub's pushes of a few commits have
)

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
	body := strings.TrimSuffix(pushBody, "}") + `,"pad":"` + strings.Repeat("x", benchBody-len(pushBody)) + `"}`
	for n := range deliveries {
		sha := fmt.Sprintf("%040x", n+1)
		deliveries[n] = seal(b, "github", "push", strings.ReplaceAll(body, head, sha))
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

// naive is the receiver that one would write first: each request inserts its rows in a transaction of its own.
type naive struct {
	db       *sql.DB
	postgres bool
}

func transactionEach(b *testing.B, e storetest.Engine) http.Handler {
	url := e.URL(b)
	if _, err := sqldb.Migrate(b.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil {
		b.Fatal(err)
	}
	n := naive{postgres: e.Name == "postgres"}
	dsn, driver := url, "postgres"
	if !n.postgres {
		driver = "sqlite"
		dsn = "file:" + strings.TrimPrefix(url, "sqlite:") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
			"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_txlock=immediate"
	}
	var err error
	if n.db, err = sql.Open(driver, dsn); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.db.Close() })
	n.db.SetMaxOpenConns(16)
	n.db.SetMaxIdleConns(16)
	return n.handler(b)
}

func (n naive) handler(b *testing.B) http.Handler {
	hub := newSet(b)["github"]
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	router.POST("/webhooks/:platform", func(c *gin.Context) {
		body, _ := io.ReadAll(c.Request.Body)
		if _, err := hub.Verify(c.Request.Header, body); err != nil {
			c.Status(http.StatusUnauthorized)
			return
		}
		delivery, err := hub.Parse(c.Request.Header, body)
		if err == nil {
			err = n.insert(c.Request.Context(), delivery, delivery.Event.(core.Push))
		}
		if err != nil {
			b.Error(err)
			c.Status(http.StatusInternalServerError)
			return
		}
		c.JSON(http.StatusAccepted, gin.H{"outcome": core.ScanCreated})
	})
	return router
}

func (n naive) insert(ctx context.Context, d core.Delivery, p core.Push) error {
	tx, err := n.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	now := time.Now().UTC()
	var scan int64
	err = tx.QueryRowContext(ctx, n.bind(`INSERT INTO scans (reference_id, source_platform, project_name, commit_sha,
		timestamp, deadline_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`),
		uuid.NewString(), d.Platform, p.Project.Name, p.CommitSHA, now, now).Scan(&scan)
	if err != nil {
		return err
	}
	for query, args := range map[string][]any{
		`INSERT INTO scan_jobs (scan_id, scanner) VALUES (?, ?)`: {scan, "gitleaks"},
		`INSERT INTO deliveries (platform, delivery_key, event, outcome, scan_id, received_at) VALUES (?, ?, ?, ?, ?, ?)`: {
			d.Platform, d.Key, d.Name, core.ScanCreated, scan, now,
		},
		`INSERT INTO commit_statuses (scan_id, source_platform, project_name, commit_sha, context, state, description,
			next_attempt_at, desired_at, due_since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`: {
			scan, d.Platform, p.Project.Name, p.CommitSHA, "scanhook", "pending", "", now, now, now,
		},
	} {
		if _, err := tx.ExecContext(ctx, n.bind(query), args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// bind turns ? into $1, $2… for PostgreSQL.
func (n naive) bind(query string) string {
	if !n.postgres {
		return query
	}
	var out strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			out.WriteString("$" + strconv.Itoa(i))
		}
		out.WriteString(part)
	}
	return out.String()
}
