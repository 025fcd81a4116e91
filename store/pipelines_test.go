package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/platforms"
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

func TestPipelineMakesTheScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Now: func() time.Time { return noon }})
		scan, delivery := record(t, s, 1), int64(1)
		want := core.Scan{
			ID: 1, ReferenceID: scan.ReferenceID, ProjectID: 1, SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: "42",
			RepoURL: "https://git.example/acme/shop", Ref: "refs/heads/main", Branch: "main", DefaultBranch: "main", CommitSHA: storetest.SHA(1),
			Attempt: 1, Context: "scanhook", Origin: "pipeline", Timestamp: noon, Status: core.ScanPending,
			ChangedFilesTruncated: true, DeadlineAt: noon.Add(time.Hour), DeliveryID: &delivery,
		}
		if diff := gocmp.Diff(want, scan); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}
		seconds, bytes, finished := 100.0, int64(41e6), noon.Add(time.Minute)
		wantRun := core.PipelineRun{
			ID: 1, ScanID: 1, ProjectID: 1, SourcePlatform: "github", ProjectName: "acme/shop", Branch: "main", OnDefaultBranch: true,
			Source: "push", PipelineID: 1, Attempt: 1, Name: "CI", Status: "success", Phase: core.PhaseFinished,
			URL: "https://git.example/run", BuildDurationSeconds: &seconds, ArtifactSizeBytes: &bytes,
			FinishedAt: &finished, UpdatedAt: &finished, RecordedAt: noon,
		}
		if diff := gocmp.Diff(wantRun, metrics(t, s)[0].PipelineRun); diff != "" {
			t.Errorf("run (-want +got):\n%s", diff)
		}
		pushed(t, s, 0)
		late := pushed(t, s, 1)
		if late.ID != scan.ID || late.NumChangedFiles == nil || late.ChangedFilesTruncated || late.BeforeSHA == "" {
			t.Errorf("the push that came later told nothing: %+v", late)
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
		got, err := s.Accept(t.Context(), storetest.With(d, run))
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
				receipt, err := s.Accept(t.Context(), storetest.With(d, run))
				for errors.Is(err, core.ErrUnavailable) { // a busy machine is too slow for its senders: they come again
					receipt, err = s.Accept(t.Context(), storetest.With(d, run))
				}
				if err != nil || receipt.Outcome != core.PipelineRecorded {
					t.Errorf("Accept: %+v, %v", receipt, err)
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

func openWith(t *testing.T, e storetest.Engine, mode core.AnomalyMode) *store.Store {
	t.Helper()
	policy := storetest.Policy
	policy.Anomalies = mode
	return e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
}

const fourfold = "artifact 41 MB → 169 MB (+310 %) with 1 file changed"

func TestAnomalyShowsOnTheCommit(t *testing.T) {
	t.Parallel()
	cases := map[core.AnomalyMode]struct{ ordinary, unusual, expected string }{
		"":                   {" ", "success unusual: " + fourfold, "success expected: " + fourfold},
		core.AnomaliesReport: {" ", "success unusual: " + fourfold, "success expected: " + fourfold},
		core.AnomaliesFail: {
			"success pipeline as usual", "failure unusual: " + fourfold, "success expected: " + fourfold,
		},
		core.AnomaliesOff: {" ", " ", " "},
	}
	shown := func(s core.Status) string { return string(s.State) + " " + s.Description }
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for mode, want := range cases {
			s := openWith(t, e, mode)
			steady(t, s)
			if got := shown(pipelineStatus(t, s, record(t, s, 25))); got != want.ordinary {
				t.Errorf("%s, ordinary run: %q, want %q", mode, got, want.ordinary)
			}
			pushed(t, s, 26)
			scan := record(t, s, 26, artifact(169e6))
			if got := shown(pipelineStatus(t, s, scan)); got != want.unusual {
				t.Errorf("%s, unusual run: %q, want %q", mode, got, want.unusual)
			}
			runs := metrics(t, s)
			last := runs[len(runs)-1]
			if last.AnomalyReason != fourfold || last.AnomalyScore == nil || *last.AnomalyScore < anomaly.Threshold {
				t.Errorf("%s: %q with score %v", mode, last.AnomalyReason, last.AnomalyScore)
			}
			marked, err := s.PutExpected(t.Context(), last.ID, true, "ada")
			if err != nil || !marked.Expected || marked.ExpectedBy != "ada" {
				t.Errorf("%s: marked %+v, %v", mode, marked, err)
			}
			if got := shown(pipelineStatus(t, s, scan)); got != want.expected {
				t.Errorf("%s, expected run: %q, want %q", mode, got, want.expected)
			}
			record(t, s, 27, artifact(170e6))
			if runs = metrics(t, s); runs[len(runs)-1].Unusual() {
				t.Errorf("%s: the new level was not learned: %s", mode, runs[len(runs)-1].AnomalyReason)
			}
		}
	})
}

// Series of other branches, names and sources do not affect each other.
func TestSeriesAreApart(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	steady(t, s)
	for name, change := range map[string]func(*core.Pipeline){
		"another branch":   func(p *core.Pipeline) { p.Branch = "side" },
		"another pipeline": func(p *core.Pipeline) { p.Name = "nightly" },
		"a pull request":   func(p *core.Pipeline) { p.Source = "pull_request" },
		"a failed run":     func(p *core.Pipeline) { p.Conclusion = "failure" },
	} {
		record(t, s, 30, artifact(400e6), change, func(p *core.Pipeline) { p.ID = int64(100 + len(name)) })
		runs := metrics(t, s)
		if last := runs[len(runs)-1]; last.AnomalyScore != nil || last.Unusual() {
			t.Errorf("%s was judged: %+v", name, last.PipelineRun)
		}
	}
}

// Without names, pipelines are distinguished by what started them: a child pipeline has little in common with its
// parent.
func TestNamelessPipelinesDifferBySource(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	for n := 1; n <= 60; n++ {
		record(t, s, n, artifact([]int64{5e6, 400e6}[n%2]), func(p *core.Pipeline) {
			p.Name, p.Source = "", []string{"push", "parent_pipeline"}[n%2]
		})
	}
	for _, run := range metrics(t, s) {
		if run.Unusual() {
			t.Errorf("run %d: %s", run.PipelineID, run.AnomalyReason)
		}
	}
}

// A re-run that is in progress, or that fails, does not remove the red status; one that succeeds does.
func TestStatusFollowsTheLatestJudgedAttempt(t *testing.T) {
	t.Parallel()
	s := openWith(t, storetest.SQLite, core.AnomaliesFail)
	steady(t, s)
	scan := record(t, s, 26, artifact(169e6))
	attempt := func(n int, status, conclusion string) func(*core.Pipeline) {
		return func(p *core.Pipeline) { p.Attempt, p.Status, p.Conclusion = n, status, conclusion }
	}
	for _, change := range []func(*core.Pipeline){attempt(2, "in_progress", ""), attempt(2, "completed", "failure")} {
		record(t, s, 26, artifact(1), change)
		if got := pipelineStatus(t, s, scan); got.State != core.StatusFailure || got.Revision != 1 {
			t.Errorf("after a re-run that tells nothing: %s %q", got.State, got.Description)
		}
	}
	record(t, s, 26, artifact(41e6), attempt(3, "completed", "success"))
	if got := pipelineStatus(t, s, scan); got.State != core.StatusSuccess {
		t.Errorf("after a good re-run: %s %q", got.State, got.Description)
	}
}

// In the mode fail nothing is green before the sizes are known, or known to be unavailable.
func TestRequiredStatusWaitsForAnswers(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, answer := range map[string]func(*store.Store, store.EnrichmentTask) error{
			"success pipeline as usual": func(s *store.Store, l store.EnrichmentTask) error {
				return s.FinishEnrichment(t.Context(), l, store.EnrichmentResult{ArtifactBytes: 41e6})
			},
			"failure unusual: " + fourfold: func(s *store.Store, l store.EnrichmentTask) error {
				return s.FinishEnrichment(t.Context(), l, store.EnrichmentResult{ArtifactBytes: 169e6})
			},
			"success pipeline as usual ": func(s *store.Store, l store.EnrichmentTask) error {
				return s.RetryEnrichment(t.Context(), l, store.EnrichmentRetry{GivenUp: true, Error: platforms.ErrNoToken.Error()})
			},
		} {
			s := openWith(t, e, core.AnomaliesFail)
			steady(t, s)
			pushed(t, s, 26)
			scan := record(t, s, 26, func(p *core.Pipeline) { p.AskArtifacts, p.ArtifactBytes = true, nil })
			if got := pipelineStatus(t, s, scan); got.State != "" {
				t.Errorf("%s: %s before the answer", name, got.State)
			}
			lookup, err := s.ClaimEnrichment(t.Context(), "github", time.Minute)
			if err != nil || lookup.PipelineID != 26 || lookup.ProjectRef != "42" {
				t.Fatalf("lookup %+v, %v", lookup, err)
			}
			if _, err := s.ClaimEnrichment(t.Context(), "github", time.Minute); err == nil {
				t.Error("the question was claimed twice")
			}
			if err := answer(s, lookup); err != nil {
				t.Fatal(err)
			}
			got := pipelineStatus(t, s, scan)
			if text := string(got.State) + " " + got.Description; text != strings.TrimSpace(name) {
				t.Errorf("%s: %s after the answer", name, text)
			}
		}
	})
}

func TestExpectedCanBeTakenBack(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	steady(t, s)
	scan := record(t, s, 26, artifact(169e6))
	id := metrics(t, s)[25].ID
	for _, expected := range []bool{true, false} {
		marked, err := s.PutExpected(t.Context(), id, expected, "ada")
		named := marked.ExpectedBy == "ada"
		if err != nil || marked.Expected != expected || named != expected || len(marked.Readings) == 0 {
			t.Errorf("marked %+v, %v", marked, err)
		}
		if got := pipelineStatus(t, s, scan).Description; strings.HasPrefix(got, "expected: ") != expected {
			t.Errorf("expected %v: %q", expected, got)
		}
	}
}
