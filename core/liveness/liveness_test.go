package liveness_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core/liveness"
)

var monday = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func rhythmOf(calls ...time.Time) (r liveness.Calls) {
	for _, at := range calls {
		r.Add(at)
	}
	return r
}

func TestRhythmIsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var calls []time.Time
		for range 1 + random.IntN(30) {
			calls = append(calls, monday.Add(time.Duration(random.IntN(700*24))*time.Hour))
		}
		want := rhythmOf(calls...)
		random.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		half := random.IntN(len(calls))
		got, rest := rhythmOf(calls[:half]...), rhythmOf(calls[half:]...)
		got.Join(&rest)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(liveness.Calls{})); diff != "" {
			t.Fatalf("calls of %v (-want +got):\n%s", calls, diff)
		}
	}
}

func TestRhythmForgetsWhatIsLongAgo(t *testing.T) {
	t.Parallel()
	r := rhythmOf(monday, monday.AddDate(2, 0, 0))
	if want := rhythmOf(monday.AddDate(2, 0, 0)); r != want {
		t.Errorf("want only the last call, got %s", r.Days())
	}
	r.Add(monday)
	if want := rhythmOf(monday.AddDate(2, 0, 0)); r != want {
		t.Errorf("want a call of two years ago to change nothing, got %s", r.Days())
	}
}

func TestParseRhythm(t *testing.T) {
	t.Parallel()
	r := rhythmOf(monday, monday.AddDate(0, 0, 1), monday.AddDate(0, 0, 9))
	if got := liveness.ParseCalls(r.Last, r.Days()); got != r {
		t.Errorf("want %s, got %s", r.Days(), got.Days())
	}
	bare := rhythmOf(r.Last)
	for _, text := range []string{"", "x", "00", strings.Repeat("zz", 64), strings.Repeat("00", 64), strings.Repeat("0", 1000)} {
		if got := liveness.ParseCalls(r.Last, text); got != bare {
			t.Errorf("ParseCalls(%.9q): want only the last call, got %s", text, got.Days())
		}
	}
}

// workdays calls on working days of the given weeks up to and including last, a Friday.
func workdays(last time.Time, weeks int) (r liveness.Calls) {
	for n := range 7 * weeks {
		if at := last.AddDate(0, 0, -n); at.Weekday() != time.Saturday && at.Weekday() != time.Sunday {
			r.Add(at)
		}
	}
	return r
}

func TestJudgeHooks(t *testing.T) {
	t.Parallel()
	friday := monday.AddDate(0, 0, -3)
	regular := workdays(friday, 20)
	tests := map[string]struct {
		calls liveness.Calls
		after int // days since the last call
		want  liveness.Health
	}{
		"never called":                {liveness.Calls{}, 3, liveness.Health{}},
		"new":                         {workdays(friday, 3), 30, liveness.Health{}},
		"many days, but no weekend":   {workdays(friday, 1), 30, liveness.Health{}},
		"today":                       {regular, 0, liveness.Health{Known: true, Usual: 72 * time.Hour}},
		"a weekend":                   {regular, 3, liveness.Health{Known: true, Usual: 72 * time.Hour}},
		"Monday and Tuesday":          {regular, 5, liveness.Health{Known: true, Usual: 72 * time.Hour}},
		"three working days":          {regular, 6, liveness.Health{Known: true, Usual: 72 * time.Hour, Silent: true}},
		"two months":                  {regular, 61, liveness.Health{Known: true, Usual: 72 * time.Hour, Silent: true}},
		"retired":                     {regular, 62, liveness.Health{Known: true, Usual: 72 * time.Hour}},
		"a clock that was in advance": {regular, -3, liveness.Health{Known: true, Usual: 72 * time.Hour}},
		"an outage before, six days":  {outageBefore(friday), 11, liveness.Health{Known: true, Usual: 72 * time.Hour, Silent: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hooks := []liveness.Hook{{Platform: "github", Project: "acme/shop", Calls: test.calls}}
			got := liveness.Judge(hooks, friday.AddDate(0, 0, test.after))
			test.want.Platform, test.want.Project, test.want.Last = "github", "acme/shop", test.calls.Last
			all := test.want
			all.Project = ""
			if diff := cmp.Diff([]liveness.Health{test.want, all}, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// outageBefore leaves three weeks out of a calls, two months before its last call.
func outageBefore(last time.Time) liveness.Calls {
	older := workdays(last.AddDate(0, 0, -84), 30)
	recent := workdays(last, 9)
	recent.Join(&older)
	return recent
}

// While everybody rests nobody is silent, but the platform as a whole is.
func TestHolidaysAndOutages(t *testing.T) {
	t.Parallel()
	friday := monday.AddDate(0, 0, -3)
	var hooks []liveness.Hook
	for range 6 {
		hooks = append(hooks, liveness.Hook{Platform: "gitlab", Project: "acme/shop", Calls: workdays(friday, 20)})
	}
	silent := func(after int) (n int, all bool) {
		judged := liveness.Judge(hooks, friday.AddDate(0, 0, after))
		for _, health := range judged[:len(hooks)] {
			if health.Silent {
				n++
			}
		}
		return n, judged[len(hooks)].Silent
	}
	if n, all := silent(6); n != 0 || !all {
		t.Errorf("three working days without anybody: want no project but the platform silent, got %d and %t", n, all)
	}
	if n, all := silent(21); n != len(hooks) || !all {
		t.Errorf("three weeks: want all silent, got %d and %t", n, all)
	}
	for i := range hooks[1:] {
		hooks[i].Calls = workdays(friday.AddDate(0, 0, 7), 20)
	}
	if n, all := silent(7); n != 1 || all {
		t.Errorf("one of six: want it silent and the platform not, got %d and %t", n, all)
	}
}

func TestJudgeNothing(t *testing.T) {
	t.Parallel()
	if got := liveness.Judge(nil, monday); len(got) != 0 {
		t.Errorf("want no judgement, got %+v", got)
	}
}

// BenchmarkJudgeHooks judges ten thousand projects of a platform, as is done once a minute; half of them have died.
func BenchmarkJudgeHooks(b *testing.B) {
	friday := monday.AddDate(0, 0, -3)
	hooks := make([]liveness.Hook, 10_000)
	for i := range hooks {
		hooks[i] = liveness.Hook{Platform: "github", Project: "acme/shop", Calls: workdays(friday.AddDate(0, 0, -21*(i%2)), 60)}
	}
	for b.Loop() {
		liveness.Judge(hooks, friday)
	}
}
