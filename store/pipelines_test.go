package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// workflow makes a delivery of a workflow run of commit n that was completed well; change adjusts it before use.
func workflow(n int, change ...func(*core.Pipeline)) (core.Delivery, core.Pipeline) {
	_, push := storetest.PushOf(n)
	duration, bytes := 100*time.Second, int64(41e6)
	run := core.Pipeline{
		Project: push.Project, ID: int64(n), Attempt: 1, Name: "CI", Source: "push", Branch: "main",
		CommitSHA: push.CommitSHA, Status: "completed", Conclusion: "success", Duration: &duration, ArtifactBytes: &bytes,
		URL: "https://git.example/run", FinishedAt: noon.Add(time.Duration(n) * time.Minute),
	}
	for _, f := range change {
		f(&run)
	}
	run.UpdatedAt = cmp.Or(run.UpdatedAt, run.FinishedAt)
	key := fmt.Sprint("run-", run.ID, run.Attempt, run.Status, run.UpdatedAt.Unix(), rand.Int64())
	return core.Delivery{Platform: "github", Key: key, Name: "workflow_run", Project: "acme/shop"}, run
}

// record stores a workflow run of commit n and returns its scan.
func record(t *testing.T, s *store.Store, n int, change ...func(*core.Pipeline)) core.Scan {
	t.Helper()
	d, run := workflow(n, change...)
	receipt, err := s.RecordPipeline(t.Context(), d, run)
	if err != nil || receipt.Outcome != core.PipelineRecorded {
		t.Fatalf("RecordPipeline: %+v, %v", receipt, err)
	}
	return get(t, s, receipt.Reference)
}

func artifact(bytes int64) func(*core.Pipeline) {
	return func(p *core.Pipeline) { p.ArtifactBytes = &bytes }
}

// metrics returns all runs of the project, the oldest first.
func metrics(t *testing.T, s *store.Store) []store.Metric {
	t.Helper()
	list, err := s.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func TestPipelineMakesTheScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Now: func() time.Time { return noon }})
		scan := record(t, s, 1)
		want := core.Scan{
			ID: 1, ReferenceID: scan.ReferenceID, SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: "42",
			RepoURL: "https://git.example/acme/shop", Branch: "main", DefaultBranch: "main", CommitSHA: storetest.SHA(1),
			Attempt: 1, Context: "scanhook", Origin: "pipeline", Timestamp: noon, Status: core.ScanPending,
			ChangedFilesTruncated: true, DeadlineAt: noon.Add(time.Hour),
		}
		if diff := gocmp.Diff(want, scan); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}
		seconds, bytes, finished := 100.0, int64(41e6), noon.Add(time.Minute)
		wantRun := core.PipelineRun{
			ID: 1, ScanID: 1, SourcePlatform: "github", ProjectName: "acme/shop", Branch: "main", OnDefaultBranch: true,
			Source: "push", PipelineID: 1, Attempt: 1, Name: "CI", Status: "success", Phase: core.PhaseFinished,
			URL: "https://git.example/run", BuildDurationSeconds: &seconds, ArtifactSizeBytes: &bytes,
			FinishedAt: &finished, UpdatedAt: &finished, RecordedAt: noon,
		}
		if diff := gocmp.Diff(wantRun, metrics(t, s)[0].PipelineRun); diff != "" {
			t.Errorf("run (-want +got):\n%s", diff)
		}
		accept(t, s, core.Delivery{Platform: "github", Key: "0"}, second(storetest.PushOf(0)))
		pushed := accept(t, s, core.Delivery{Platform: "github", Key: "1"}, second(storetest.PushOf(1)))
		if pushed.ID != scan.ID || pushed.NumChangedFiles == nil || pushed.ChangedFilesTruncated || pushed.BeforeSHA == "" {
			t.Errorf("the push that came later told nothing: %+v", pushed)
		}
		if run := metrics(t, s)[0]; run.NumChangedFiles == nil || *run.NumChangedFiles != 1 {
			t.Errorf("changed files of the run: %v, want those of the push", run.NumChangedFiles)
		}
		before, err := s.ListScans(t.Context(), store.ScanFilter{CommitSHA: storetest.SHA(0), Limit: 1})
		if err != nil || before[0].SupersededBy != storetest.SHA(1) {
			t.Errorf("the commit before is %+v, %v; want it superseded", before, err)
		}
	})
}

func second[A, B any](_ A, b B) B { return b }

func TestPipelineOfAForkHasNoBranch(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	scan := record(t, s, 1, func(p *core.Pipeline) {
		p.Foreign, p.Source, p.BeforeSHA = true, "pull_request", storetest.SHA(0)
	})
	if scan.Branch != "" || scan.BeforeSHA != "" || scan.OnDefaultBranch() {
		t.Errorf("scan = %+v, want none of the project's branches", scan)
	}
	if run := metrics(t, s)[0]; run.OnDefaultBranch || run.Branch != "main" {
		t.Errorf("run = %+v, want its branch, but not as the default one", run)
	}
}

func TestRecordPipelineIgnores(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{Policies: core.Policies{
		{Match: "github/acme/*", Policy: core.Policy{Branches: []string{"main"}}},
	}})
	for name, c := range map[string]struct {
		change func(*core.Pipeline)
		reason string
	}{
		"unknown repository": {
			func(p *core.Pipeline) { p.Project.Name = "other/shop" },
			"github/other/shop matches no entry of repositories in the configuration",
		},
		"branch outside": {func(p *core.Pipeline) { p.Branch = "old" }, "branch old is not among the configured branches"},
		"tag":            {func(p *core.Pipeline) { p.Branch, p.Tag = "", "v1" }, "tag v1 is not among the configured tags"},
		"no id":          {func(p *core.Pipeline) { p.ID = 0 }, "the event names no pipeline or no commit"},
	} {
		d, run := workflow(1, c.change)
		got, err := s.RecordPipeline(t.Context(), d, run)
		if want := (core.Receipt{Outcome: core.OutcomeIgnored, Reason: c.reason}); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	if scan := record(t, s, 1, func(p *core.Pipeline) { p.Branch = "" }); scan.Branch != "" {
		t.Errorf("branch %q, want an unknown one", scan.Branch)
	}
}

// A thousand events of one commit, sent at once, in random order and with repetitions.
func TestThousandEventsOfOneCommit(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		var events []func(*core.Pipeline)
		want := map[string]int{}
		for id := range 25 {
			uncounted := id%2 == 0
			for attempt := 1; attempt <= 4; attempt++ {
				want[fmt.Sprint(id+1, " ", attempt, " success ", 10*attempt)]++
				events = append(events, eventsOf(int64(id+1), attempt, uncounted)...)
			}
		}
		var wg sync.WaitGroup
		random := rand.New(rand.NewPCG(1, 2))
		for len(events) < 1000 {
			events = append(events, events[random.IntN(len(events))])
		}
		random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		for _, change := range events {
			wg.Go(func() {
				d, run := workflow(1, change)
				receipt, err := s.RecordPipeline(t.Context(), d, run)
				for errors.Is(err, core.ErrUnavailable) { // a busy machine is too slow for its senders: they come again
					receipt, err = s.RecordPipeline(t.Context(), d, run)
				}
				if err != nil || receipt.Outcome != core.PipelineRecorded {
					t.Errorf("RecordPipeline: %+v, %v", receipt, err)
				}
			})
		}
		wg.Wait()
		got := map[string]int{}
		for _, run := range metrics(t, s) {
			got[fmt.Sprint(run.PipelineID, " ", run.Attempt, " ", run.Status, " ", run.FinishedAt.Sub(noon).Minutes())]++
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 10})
		if err != nil || len(scans) != 1 {
			t.Errorf("%d scans, %v, want one", len(scans), err)
		}
	})
}

// eventsOf are the events of one attempt, which ends at 10 minutes times its number, as a platform that counts attempts
// sends them or as one that does not.
func eventsOf(id int64, attempt int, uncounted bool) []func(*core.Pipeline) {
	end := noon.Add(time.Duration(10*attempt) * time.Minute)
	event := func(status, conclusion string, finished, updated time.Time) func(*core.Pipeline) {
		return func(p *core.Pipeline) {
			p.ID, p.Attempt, p.Status, p.Conclusion = id, attempt, status, conclusion
			p.FinishedAt, p.UpdatedAt = finished, updated
		}
	}
	if !uncounted {
		return []func(*core.Pipeline){
			event("requested", "", time.Time{}, end.Add(-9*time.Minute)),
			event("in_progress", "", time.Time{}, end.Add(-8*time.Minute)), event("completed", "success", end, end),
		}
	}
	before := time.Time{}
	if attempt > 1 {
		before = end.Add(-10 * time.Minute)
	}
	var events []func(*core.Pipeline)
	for _, status := range []string{"pending", "running", "success"} {
		finished := before
		if status == "success" {
			finished = end
		}
		events = append(events, func(p *core.Pipeline) {
			event(status, "", finished, time.Time{})(p)
			p.Attempt = 0
		})
	}
	return events
}
