package redelivery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/platforms"
)

func TestWhichDeliveriesAreAskedForAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	made := func(id int64, ago time.Duration, delivered bool) platforms.Attempt {
		return platforms.Attempt{ID: id, Key: "k", At: now.Add(-ago), Delivered: delivered}
	}
	failed := func(n int, ago time.Duration) (list []platforms.Attempt) {
		for i := range n {
			list = append(list, made(int64(n-i), ago+time.Duration(i)*time.Hour, false))
		}
		return list
	}
	tests := map[string]struct {
		attempts []platforms.Attempt // the newest first
		known    bool
		due      []int64
		missing  int
	}{
		"nothing":                    {},
		"just failed":                {attempts: failed(1, 0), due: []int64{1}, missing: 1},
		"failed and arrived":         {attempts: failed(1, 0), known: true},
		"delivered, not here":        {attempts: []platforms.Attempt{made(1, 2*time.Hour, true)}, due: []int64{1}, missing: 1},
		"delivered a moment ago":     {attempts: []platforms.Attempt{made(1, time.Second, true)}, missing: 1},
		"failed twice just now":      {attempts: failed(2, 0), missing: 1},
		"failed twice, waited":       {attempts: failed(2, 4*time.Minute), due: []int64{2}, missing: 1},
		"failed five times":          {attempts: failed(5, 4*time.Hour), missing: 1},
		"failed five times, waited":  {attempts: failed(5, 5*time.Hour), due: []int64{5}, missing: 1},
		"failed nine times, waited":  {attempts: failed(9, 13*time.Hour), due: []int64{9}, missing: 1},
		"failed too often":           {attempts: failed(10, 48*time.Hour)},
		"at a time that nobody told": {attempts: []platforms.Attempt{{ID: 2, Key: "k"}, {ID: 1, Key: "k"}}, due: []int64{2}, missing: 1},
	}
	for name, test := range tests {
		missing := unknown(byKey(test.attempts), map[string]bool{"k": test.known})
		var got []int64
		for _, attempt := range due(missing, now) {
			got = append(got, attempt.ID)
		}
		if diff := cmp.Diff(test.due, got); diff != "" || len(missing) != test.missing {
			t.Errorf("%s: %d missing, want %d; due (-want +got)\n%s", name, len(missing), test.missing, diff)
		}
	}
}

func TestOldestDeliveriesComeFirst(t *testing.T) {
	t.Parallel()
	attempts := []platforms.Attempt{{ID: 4, Key: "b"}, {ID: 3, Key: "a"}, {ID: 2, Key: "b"}, {ID: 1, Key: "c"}}
	var got []int64
	for _, attempt := range due(unknown(byKey(attempts), nil), time.Now()) {
		got = append(got, attempt.ID)
	}
	if want := []int64{1, 3, 4}; !cmp.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}
