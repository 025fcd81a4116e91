package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core/anomaly"
)

var pipelineStart = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// after is a moment so many minutes after the start; 0 is unknown.
func after(minutes int) time.Time {
	if minutes == 0 {
		return time.Time{}
	}
	return pipelineStart.Add(time.Duration(minutes) * time.Minute)
}

// github is a workflow_run event; updated is in minutes.
func github(attempt int, status, conclusion string, updated int) Pipeline {
	p := Pipeline{
		Project: Project{Name: "acme/shop", DefaultBranch: "main"}, ID: 7, Attempt: attempt, Name: "CI", Branch: "main",
		Status: status, Conclusion: conclusion, UpdatedAt: after(updated), AskArtifacts: true,
	}
	if status == "completed" {
		length := time.Duration(updated) * time.Minute
		p.Duration, p.FinishedAt = &length, p.UpdatedAt
	}
	return p
}

// gitlab is a pipeline event; finished is in minutes, 0 before the first end.
func gitlab(status string, finished int) Pipeline {
	p := Pipeline{
		Project: Project{Name: "acme/shop", DefaultBranch: "main"}, ID: 7, Branch: "main", Status: status,
		FinishedAt: after(finished),
	}
	if finished > 0 {
		length, bytes := time.Duration(finished)*time.Minute, int64(finished)
		p.Duration, p.ArtifactBytes = &length, &bytes
	}
	return p
}

// textsOf describes runs, one text each.
func textsOf(runs []PipelineRun) []string {
	var list []string
	for _, r := range runs {
		text := fmt.Sprintf("%d %s", r.Attempt, r.Status)
		if r.FinishedAt != nil {
			text += fmt.Sprintf(" at %.0f in %.0f", r.FinishedAt.Sub(pipelineStart).Minutes(), *r.BuildDurationSeconds/60)
		}
		list = append(list, text)
	}
	return list
}

// In whatever order and how often events come, the same rows come of them.
func TestRecordRunInAnyOrder(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		events []Pipeline
		want   []string
	}{
		"github one run": {
			[]Pipeline{github(1, "requested", "", 1), github(1, "in_progress", "", 2), github(1, "completed", "success", 9)},
			[]string{"1 success at 9 in 9"},
		},
		"github completed twice": {
			[]Pipeline{github(1, "completed", "success", 8), github(1, "completed", "failure", 9)},
			[]string{"1 failure at 9 in 9"},
		},
		"github goes on": {
			[]Pipeline{github(1, "queued", "", 1), github(1, "in_progress", "", 2)}, []string{"1 in_progress"},
		},
		"github re-run": {
			[]Pipeline{
				github(1, "requested", "", 1), github(1, "completed", "failure", 9), github(2, "requested", "", 12),
				github(2, "in_progress", "", 13), github(3, "completed", "success", 30),
			},
			[]string{"1 failure at 9 in 9", "2 in_progress", "3 success at 30 in 30"},
		},
		"gitlab one run": {
			[]Pipeline{gitlab("created", 0), gitlab("pending", 0), gitlab("running", 0), gitlab("success", 9)},
			[]string{"1 success at 9 in 9"},
		},
		"gitlab goes on": {[]Pipeline{gitlab("created", 0), gitlab("running", 0)}, []string{"1 running"}},
		"gitlab stops":   {[]Pipeline{gitlab("running", 0), gitlab("manual", 0)}, []string{"1 manual"}},
		"gitlab skipped": {[]Pipeline{gitlab("created", 0), gitlab("skipped", 0)}, []string{"1 skipped"}},
		"gitlab retried": {
			[]Pipeline{
				gitlab("running", 0), gitlab("failed", 9), gitlab("pending", 9), gitlab("running", 9), gitlab("failed", 20),
				gitlab("running", 20), gitlab("success", 31),
			},
			[]string{"1 failed at 9 in 9", "2 failed at 20 in 20", "3 success at 31 in 31"},
		},
		"gitlab retry goes on": {
			[]Pipeline{gitlab("running", 0), gitlab("failed", 9), gitlab("pending", 9), gitlab("running", 9)},
			[]string{"1 failed at 9 in 9", "2 running"},
		},
		"gitlab retry whose first end is missing": {
			[]Pipeline{gitlab("running", 0), gitlab("running", 9), gitlab("success", 20)}, []string{"1 success at 20 in 20"},
		},
		"gitlab retries with a gap": {
			[]Pipeline{gitlab("success", 5), gitlab("running", 20), gitlab("pending", 5)},
			[]string{"1 success at 5 in 5", "2 running"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 300 {
				events := append(slices.Clone(c.events), c.events...)
				rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				var runs []PipelineRun
				for _, event := range events {
					runs, _ = RecordRun(runs, event)
				}
				if diff := cmp.Diff(c.want, textsOf(runs)); diff != "" {
					t.Fatalf("runs (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// A thousand random events, of which some contradict each other: every order leads to the same rows, and the second
// time nothing is new.
func TestRecordRunConverges(t *testing.T) {
	t.Parallel()
	words := []string{"created", "pending", "running", "manual", "success", "failed", "canceled", "skipped", "invented"}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var events []Pipeline
		for range 50 {
			if seed%2 == 0 {
				events = append(events, gitlab(words[random.IntN(len(words))], 5*random.IntN(4)))
				continue
			}
			status := []string{"requested", "in_progress", "completed"}[random.IntN(3)]
			events = append(events, github(1+random.IntN(3), status, words[random.IntN(len(words))], 1+random.IntN(5)))
		}
		var want []PipelineRun
		for round := range 20 {
			var runs []PipelineRun
			for _, event := range events {
				runs, _ = RecordRun(runs, event)
			}
			if round == 0 {
				want = runs
			}
			if diff := cmp.Diff(want, runs); diff != "" {
				t.Fatalf("seed %d: another order (-first +this):\n%s", seed, diff)
			}
			for _, event := range events {
				if _, changed := RecordRun(runs, event); changed {
					t.Fatalf("seed %d: %+v is news the second time", seed, event)
				}
			}
			random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		}
	}
}

// What events do not tell stays: identity, sizes that were asked for, and what a person said.
func TestRecordRunKeeps(t *testing.T) {
	t.Parallel()
	runs, _ := RecordRun(nil, github(1, "completed", "success", 8))
	bytes := int64(41)
	runs[0].ID, runs[0].ArtifactSizeBytes, runs[0].Expected = 3, &bytes, true
	runs, changed := RecordRun(runs, github(1, "completed", "success", 9))
	if !changed || runs[0].ID != 3 || runs[0].ArtifactSizeBytes == nil || !runs[0].Expected {
		t.Errorf("changed %v, run %+v", changed, runs[0])
	}
	open, _ := RecordRun(nil, gitlab("running", 0))
	open[0].ID = 4
	ended, _ := RecordRun(open, gitlab("success", 9))
	if len(ended) != 1 || ended[0].ID != 4 {
		t.Errorf("the end did not take over the open run: %+v", ended)
	}
}

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
			state, text, ok := pipelineStatus(mode, c.runs, c.waiting)
			if got := strings.TrimSpace(string(state) + " " + text); ok != (want != "") || ok && got != want {
				t.Errorf("%s, %s: %v %q, want %q", name, mode, ok, got, want)
			}
		}
	}
}

// series are earlier runs of a build that takes a minute and makes 1,000 bytes.
func series(n int) (history []PastRun) {
	for i := range n {
		seconds, bytes := 60.0, int64(1000)
		history = append(history, PastRun{ID: int64(100 + i), Point: anomaly.Point{DurationSeconds: &seconds, ArtifactBytes: &bytes}})
	}
	return history
}

func TestJudgePipelines(t *testing.T) {
	t.Parallel()
	build := func(id int64, bytes int64) PipelineRun {
		run := ended(id, 1, 0, "")
		run.ID, run.ArtifactSizeBytes = id, &bytes
		return run
	}
	judged := func(run PipelineRun, score float64, reason string) PipelineRun {
		run.AnomalyScore, run.AnomalyReason = &score, reason
		return run
	}
	failed := judged(build(1, 9000), 5, "odd")
	failed.Status = "failed"
	const odd = "artifact 1 kB → 9 kB (+800 %)"
	cases := map[string]struct {
		runs    []PipelineRun
		only    map[int64]bool
		history int
		changed string // ids and reasons
		shown   string
	}{
		"nothing":               {nil, nil, 0, "", ""},
		"too little to compare": {[]PipelineRun{build(1, 9000)}, nil, 19, "", "success pipeline not judged: that takes 20 earlier runs to compare with"},
		"ordinary":              {[]PipelineRun{build(1, 1000)}, nil, 20, "1 ", "success pipeline as usual"},
		"unusual":               {[]PipelineRun{build(1, 9000)}, nil, 20, "1 " + odd, "failure unusual: " + odd},
		"judged before":         {[]PipelineRun{judged(build(1, 1000), 0, "")}, nil, 20, "", "success pipeline as usual"},
		"none of two":           {[]PipelineRun{build(1, 9000), build(2, 9000)}, map[int64]bool{}, 20, "", "success pipeline not judged: that takes 20 earlier runs to compare with"},
		"one of two":            {[]PipelineRun{build(1, 9000), build(2, 9000)}, map[int64]bool{2: true}, 20, "2 " + odd, "failure unusual CI: " + odd},
		"failed since then":     {[]PipelineRun{failed}, nil, 20, "1 ", "success pipeline not judged: it ended as failed"},
	}
	for name, c := range cases {
		evidence := PipelineEvidence{Runs: c.runs, Pipelines: c.only, Mode: AnomaliesFail, History: map[int64][]PastRun{}}
		for _, run := range c.runs {
			evidence.History[run.ID] = series(c.history)
		}
		got := JudgePipelines(evidence)
		var changed []string
		for _, run := range got.Changed {
			changed = append(changed, fmt.Sprint(run.ID, " ", run.AnomalyReason))
		}
		shown := ""
		if got.Shown {
			shown = string(got.State) + " " + got.Text
		}
		if strings.Join(changed, ", ") != c.changed || shown != c.shown {
			t.Errorf("%s: changed %q, shown %q, want %q and %q", name, changed, shown, c.changed, c.shown)
		}
	}
}

// An attempt that is judged first has the changed files that are known now in the series of the next attempt.
func TestJudgePipelinesKnowsWhatItJudged(t *testing.T) {
	t.Parallel()
	files, bytes := 2, int64(1000)
	history := append(series(19), PastRun{ID: 1, Point: anomaly.Point{ArtifactBytes: &bytes}})
	for i := range history[:19] {
		history[i].ChangedFiles = &files
	}
	first, second := ended(7, 1, 0, ""), ended(7, 2, 0, "")
	first.ID, second.ID, first.ArtifactSizeBytes, second.ArtifactSizeBytes = 1, 2, &bytes, &bytes
	evidence := PipelineEvidence{
		Scan: Scan{NumChangedFiles: &files}, Runs: []PipelineRun{first, second}, History: map[int64][]PastRun{2: history},
	}
	if points := seriesOf(history, map[int64]PipelineRun{1: {NumChangedFiles: &files}}); *points[19].ChangedFiles != 2 {
		t.Errorf("want 2 changed files, got %+v", points[19])
	}
	history[19].Truncated = true
	if points := seriesOf(history, map[int64]PipelineRun{1: {NumChangedFiles: &files}}); points[19].ChangedFiles != nil {
		t.Errorf("want unknown changed files, got %+v", points[19])
	}
	if got := JudgePipelines(evidence); len(got.Changed) != 2 || *got.Changed[1].NumChangedFiles != 2 {
		t.Errorf("want both attempts judged, got %+v", got)
	}
}
