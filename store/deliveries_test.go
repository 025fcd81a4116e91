package store_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

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
			s := storetest.OpenAt(t, url, store.Config{Policies: policies})
			d, p := storetest.PushOf(1)
			receipt, err := s.Accept(t.Context(), storetest.With(d, p))
			if err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		none, configured := core.Policies{}, core.Policies{{Match: "**", Policy: storetest.Policy}}
		for i, step := range []struct {
			policies core.Policies
			want     core.Outcome
		}{{none, core.OutcomeIgnored}, {none, core.Duplicate}, {configured, core.ScanCreated}, {configured, core.Duplicate}} {
			if got := deliver(step.policies); got.Outcome != step.want {
				t.Errorf("delivery %d: %+v, want %s", i+1, got, step.want)
			}
		}
	})
}

// Whoever asks for the scan of a call that was answered finds it, also in the moment in which it is derived.
func TestPromisedScanIsNeverUnknown(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 100 {
			d := storetest.With(storetest.PushOf(n + 1))
			receipt, err := s.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte("x")})
			if err != nil {
				t.Fatal(err)
			}
			var deriving sync.WaitGroup
			deriving.Go(func() {
				deriver := store.Deriver{Most: 256, Read: func(core.KeptCall) (core.Delivery, error) { return d, nil }}
				if _, err := s.Derive(t.Context(), deriver); err != nil {
					t.Error(err)
				}
			})
			for derived := false; !derived && !t.Failed(); {
				if _, derived, err = s.GetPromised(t.Context(), receipt.Reference); err != nil {
					t.Errorf("push %d: %v", n, err)
				}
			}
			deriving.Wait()
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
		(f.State == "" || f.State == d.State)
}

func TestKnownDeliveries(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		db := e.Open(t, store.Config{})
		d, _ := storetest.PushOf(1)
		if _, err := db.Accept(t.Context(), storetest.With(d, core.Ignored{Reason: "of no use"})); err != nil {
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

// keep keeps the call of a push.
func keep(t *testing.T, s *store.Store, n int, change ...func(*core.Call)) core.Receipt {
	t.Helper()
	d := storetest.With(storetest.PushOf(n))
	call := core.Call{Delivery: d, Raw: []byte(storetest.SHA(n))}
	for _, c := range change {
		c(&call)
	}
	receipt, err := s.Keep(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func unread(call *core.Call) { call.Unread, call.Event, call.Project = true, nil, "" }

// deriveAll derives all kept calls, by a program that reads them by their commit.
func deriveAll(t *testing.T, s *store.Store, version string, fault func(n int) error) {
	t.Helper()
	read := func(call core.KeptCall) (core.Delivery, error) {
		for n := range 100 {
			if string(call.Raw) == storetest.SHA(n) {
				d := storetest.With(storetest.PushOf(n))
				d.Key = call.Key
				return d, fault(n)
			}
		}
		return core.Delivery{}, errors.New("another text")
	}
	for taken := 1; taken > 0; {
		var err error
		if taken, err = s.Derive(t.Context(), store.Deriver{Version: version, Read: read, Most: 4}); err != nil {
			t.Fatal(err)
		}
	}
}

func sound(int) error { return nil }

// A call is kept once, and its answer names the scan that it leads to.
func TestKeepThenDerive(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		var receipts []core.Receipt
		for n := range 10 {
			receipts = append(receipts, keep(t, s, n+1))
		}
		again := keep(t, s, 3)
		if want := (core.Receipt{Outcome: core.Duplicate, Delivery: receipts[2].Delivery, Reference: receipts[2].Reference}); again != want {
			t.Errorf("the same call again: %+v, want %+v", again, want)
		}
		if promised, derived, err := s.GetPromised(t.Context(), receipts[4].Reference); err != nil || derived || promised.CommitSHA != storetest.SHA(5) {
			t.Errorf("promised: %+v, %v", promised, err)
		}
		deriveAll(t, s, "1", sound)
		for n, receipt := range receipts {
			scan := get(t, s, receipt.Reference)
			d, err := s.GetDelivery(t.Context(), receipt.Delivery)
			if scan.CommitSHA != storetest.SHA(n+1) || err != nil || d.State != core.DeliveryDerived || d.Outcome != core.ScanCreated ||
				d.ReferenceID != receipt.Reference || d.DerivedAt == nil {
				t.Errorf("call %d: scan of %s, %+v, %v", n, scan.CommitSHA, d, err)
			}
			if ended := n < len(receipts)-1; scan.Status.Ended() != ended {
				t.Errorf("call %d: %s, want it superseded: %t", n, scan.Status, ended)
			}
		}
		if _, derived, err := s.GetPromised(t.Context(), receipts[4].Reference); err != nil || !derived {
			t.Errorf("promised afterwards: %t, %v", derived, err)
		}
	})
}

// Deliveries lead to the scan that they opened, whether they were kept first or not, or that they found, until it is deleted.
func TestDeliveriesOfAScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		keep(t, s, 1)
		deriveAll(t, s, "1", sound)
		pushed(t, s, 2)
		for n := range 2 {
			d, p := storetest.PushOf(n+1, storetest.OnBranch("other"))
			d.Key += " to another branch"
			scan := accept(t, s, d, p)
			ofScan := store.DeliveryFilter{ScanID: scan.ID, Limit: 10}
			list, err := s.ListDeliveries(t.Context(), ofScan)
			if err != nil || len(list) != 2 || list[0].Outcome != core.ScanExists || list[1].Outcome != core.ScanCreated {
				t.Fatalf("deliveries of scan %d: %+v, %v", n+1, list, err)
			}
			if err := s.DeleteScan(t.Context(), scan.ReferenceID, "admin"); err != nil {
				t.Fatal(err)
			}
			for _, of := range list {
				if d, err := s.GetDelivery(t.Context(), of.ID); err != nil || d.ScanID != nil {
					t.Errorf("delivery of deleted scan %d: %+v, %v", n+1, d, err)
				}
			}
			if list, err := s.ListDeliveries(t.Context(), ofScan); err != nil || len(list) > 0 {
				t.Errorf("deliveries of deleted scan %d: %+v, %v", n+1, list, err)
			}
		}
	})
}

// A call that cannot be derived does not hold up the others, and is tried again by another version.
func TestDeriveSetsAside(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 9 {
			keep(t, s, n+1, unread)
		}
		deriveAll(t, s, "1", func(n int) error {
			if n%4 == 2 {
				return fmt.Errorf("text with \x00 and \xff")
			}
			return nil
		})
		aside, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{State: core.DeliveryFailed, Limit: 10})
		if err != nil || len(aside) != 2 || aside[0].Error == "" {
			t.Fatalf("set aside: %+v, %v", aside, err)
		}
		if removed, err := s.PruneTable(t.Context(), store.AgingDeliveries, time.Now().Add(time.Hour)); err != nil || removed != 7 {
			t.Errorf("retention removed %d, %v, want those that were derived", removed, err)
		}
		if n, err := s.RetrySetAside(t.Context(), "1"); err != nil || n != 0 {
			t.Errorf("the same version tries %d again, %v", n, err)
		}
		if n, err := s.RetrySetAside(t.Context(), "2"); err != nil || n != 2 {
			t.Errorf("another version tries %d again, %v", n, err)
		}
		deriveAll(t, s, "2", sound)
		if scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 20}); err != nil || len(scans) != 9 {
			t.Errorf("%d scans, %v", len(scans), err)
		}
	})
}

// The same calls in any order, twice, lead to one scan each.
func TestDeriveCommitsOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for i := range 12 {
			keep(t, s, 1+i%3, func(call *core.Call) { call.Key = fmt.Sprint("call-", i) })
		}
		deriveAll(t, s, "1", sound)
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 20})
		if err != nil || len(scans) != 3 {
			t.Fatalf("%d scans, %v", len(scans), err)
		}
		for _, scan := range scans {
			jobs, err := s.ListJobs(t.Context(), scan)
			if err != nil || len(jobs) != 1 {
				t.Errorf("%d jobs, %v", len(jobs), err)
			}
		}
		list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{State: core.DeliveryDerived, Limit: 20})
		if err != nil || len(list) != 12 {
			t.Errorf("%d calls derived, %v", len(list), err)
		}
	})
}

// Several processes derive at the same time, and each call once.
func TestDeriveAtTheSameTime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 30 {
			keep(t, s, n+1, unread)
		}
		var deriving sync.WaitGroup
		for range 4 {
			deriving.Go(func() { deriveAll(t, s, "1", sound) })
		}
		deriving.Wait()
		deriveAll(t, s, "1", sound)
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 100})
		if err != nil || len(scans) != 30 {
			t.Errorf("%d scans, %v", len(scans), err)
		}
	})
}

// Whoever asks for the scan of a call that is to be derived again waits for it, and does not hear why it was set aside.
func TestCallThatIsTriedAgainIsAwaited(t *testing.T) {
	t.Parallel()
	retries := map[string]func(*testing.T, *store.Store, int64) error{
		"by hand": func(t *testing.T, s *store.Store, id int64) error { return s.DeriveAgain(t.Context(), id, "ada") },
		"by another version": func(t *testing.T, s *store.Store, _ int64) error {
			_, err := s.RetrySetAside(t.Context(), "2")
			return err
		},
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, retry := range retries {
			both := replicas(t, e) // the one that derives has not read the call yet
			receipt, s := keep(t, both[0], 1), both[1]
			deriveAll(t, s, "1", func(int) error { return errors.New("no parser") })
			if promised, _, err := s.GetPromised(t.Context(), receipt.Reference); err != nil || promised.Error == "" {
				t.Fatalf("%s: set aside: %+v, %v", name, promised, err)
			}
			if err := retry(t, s, receipt.Delivery); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if promised, derived, err := s.GetPromised(t.Context(), receipt.Reference); err != nil || derived || promised.Error != "" {
				t.Errorf("%s: kept again: %+v, %t, %v", name, promised, derived, err)
			}
			deriveAll(t, s, "2", sound)
			get(t, s, receipt.Reference)
		}
	})
}

// A call that comes again changes nothing, whatever happened since: not where a ref stands, and not which projects there are.
func TestRepeatedCallTellsNothingNew(t *testing.T) {
	t.Parallel()
	deleted := func(call *core.Call) {
		push, _ := call.Event.(core.Push)
		push.Before, push.After, push.CommitSHA, push.Deleted = push.After, strings.Repeat("0", 40), "", true
		call.Key, call.Event = "deletion", push
	}
	again := func(call *core.Call) {
		push, _ := call.Event.(core.Push)
		push.Before, push.Created = strings.Repeat("0", 40), true
		call.Key, call.Event = "second life", push
	}
	gone := func(call *core.Call) {
		call.Key, call.Name = "destroyed", "repository"
		call.Event = core.ProjectChange{Project: call.Event.Subject(), Action: "deleted", Deleted: true}
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		deriveFresh := func() {
			t.Helper()
			deriveAll(t, s, "1", func(int) error { return errors.New("this process has read it already") })
		}
		for _, change := range []func(*core.Call){gone, func(*core.Call) {}, deleted, again} {
			keep(t, s, 1, change)
			deriveFresh()
		}
		for _, change := range []func(*core.Call){deleted, gone, again} {
			if receipt := keep(t, s, 1, change); receipt.Outcome != core.Duplicate {
				t.Errorf("the same call again: %+v", receipt)
			}
			deriveFresh()
		}
		refs, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 9)
		if err != nil || len(refs) != 1 || refs[0].SHA != storetest.SHA(1) {
			t.Errorf("refs: %+v, %v", refs, err)
		}
		if project, err := s.GetProject(t.Context(), "github", "acme/shop"); err != nil || project.GoneAt != nil {
			t.Errorf("project: %+v, %v", project, err)
		}
	})
}

// A push that was refused leads to a scan when it comes again after the configuration was corrected, and does not move its branch
// a second time.
func TestRepeatedPushOnlyAsksForItsScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		with := func(branch string, calls ...[2]int) (receipt core.Receipt, refs []store.KnownRef) {
			t.Helper()
			policy := storetest.Policy
			policy.Branches = []string{branch}
			s := storetest.OpenAt(t, url, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			for _, from := range calls {
				receipt = keep(t, s, from[1], func(call *core.Call) {
					push, _ := call.Event.(core.Push)
					push.Before = storetest.SHA(from[0])
					call.Event, call.Key = push, fmt.Sprint(from)
				})
				deriveAll(t, s, "1", func(int) error { return errors.New("this process has read it already") })
			}
			refs, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 9)
			if err != nil || len(refs) != 1 {
				t.Fatalf("refs: %+v, %v", refs, err)
			}
			return receipt, refs
		}
		with("release", [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 1})
		receipt, refs := with("main", [2]int{1, 2})
		if receipt.Outcome != core.Accepted || refs[0].SHA != storetest.SHA(1) {
			t.Errorf("%+v, main stands at %s", receipt, refs[0].SHA)
		}
		if again, _ := with("main", [2]int{1, 2}); again.Outcome != core.Duplicate || again.Reference != receipt.Reference {
			t.Errorf("and once more: %+v", again)
		}
	})
}

// poison is an event that makes its program panic.
type poison struct{ core.Ignored }

func (poison) Subject() core.Project { panic("nobody thought of this event") }

// A call at which the program panics is set aside, wherever it does, and the others are derived.
func TestPanicsAreSetAside(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 3 {
			keep(t, s, n+1, unread)
			_, err := s.Derive(t.Context(), store.Deriver{Version: "1", Most: 9, Read: func(call core.KeptCall) (core.Delivery, error) {
				d, p := storetest.PushOf(n + 1)
				switch n {
				case 1:
					panic("nobody thought of this text")
				case 2:
					return storetest.With(d, poison{}), nil
				}
				return storetest.With(d, p), nil
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		states := map[core.DeliveryState]int{}
		list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 9})
		for _, d := range list {
			states[d.State]++
		}
		if err != nil || states[core.DeliveryDerived] != 1 || states[core.DeliveryFailed] != 2 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// Kept calls are read a few at a time, however many wait: each may be large.
func TestFewBodiesAreInMemory(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const calls = 40
		for n := range calls {
			keep(t, s, n+1, unread, func(call *core.Call) { call.Raw = make([]byte, 4<<10) })
		}
		var mu sync.Mutex
		var bodies []weak.Pointer[byte]
		most := 0
		n, err := s.Derive(t.Context(), store.Deriver{Most: calls, Read: func(call core.KeptCall) (core.Delivery, error) {
			mu.Lock()
			defer mu.Unlock()
			bodies = append(bodies, weak.Make(&call.Raw[0]))
			runtime.GC()
			alive := slices.DeleteFunc(slices.Clone(bodies), func(body weak.Pointer[byte]) bool { return body.Value() == nil })
			most = max(most, len(alive))
			return core.Delivery{Event: core.Ignored{Reason: "of no use"}}, nil
		}})
		if n != calls || err != nil || most > calls/2 {
			t.Errorf("%d calls, %d of them in memory, %v", n, most, err)
		}
	})
}

// A batch gives way to calls that are being kept, but not for ever.
func TestDerivingGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		store.GiveWay(t.Context(), func() bool { return false })
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it waited %s for nobody", waited)
		}
		store.GiveWay(t.Context(), func() bool { return time.Since(began) < 10*time.Millisecond })
		if waited := time.Since(began); waited != 10*time.Millisecond {
			t.Errorf("it waited %s, want until they were kept", waited)
		}
		began = time.Now()
		store.GiveWay(t.Context(), func() bool { return true })
		if waited := time.Since(began); waited != 50*time.Millisecond {
			t.Errorf("it waited %s for calls without end", waited)
		}
	})
}

// An embedded database keeps no calls while it derives others: batches are short while calls come.
func TestBatchesAreShortWhileCallsCome(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		for n := range 9 {
			keep(t, s, n+1)
		}
		derive := func() int {
			taken, err := s.Derive(t.Context(), store.Deriver{Most: 4, Short: 2})
			if err != nil {
				t.Fatal(err)
			}
			return taken
		}
		want := 2
		if s.Shared() {
			want = 4
		}
		if taken := derive(); taken != want {
			t.Errorf("while calls come: %d, want %d", taken, want)
		}
		now = now.Add(time.Second)
		if taken := derive(); taken != 4 {
			t.Errorf("afterwards: %d", taken)
		}
	})
}
