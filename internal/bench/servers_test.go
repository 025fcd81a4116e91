package bench

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/ingest"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

var silent = slog.New(slog.DiscardHandler)

// server answers calls.
type server struct {
	url   string
	calls *ingest.Ingester // of ours
	close func()
}

func listen(handler http.Handler, end func()) server {
	s := httptest.NewServer(handler)
	return server{url: s.URL + "/webhooks/github", close: func() {
		s.Close()
		end()
	}}
}

func newSet(t *testing.T) platforms.Set {
	t.Helper()
	hub, err := github.New(platforms.Config{Name: "github", WebhookSecrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	return platforms.Set{"github": hub}
}

// ours keeps calls, and derives what follows from them if it shall.
func ours(t *testing.T, e storetest.Engine, deriving bool) server {
	t.Helper()
	set := newSet(t)
	db := e.Open(t, store.Config{})
	router := httpx.NewRouter(silent)
	webhooks.New(webhooks.Config{Platforms: set, Store: db, Log: silent}).Register(router)
	calls := ingest.New(ingest.Config{Store: db, Platforms: set, Log: silent})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if deriving {
			calls.Run(ctx)
		}
	}()
	s := listen(router, func() {
		cancel()
		<-ended
		_ = db.Close()
	})
	s.calls = calls
	return s
}

func verifyOnly(t *testing.T) server {
	t.Helper()
	set := newSet(t)
	router := httpx.NewRouter(silent)
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
	return listen(router, func() {})
}

// naive is the receiver that one would write first: each request inserts its rows in a transaction of its own.
type naive struct {
	db *sql.DB
}

func transactionEach(t *testing.T, e storetest.Engine) server {
	t.Helper()
	url := e.URL(t)
	if _, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil {
		t.Fatal(err)
	}
	var n naive
	dsn, driver := url, "postgres"
	if e.Name == "sqlite" {
		driver = "sqlite"
		dsn = "file:" + strings.TrimPrefix(url, "sqlite:") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
			"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_txlock=immediate"
	}
	var err error
	if n.db, err = sql.Open(driver, dsn); err != nil {
		t.Fatal(err)
	}
	n.db.SetMaxOpenConns(16)
	n.db.SetMaxIdleConns(16)
	_, err = n.db.ExecContext(t.Context(), `
		INSERT INTO projects (platform, name, name_key, seen_at) VALUES ('github', 'acme/shop', 'acme/shop', $1)`, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	return listen(n.handler(t), func() { _ = n.db.Close() })
}

func (n naive) handler(t *testing.T) http.Handler {
	t.Helper()
	hub := newSet(t)["github"]
	router := httpx.NewRouter(silent)
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
			t.Error(err)
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
	err = tx.QueryRowContext(ctx, `INSERT INTO scans (reference_id, project_id, source_platform, project_name, commit_sha,
		timestamp, deadline_at) VALUES ($1, 1, $2, $3, $4, $5, $6) RETURNING id`,
		uuid.NewString(), d.Platform, p.Project.Name, p.CommitSHA, now, now).Scan(&scan)
	if err != nil {
		return err
	}
	for query, args := range map[string][]any{
		`INSERT INTO scan_jobs (scan_id, scanner) VALUES ($1, $2)`: {scan, "gitleaks"},
		`INSERT INTO deliveries (platform, delivery_key, event, outcome, scan_id, received_at) VALUES ($1, $2, $3, $4, $5, $6)`: {
			d.Platform, d.Key, d.Name, core.ScanCreated, scan, now,
		},
		`INSERT INTO commit_statuses (first_scan_id, scan_id, project_id, source_platform, commit_sha, context, state, description,
			next_attempt_at, desired_at, due_since) VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10)`: {
			scan, scan, d.Platform, p.CommitSHA, "scanhook", "pending", "", now, now, now,
		},
	} {
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
