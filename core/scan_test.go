package core_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

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

func TestDecidingIDs(t *testing.T) {
	t.Parallel()
	var scan core.Scan
	if diff := cmp.Diff([]int64{}, scan.DecidingIDs()); diff != "" {
		t.Errorf("before the verdict (-want +got):\n%s", diff)
	}
	scan.PutDeciding([]int64{3, 1, 9007199254740993}, 4)
	if diff := cmp.Diff([]int64{3, 1, 9007199254740993}, scan.DecidingIDs()); diff != "" || scan.NumDeciding != 4 {
		t.Errorf("%d in all (-want +got):\n%s", scan.NumDeciding, diff)
	}
}
