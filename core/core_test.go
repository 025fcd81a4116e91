package core_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

func TestSHA(t *testing.T) {
	t.Parallel()
	zeros40, zeros64 := strings.Repeat("0", 40), strings.Repeat("0", 64)
	cases := map[string]struct{ zero, commit bool }{
		zeros40:                  {true, false},
		zeros64:                  {true, false},
		"0000000":                {false, false},
		"":                       {false, false},
		strings.Repeat("a1", 20): {false, true},
		strings.Repeat("a1", 32): {false, true},
		strings.Repeat("A1", 20): {false, true},
		strings.Repeat("a1", 19): {false, false},
		strings.Repeat("g1", 20): {false, false},
		"--upload-pack=evil" + strings.Repeat("a", 22): {false, false},
	}
	for id, want := range cases {
		if got := core.IsZeroSHA(id); got != want.zero {
			t.Errorf("IsZeroSHA(%q) = %v", id, got)
		}
		if got := core.IsCommitSHA(id); got != want.commit {
			t.Errorf("IsCommitSHA(%q) = %v", id, got)
		}
	}
}

func TestScanStatusOf(t *testing.T) {
	t.Parallel()
	job := func(state core.JobState) core.Job {
		return core.Job{Scanner: string(state), State: state, Error: "why"}
	}
	cases := map[string]struct {
		jobs   []core.Job
		want   core.ScanStatus
		reason string
	}{
		"waits for uploads":         {nil, core.ScanPending, ""},
		"nothing started":           {[]core.Job{job(core.JobPending)}, core.ScanPending, ""},
		"one runs":                  {[]core.Job{job(core.JobPending), job(core.JobRunning)}, core.ScanProcessing, ""},
		"one done, one to come":     {[]core.Job{job(core.JobCompleted), job(core.JobPending)}, core.ScanProcessing, ""},
		"failure waits for the end": {[]core.Job{job(core.JobFailed), job(core.JobRunning)}, core.ScanProcessing, ""},
		"all done":                  {[]core.Job{job(core.JobCompleted), job(core.JobCompleted)}, core.ScanCompleted, ""},
		"one failed":                {[]core.Job{job(core.JobCompleted), job(core.JobFailed)}, core.ScanFailed, "failed: why"},
		"superseded":                {[]core.Job{job(core.JobCompleted), job(core.JobSuperseded)}, core.ScanFailed, "why"},
	}
	for name, c := range cases {
		if got, reason := core.ScanStatusOf(c.jobs); got != c.want || reason != c.reason {
			t.Errorf("%s: %s %q, want %s %q", name, got, reason, c.want, c.reason)
		}
	}
}

func TestStatusFor(t *testing.T) {
	t.Parallel()
	pass, fail := core.Pass, core.Fail
	cases := map[string]struct {
		scan  core.Scan
		state core.StatusState
		text  string
	}{
		"pending":    {core.Scan{Status: core.ScanPending}, core.StatusPending, "Scan in progress"},
		"processing": {core.Scan{Status: core.ScanProcessing}, core.StatusPending, "Scan in progress"},
		"passed": {
			core.Scan{Status: core.ScanCompleted, Verdict: &pass, Summary: "No findings"}, core.StatusSuccess, "No findings",
		},
		"gate":   {core.Scan{Status: core.ScanCompleted, Verdict: &fail, Summary: "1 new"}, core.StatusFailure, "1 new"},
		"failed": {core.Scan{Status: core.ScanFailed, Error: "no git"}, core.StatusError, "Scan failed: no git"},
		"superseded": {
			core.Scan{Status: core.ScanFailed, SupersededBy: "abc", Error: core.SupersededError("0123456789")},
			core.StatusCancelled, "Superseded by a newer push: 0123456",
		},
	}
	for name, c := range cases {
		if state, text := core.StatusFor(c.scan); state != c.state || text != c.text {
			t.Errorf("%s: %s %q, want %s %q", name, state, text, c.state, c.text)
		}
	}
}

func TestTruncateCountsCharacters(t *testing.T) {
	t.Parallel()
	got := core.Truncate(strings.Repeat("é", 200))
	if n := utf8.RuneCountInString(got); n != core.MaxDescription || !utf8.ValidString(got) {
		t.Errorf("%d characters, want %d", n, core.MaxDescription)
	}
	if short := "2 new (1 critical)"; core.Truncate(short) != short {
		t.Error("a short text was changed")
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	tally := func(s core.Severity, state core.BaselineState, dismissed bool, n int) core.Tally {
		return core.Tally{Severity: s, BaselineState: state, Dismissed: dismissed, N: n}
	}
	cases := map[string]struct {
		tallies []core.Tally
		fixed   int
	}{
		"No findings": {nil, 0},
		"2 new (1 critical, 1 high), 14 known, 3 fixed": {[]core.Tally{
			tally(core.Critical, core.New, false, 1), tally(core.High, core.New, false, 1),
			tally(core.Low, core.Unchanged, false, 4), tally(core.High, core.Unchanged, false, 10),
		}, 3},
		"0 new, 2 fixed": {nil, 2},
		"0 new, 1 known, 2 dismissed": {[]core.Tally{
			tally(core.Low, core.Unchanged, false, 1), tally(core.Critical, core.New, true, 2),
		}, 0},
	}
	for want, c := range cases {
		if got := core.Summarize(c.tallies, c.fixed); got != want {
			t.Errorf("Summarize = %q, want %q", got, want)
		}
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	high := []core.Tally{{Severity: core.High, BaselineState: core.New, N: 1}}
	known := []core.Tally{{Severity: core.Critical, BaselineState: core.Unchanged, N: 1}}
	dismissed := []core.Tally{{Severity: core.Critical, BaselineState: core.New, Dismissed: true, N: 1}}
	cases := map[string]struct {
		gate    core.Gate
		tallies []core.Tally
		want    core.Verdict
	}{
		"at the threshold":       {core.Gate{FailOn: core.High, NewOnly: true}, high, core.Fail},
		"below the threshold":    {core.Gate{FailOn: core.Critical, NewOnly: true}, high, core.Pass},
		"never":                  {core.Gate{FailOn: core.Never}, high, core.Pass},
		"known, new only":        {core.Gate{FailOn: core.Low, NewOnly: true}, known, core.Pass},
		"known, not only new":    {core.Gate{FailOn: core.Low}, known, core.Fail},
		"dismissed never counts": {core.Gate{FailOn: core.Low}, dismissed, core.Pass},
		"nothing":                {core.Gate{FailOn: core.Low}, nil, core.Pass},
	}
	for name, c := range cases {
		if got := c.gate.Judge(c.tallies); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	policies := core.Policies{
		{Match: "github/acme/*", Policy: core.Policy{Context: "first"}},
		{Match: "github/**", Policy: core.Policy{Context: "second"}},
	}
	got := map[string]string{}
	for _, project := range []string{"acme/shop", "acme/sub/shop", "other/x"} {
		policy, _ := policies.For("github", project)
		got[project] = policy.Context
	}
	want := map[string]string{"acme/shop": "first", "acme/sub/shop": "second", "other/x": "second"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if _, known := policies.For("gitlab", "acme/shop"); known {
		t.Error("a platform without a rule is known")
	}
}

func TestSeverityFromWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]core.Severity{
		"CRITICAL": core.Critical, "error": core.High, " Warning ": core.Medium, "INFO": core.Low, "9.8": core.Critical, "0": core.Low,
	} {
		if got, ok := core.SeverityFromWord(word); !ok || got != want {
			t.Errorf("SeverityFromWord(%q) = %s, %v", word, got, ok)
		}
	}
	for _, word := range []string{"", "purple", "11", "-1", "NaN"} {
		if got, ok := core.SeverityFromWord(word); ok {
			t.Errorf("SeverityFromWord(%q) = %s", word, got)
		}
	}
}
