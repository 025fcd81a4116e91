package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Every combination of filters selects what a look at each scan selects, in every direction.
func TestScansAreListedByAnyCombinationOfFilters(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		fillLists(t, s, e.Name, 600)
		all, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1000})
		if err != nil || len(all) != 600 || all[0].ID != 600 {
			t.Fatalf("%d scans, %v", len(all), err)
		}
		for _, f := range scanFilters(600) {
			f.Limit = 7
			got, err := s.ListScans(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if want := pageOf(all, f); !slices.Equal(ids(got), want) {
				t.Fatalf("%+v: got scans %v, want %v", f, ids(got), want)
			}
		}
		one, err := s.ListScans(t.Context(), store.ScanFilter{CommitSHA: all[3].CommitSHA, Platform: "github", Limit: 7})
		if err != nil || len(one) != 1 || one[0].ID != all[3].ID {
			t.Errorf("by commit: %v, %v", ids(one), err)
		}
	})
}

func pageOf(all []core.Scan, f store.ScanFilter) (page []int64) {
	for _, scan := range all {
		if selects(f, scan) && (f.Before == 0 || scan.ID < f.Before) && scan.ID > f.After {
			page = append(page, scan.ID)
		}
	}
	if f.After > 0 {
		return page[max(0, len(page)-f.Limit):]
	}
	return page[:min(len(page), f.Limit)]
}

func ids(scans []core.Scan) (list []int64) {
	for _, scan := range scans {
		list = append(list, scan.ID)
	}
	return list
}

func TestDeliveriesAreListedByAnyCombinationOfFilters(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		fillLists(t, s, e.Name, 600)
		all, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 1000})
		if err != nil || len(all) != 600 {
			t.Fatalf("%d deliveries, %v", len(all), err)
		}
		for _, f := range deliveryFilters(600) {
			f.Limit = 7
			got, err := s.ListDeliveries(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			var want []int64
			for _, d := range all {
				if selectsDelivery(f, d) && (f.Before == 0 || d.ID < f.Before) && d.ID > f.After {
					want = append(want, d.ID)
				}
			}
			if f.After > 0 {
				want = want[max(0, len(want)-f.Limit):]
			}
			want = want[:min(len(want), f.Limit)]
			if !slices.EqualFunc(got, want, func(d core.KeptDelivery, id int64) bool { return d.ID == id }) {
				t.Fatalf("%+v: got %+v, want %v", f, got, want)
			}
		}
	})
}

// SQLite, which knows nothing of how many rows there are, must find the index by its columns: all of it, and in its
// order.
func TestListsWalkIndexes(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	fillLists(t, s, "sqlite", 600)
	for _, f := range scanFilters(600) {
		if f == (store.ScanFilter{Before: f.Before, After: f.After, Limit: f.Limit}) {
			continue
		}
		plan, err := s.PlanOfScans(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			table := strings.Contains(step, " scans ") && !strings.Contains(step, "PRIMARY KEY")
			if step == "SCAN scans" || table && !strings.Contains(step, "COVERING INDEX scans_open") &&
				!strings.Contains(step, "INDEX scans_ended") {
				t.Errorf("%+v: %s", f, step)
			}
		}
	}
}

func selects(f store.ScanFilter, scan core.Scan) bool {
	return (f.Platform == "" || f.Platform == scan.SourcePlatform) && (f.Project == "" || f.Project == scan.ProjectName) &&
		(f.Branch == "" || f.Branch == scan.Branch) && (f.Status == "" || f.Status == scan.Status) &&
		(f.Verdict == "" || scan.Verdict != nil && f.Verdict == *scan.Verdict)
}

func selectsDelivery(f store.DeliveryFilter, d core.KeptDelivery) bool {
	return (f.Platform == "" || f.Platform == d.Platform) && (f.Project == "" || f.Project == d.ProjectName) &&
		(f.Outcome == "" || f.Outcome == d.Outcome)
}
