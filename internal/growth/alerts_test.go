package growth

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

var numAlerts = flag.Int("growth.alerts", 0, "alerts of the larger database whose lists are compared with those of 1,000, 1000000 for figures")

const (
	fewAlerts     = 1000
	alertProjects = 20
	alertRules    = 40
	readings      = 40 // of each view
)

// alertViews are what is asked of the list of alerts.
var alertViews = []string{
	"", "?severity=high", "?rule=rule-7", "?tool=tool-3", "?platform=github&project=acme/app-3", "?platform=github&project=acme/app-3&path=src/d4/",
	"?platform=github&project=acme/app-3&rule=rule-7", "?age=week", "?age=older", "?kev=yes", "?q=cve-2024-0777", "?q=flaw", "?q=f77", "?q=rule-7",
	"?q=flaw&severity=low", "?q=cve-2024&group=file", "?q=nowhere", "?sort=newest", "?sort=oldest", "?group=rule",
	"?group=file&platform=github&project=acme/app-3", "?group=project", "?state=fixed",
	"?author=Author+7", "?author=Author+7&tool=tool-3", "?tool=tool-rare", "?epss=10", "?group=package", "?reason=wont_fix", "?q=kind&severity=critical&sort=newest",
}

// TestAlertLists prints what the page of alerts costs in a small and in a large database, by what is asked of it.
func TestAlertLists(t *testing.T) {
	if *numAlerts == 0 {
		t.Skip("make growth measures it")
	}
	var rows []string
	for _, e := range storetest.Engines {
		t.Run(e.Name, func(t *testing.T) {
			few, many := readAlerts(t, e, fewAlerts), readAlerts(t, e, *numAlerts)
			for _, view := range alertViews {
				few, many := few[view], many[view]
				row := fmt.Sprintf("%-8s  %-58s  %8.1f %8.1f %6.2f   %8.1f %8.1f %6.2f", e.Name, "/alerts"+view,
					few.p95, many.p95, many.p95/few.p95, few.median, many.median, many.median/few.median)
				rows = append(rows, row)
			}
		})
	}
	t.Logf("\nThe page of alerts, p95 and median of %d readings in ms, never ANALYZEd:\n\n%-68s  %8d %8d  ratio   %8d %8d  ratio\n%s", readings, "engine, view",
		fewAlerts, *numAlerts, fewAlerts, *numAlerts, strings.Join(rows, "\n"))
}

// reading is what a view takes, in ms.
type reading struct{ p95, median float64 }

// readAlerts reads all views of a database with so many alerts.
func readAlerts(t *testing.T, e storetest.Engine, size int) map[string]reading {
	t.Helper()
	url := e.URL(t)
	s := storetest.OpenAt(t, url, store.Config{})
	fillAlerts(t, url, size)
	pages, err := web.New(web.Config{Store: s, Public: true, PublicURL: "http://scanhook.example", Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	router := httpx.NewRouter(discard)
	pages.Register(router)
	took := map[string]reading{}
	for _, view := range alertViews {
		var times []time.Duration
		for range readings {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/alerts"+view, nil)
			answer, began := httptest.NewRecorder(), time.Now()
			router.ServeHTTP(answer, request)
			times = append(times, time.Since(began))
			if answer.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", view, answer.Code, answer.Body)
			}
		}
		slices.Sort(times)
		ms := func(percent int) float64 { return float64(times[len(times)*percent/100].Microseconds()) / 1000 }
		took[view] = reading{ms(95), ms(50)}
	}
	return took
}

func fillAlerts(t *testing.T, url string, size int) {
	t.Helper()
	db, err := sqldb.AttachUnchecked(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	now := time.Now().UTC().Truncate(time.Microsecond)
	err = db.Transact(t.Context(), func(tx *sqlx.Tx) error {
		for n := range alertProjects {
			name := fmt.Sprint("acme/app-", n)
			_, err := tx.ExecContext(t.Context(), tx.Rebind(`
				INSERT INTO projects (id, platform, platform_ref, name, name_key, default_branch, seen_at) VALUES (?, 'github', ?, ?, ?, 'main', ?)`),
				n+1, fmt.Sprint(n), name, name, now)
			if err != nil {
				return err
			}
		}
		for n := range 1400 { // as many as CISA's catalog has
			_, err := tx.ExecContext(t.Context(), tx.Rebind(`INSERT INTO epss_data (cve_id, probability, percentile, kev) VALUES (?, 0.5, 0.9, TRUE)`),
				fmt.Sprintf("CVE-2020-%04d", n))
			if err != nil {
				return err
			}
		}
		return db.Load(t.Context(), tx, sqldb.Bulk{
			Table: "alerts", Columns: []string{
				"id", "project_id", "number", "key", "tool", "rule_id", "severity", "title", "file", "line", "state", "first_seen",
				"first_seen_scan_id", "cve_id", "words", "on_default", "author", "package",
			},
			Rows: size,
			Row:  func(n int, values []any) []any { return append(values, alertOf(n, now)...) },
		})
	})
	if err == nil && strings.HasPrefix(url, "postgres") {
		_, err = db.ExecContext(t.Context(), `VACUUM alerts`) // as autovacuum has done by then; it ANALYZEs nothing
	}
	if err != nil {
		t.Fatal(err)
	}
}

// alertOf is the n-th alert: one of twenty is fixed, one of a hundred names a vulnerability, and of these every tenth is exploited.
func alertOf(n int, now time.Time) []any {
	project, rule, state, cve := int64(n%alertProjects+1), (n/alertProjects)%alertRules, alerts.Open, ""
	if n%23 == 0 {
		state = alerts.Fixed
	}
	if n%100 == 0 {
		cve = fmt.Sprintf("CVE-2024-%04d", n/100%10000)
		if n%1000 == 0 {
			cve = fmt.Sprintf("CVE-2020-%04d", n/1000%1400)
		}
	}
	tool := fmt.Sprint("tool-", rule%5)
	if n%5000 == 1 {
		tool = "tool-rare"
	}
	return []any{
		alerts.IDOf(project, n+1), project, n + 1, fmt.Sprint(n), tool, fmt.Sprint("rule-", rule),
		string(core.Severities[rule%4]), fmt.Sprint("A flaw of kind ", rule), fmt.Sprintf("src/d%d/f%d.go", n%31, n), n % 900, string(state),
		now.Add(-time.Duration(n%400) * 24 * time.Hour), 1, cve, "It is a flaw " + cve, state == alerts.Open,
		fmt.Sprint("Author ", n%50), fmt.Sprintf("pkg:npm/p%d", n%300),
	}
}
