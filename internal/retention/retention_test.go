package retention

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const day = 24 * time.Hour

// keep fills a store with pushes of days before and runs the keeper over it once. It returns the scans and the log.
func keep(t *testing.T, cfg Config, ages ...time.Duration) (scans []core.Scan, log string) {
	t.Helper()
	today := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	now := today
	cfg.Store = storetest.Open(t, store.Config{Now: func() time.Time { return now }, Policies: core.Policies{{
		Match: "**", Policy: core.Policy{Context: "scanhook", Branches: []string{"**"}, ScanTimeout: time.Hour},
	}}})
	for n, age := range ages {
		now = today.Add(-age)
		d, p := storetest.PushOf(n + 1)
		receipt, err := cfg.Store.Accept(t.Context(), storetest.With(d, p))
		if err != nil {
			t.Fatal(err)
		}
		scan, err := cfg.Store.GetScan(t.Context(), receipt.Reference)
		if err == nil {
			err = cfg.Store.RecordSearch(t.Context(), scan, fmt.Sprint("rules ", n), nil, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Hour)
		if _, err := cfg.Store.ExpireScans(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		scans = append(scans, scan)
	}
	var out bytes.Buffer
	cfg.Now, cfg.Log = func() time.Time { return today }, slog.New(slog.NewTextHandler(&out, nil))
	k := New(cfg)
	if _, err := k.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := scans[:0]
	for _, scan := range scans {
		switch _, err := k.Store.GetScan(t.Context(), scan.ReferenceID); {
		case err == nil:
			left = append(left, scan)
		case !errors.Is(err, core.ErrGone):
			t.Fatal(err)
		}
	}
	list, err := k.Store.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return left, out.String() + strings.Repeat("delivery\n", len(list))
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	ages := []time.Duration{200 * day, 150 * day, 100 * day, 50 * day, 10 * day, day}
	tests := map[string]struct {
		cfg               Config
		scans, deliveries int
		says              string
	}{
		"the defaults":     {Config{Deliveries: 30 * day, Scans: 90 * day, KeepScans: 50}, 6, 2, "table=deliveries rows=4"},
		"few of a project": {Config{Deliveries: 365 * day, Scans: 90 * day, KeepScans: 1}, 3, 6, "table=scans rows=3"},
		"searches":         {Config{Scans: 90 * day, KeepScans: 50}, 6, 6, "table=searches rows=3"},
		"a few more":       {Config{Scans: 90 * day, KeepScans: 5}, 5, 6, "table=scans rows=1"},
		"for ever":         {Config{KeepScans: 1}, 6, 6, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scans, log := keep(t, test.cfg, ages...)
			if got := strings.Count(log, "delivery\n"); len(scans) != test.scans || got != test.deliveries {
				t.Errorf("left %d scans and %d deliveries, want %d and %d", len(scans), got, test.scans, test.deliveries)
			}
			if !strings.Contains(log, test.says) {
				t.Errorf("log %q, want %q", log, test.says)
			}
		})
	}
}
