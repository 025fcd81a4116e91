package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func posts(t *testing.T, s *store.Store, scan core.Scan) []core.StatusPost {
	t.Helper()
	list, err := s.ListPosts(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPostsAreKeptAndEqualOnesCounted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushTo(t, s, 1, "main")
		for _, end := range []store.Settlement{
			{Error: "too early", Waiting: true}, {Error: "502", Code: 502}, {Error: "502", Code: 502}, {Error: "502", Code: 502},
			{Posted: true, Code: 201, PostedID: 7, Took: 85 * time.Millisecond},
		} {
			settle(t, s, claimOne(t, s), end)
			clock.advance(time.Second)
		}
		run(t, s)
		settle(t, s, claimOne(t, s), store.Settlement{GivenUp: true, Error: "422", Code: 422})
		var got []string
		for _, p := range posts(t, s, scan) {
			got = append(got, fmt.Sprintf("%s %s %d %q ×%d +%s %d ms", p.State, p.Outcome, p.Code, p.Answer, p.Times, p.LastAt.Sub(p.At), p.Milliseconds))
		}
		want := []string{
			`pending waiting 0 "too early" ×1 +0s 0 ms`, `pending retry 502 "502" ×3 +2s 0 ms`, `pending posted 201 "" ×1 +0s 85 ms`,
			`success given_up 422 "422" ×1 +0s 0 ms`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("posts (-want +got):\n%s", diff)
		}
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "ops"); err != nil {
			t.Fatal(err)
		}
		if left := posts(t, s, scan); len(left) != 0 {
			t.Errorf("%d posts outlive their scan", len(left))
		}
	})
}

// A platform that says something else each time leaves few rows too.
func TestPostsAreBounded(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushTo(t, s, 1, "main")
		for n := range 200 {
			settle(t, s, claimOne(t, s), store.Settlement{Error: fmt.Sprint("request ", n), Code: 500 + n%2})
		}
		times := 0
		list := posts(t, s, scan)
		for _, p := range list {
			times += p.Times
		}
		if len(list) > 22 || times != 200 {
			t.Errorf("%d rows of %d attempts", len(list), times)
		}
	})
}
