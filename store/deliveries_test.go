package store_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestRedeliveryOfAnIgnoredPush(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		deliver := func(policies core.Policies) core.Receipt {
			t.Helper()
			s, err := store.Open(t.Context(), store.Config{URL: url, Policies: policies})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			d, p := storetest.PushOf(1)
			receipt, err := s.AcceptPush(t.Context(), d, p)
			if err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		configured := core.Policies{{Match: "**", Policy: storetest.Policy}}
		for i, step := range []struct {
			policies core.Policies
			want     core.Outcome
		}{{nil, core.OutcomeIgnored}, {nil, core.Duplicate}, {configured, core.ScanCreated}, {configured, core.Duplicate}} {
			if got := deliver(step.policies); got.Outcome != step.want {
				t.Errorf("delivery %d: %+v, want %s", i+1, got, step.want)
			}
		}
	})
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

func selectsDelivery(f store.DeliveryFilter, d core.KeptDelivery) bool {
	return (f.Platform == "" || f.Platform == d.Platform) && (f.Project == "" || f.Project == d.ProjectName) &&
		(f.Outcome == "" || f.Outcome == d.Outcome)
}

func TestKnownDeliveries(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		db := e.Open(t, store.Config{})
		d, _ := storetest.PushOf(1)
		if _, err := db.AcceptIgnored(t.Context(), d, "of no use"); err != nil {
			t.Fatal(err)
		}
		keys := []string{d.Key}
		for range 1200 {
			keys = append(keys, "unknown/"+d.Key)
		}
		known, err := db.KnownDeliveries(t.Context(), d.Platform, keys)
		if want := map[string]bool{d.Key: true}; err != nil || !cmp.Equal(known, want) {
			t.Errorf("known %v, %v", known, err)
		}
		for _, platform := range []string{"elsewhere", d.Platform} {
			known, err := db.KnownDeliveries(t.Context(), platform, keys[1:])
			if err != nil || len(known) != 0 {
				t.Errorf("known on %s: %v, %v", platform, known, err)
			}
		}
	})
}
