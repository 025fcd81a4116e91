// Package rules tests the alerts and the dashboard with Prometheus itself.
package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

var deploy = filepath.Join("..", "..", "deploy")

// alerts are series, a value a minute, with which each alert fires after ten minutes, and with which it does not.
var alerts = map[string]struct{ fires, quiet string }{
	"ScanhookDown":                 {`up{job="scanhook",instance="a"} 1 0x10`, `up{job="scanhook",instance="a"} 1x10`},
	"ScanhookRefusesWebhooks":      {`scanhook_database_up 1 0x10`, `scanhook_database_up 1x10`},
	"ScanhookCannotScan":           {`scanhook_runner_up 0x10`, `scanhook_runner_up 1x10`},
	"ScanhookConfigurationRefused": {`scanhook_config_current 0x10`, `scanhook_config_current 1x10`},
	"ScanhookPartMissing": {
		`scanhook_part{part="runner",instance="a"} 0x10` + "\n" + `scanhook_part{part="runner",instance="b"} 0x10`,
		`scanhook_part{part="runner",instance="a"} 0x10` + "\n" + `scanhook_part{part="runner",instance="b"} 1x10`,
	},
	"ScanhookStatusesWait":   {`scanhook_oldest_unposted_status_age_seconds{platform="github"} 601x10`, `scanhook_oldest_unposted_status_age_seconds{platform="github"} 30x10`},
	"ScanhookProjectsOnHold": {`scanhook_projects_on_hold{platform="github"} 2x10`, `scanhook_projects_on_hold{platform="github"} 0x10`},
	"ScanhookStatusesGivenUp": {
		`scanhook_status_posts_total{platform="github",outcome="given_up"} 0 0 0 0 0 1x6`,
		`scanhook_status_posts_total{platform="github",outcome="given_up"} 5x10` + "\n" + `scanhook_status_posts_total{platform="github",outcome="posted"} 0+1x10`,
	},
	"ScanhookStatusesContested": {`scanhook_statuses_contested_total{platform="github"} 0 0 0 0 0 1x6`, `scanhook_statuses_contested_total{platform="github"} 5x10`},
	"ScanhookScannersLag": {
		`scanhook_oldest_job_age_seconds{scanner="gitleaks",state="pending"} 901x10`,
		`scanhook_oldest_job_age_seconds{scanner="trivy",state="pending"} 3600x10`,
	},
	"ScanhookCallsNotDerived": {`scanhook_oldest_kept_delivery_age_seconds{platform="github"} 61x10`, `scanhook_oldest_kept_delivery_age_seconds{platform="github"} 0x10`},
	"ScanhookCallsSetAside":   {`scanhook_deliveries_set_aside{platform="github"} 1x10`, `scanhook_deliveries_set_aside{platform="github"} 0x10`},
	"ScanhookCallsRefused":    {`scanhook_webhook_refused_total{platform="github"} 0+1x10`, `scanhook_webhook_refused_total{platform="github"} 7x10`},
	"ScanhookWebhooksSilent":  {`scanhook_hooks_silent{platform="github"} 1x10`, `scanhook_hooks_silent{platform="github"} 0x10` + "\n" + `scanhook_platform_silent{platform="github"} 0x10`},
	"ScanhookListsStale":      {`scanhook_list_age_seconds{list="epss"} 300000x10`, `scanhook_list_age_seconds{list="epss"} 86400x10`},
	"ScanhookDiskFull": {
		`scanhook_disk_free_bytes{use="mirrors"} 4x10` + "\n" + `scanhook_disk_size_bytes{use="mirrors"} 100x10`,
		`scanhook_disk_free_bytes{use="mirrors"} 50x10` + "\n" + `scanhook_disk_size_bytes{use="mirrors"} 100x10`,
	},
	"ScanhookFewCallsLeft": {
		`scanhook_platform_calls_left{platform="github"} 400x10` + "\n" + `scanhook_platform_calls_allowed{platform="github"} 5000x10`,
		`scanhook_platform_calls_left{platform="github"} 4000x10` + "\n" + `scanhook_platform_calls_allowed{platform="github"} 5000x10`,
	},
}

func TestAlerts(t *testing.T) {
	groups, faults := rulefmt.ParseFile(filepath.Join(deploy, "prometheus", "rules.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}))
	for _, fault := range faults {
		t.Error(fault)
	}
	if groups == nil {
		t.FailNow()
	}
	tested := 0
	for _, rule := range groups.Groups[0].Rules {
		series, known := alerts[rule.Alert]
		if !known {
			t.Errorf("%s has no series here with which it fires", rule.Alert)
			continue
		}
		tested++
		if n := count(t, series.fires, rule.Expr); n != 1 {
			t.Errorf("%s: %d alerts with\n%s", rule.Alert, n, series.fires)
		}
		if n := count(t, series.quiet, rule.Expr); n != 0 {
			t.Errorf("%s: %d alerts with\n%s", rule.Alert, n, series.quiet)
		}
	}
	if tested != len(alerts) {
		t.Errorf("%d of %d alerts are in the file", tested, len(alerts))
	}
}

// count is how many series an expression has after ten minutes of others.
func count(t *testing.T, series, query string) int {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.ReplaceAll(series, "\n", "\n  "))
	defer storage.Close()
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	asked, err := engine.NewInstantQuery(t.Context(), storage, nil, query, time.Unix(600, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()
	vector, err := asked.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	return len(vector)
}

func TestDashboardAsksWhatPrometheusUnderstands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "grafana", "scanhook.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Annotations struct{ List []struct{ Expr string } }
		Panels      []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	understood := func(title, query string) {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(query, "$__rate_interval", "5m")); err != nil {
			t.Errorf("%s: %v", title, err)
		}
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			understood(panel.Title, target.Expr)
		}
	}
	for _, annotation := range dashboard.Annotations.List {
		understood("annotation", annotation.Expr)
	}
}
