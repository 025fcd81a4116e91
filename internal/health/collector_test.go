package health_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestCollect(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w := newFixture(t, e)
		d, p := storetest.PushOf(1)
		if _, err := w.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
			t.Fatal(err)
		}
		d, p = storetest.PushOf(2, func(d *core.Delivery, _ *core.Push) { d.Platform = "left" })
		if _, err := w.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
		expect(t, w, "scanhook_jobs", `{scanner="gitleaks",state="pending"} 2`, `{scanner="gitleaks",state="running"} 0`)
		expect(t, w, "scanhook_oldest_job_age_seconds", `{scanner="gitleaks",state="pending"} 60`)
		expect(t, w, "scanhook_statuses_unposted", `{platform="github"} 1`, `{platform="other"} 1`, `{platform="gitlab"} 0`)
		expect(t, w, "scanhook_scans_open", `{status="pending"} 2`, `{status="processing"} 0`)
		expect(t, w, "scanhook_recent_scans", `{status="pending",verdict=""} 2`)
		expect(t, w, "scanhook_database_up", `scanhook_database_up 1`)
		expect(t, w, "scanhook_database_connections", `{state="idle"}`, `{state="in_use"}`)
		expect(t, w, "scanhook_database_connection_waits_total", `scanhook_database_connection_waits_total `)
		expect(t, w, "scanhook_disk_free_bytes", `{use="data"}`)
		registry := prometheus.NewRegistry()
		registry.MustRegister(w)
		problems, err := testutil.GatherAndLint(registry)
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}
