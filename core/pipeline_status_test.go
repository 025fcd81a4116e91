package core

import (
	"strings"
	"testing"
	"time"
)

// ended is a run of a pipeline that ended well; score 0 is one that was not judged.
func ended(pipeline int64, attempt int, score float64, reason string) PipelineRun {
	moment := time.Date(2026, 11, 23, 12, attempt, 0, 0, time.UTC)
	run := PipelineRun{
		PipelineID: pipeline, Attempt: attempt, Name: "CI", Status: "success", Phase: PhaseFinished, FinishedAt: &moment,
		AnomalyReason: reason,
	}
	if score > 0 {
		run.AnomalyScore = &score
	}
	return run
}

func TestPipelineStatus(t *testing.T) {
	t.Parallel()
	ordinary, odd, worse := ended(1, 1, 0.5, ""), ended(2, 1, 4, "odd"), ended(3, 1, 9, "worse")
	expected := odd
	expected.Expected = true
	running, failed := PipelineRun{PipelineID: 4, Phase: PhaseRunning, Status: "running"}, ended(5, 1, 0, "")
	failed.Status = "failed"
	again := ended(2, 2, 0.1, "")
	failedAgain := ended(2, 2, 0, "")
	failedAgain.Status = "failed"
	long := ended(6, 1, 5, strings.Repeat("x", 300))
	const worst, usual, unjudged = " unusual CI: worse", "success pipeline as usual", "success pipeline not judged: "
	cut := " unusual: " + strings.Repeat("x", 130) + "…"
	cases := map[string]struct {
		runs         []PipelineRun
		waiting      bool
		report, fail string // state and text, empty for none
	}{
		"nothing":                {nil, false, "", ""},
		"ordinary":               {[]PipelineRun{ordinary}, false, "", usual},
		"still asking":           {[]PipelineRun{ordinary}, true, "", ""},
		"odd while asking":       {[]PipelineRun{odd}, true, "success unusual: odd", "failure unusual: odd"},
		"the worst decides":      {[]PipelineRun{ordinary, odd, worse}, false, "success" + worst, "failure" + worst},
		"expected":               {[]PipelineRun{expected}, false, "success expected: odd", "success expected: odd"},
		"expected beside odd":    {[]PipelineRun{expected, worse}, false, "success" + worst, "failure" + worst},
		"a good attempt later":   {[]PipelineRun{odd, again}, false, "", usual},
		"a failed attempt later": {[]PipelineRun{odd, failedAgain}, false, "success unusual: odd", "failure unusual: odd"},
		"running":                {[]PipelineRun{running}, false, "", ""},
		"failed":                 {[]PipelineRun{running, failed}, false, "", unjudged + "it ended as failed"},
		"too few before": {
			[]PipelineRun{ended(1, 1, 0, "")}, false, "", unjudged + "that takes 20 earlier runs to compare with",
		},
		"long": {
			[]PipelineRun{long}, false, "success" + cut, "failure" + cut,
		},
	}
	for name, c := range cases {
		for mode, want := range map[AnomalyMode]string{
			"": c.report, AnomaliesReport: c.report, AnomaliesFail: c.fail, AnomaliesOff: "",
		} {
			state, text, ok := PipelineStatus(mode, c.runs, c.waiting)
			if got := strings.TrimSpace(string(state) + " " + text); ok != (want != "") || ok && got != want {
				t.Errorf("%s, %s: %v %q, want %q", name, mode, ok, got, want)
			}
		}
	}
}

func TestRefusesPipeline(t *testing.T) {
	t.Parallel()
	policy := Policy{Branches: []string{"main", "feature/**"}, Tags: []string{"v*"}}
	for name, c := range map[string]struct {
		branch, tag string
		want        string
	}{
		"a branch":       {"feature/a/b", "", ""},
		"another branch": {"old", "", "branch old is not among the configured branches"},
		"a tag":          {"", "v1", ""},
		"another tag":    {"", "x", "tag x is not among the configured tags"},
		"unknown branch": {"", "", ""},
		"another ref":    {"refs/a/b", "", "branch refs/a/b is not among the configured branches"},
	} {
		run := Pipeline{ID: 1, CommitSHA: strings.Repeat("a", 40), Branch: c.branch, Tag: c.tag}
		if got := policy.RefusesPipeline(run); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
