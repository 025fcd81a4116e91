package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// steady records 25 ordinary runs of commits 1 to 25, all of them pushed before.
func steady(t *testing.T, s *store.Store) {
	t.Helper()
	for n := 1; n <= 25; n++ {
		accept(t, s, storetestDelivery(n), second(storetest.PushOf(n)))
		record(t, s, n, artifact(41e6+int64(n%5)*1e5))
	}
}

func storetestDelivery(n int) core.Delivery { d, _ := storetest.PushOf(n); return d }

// pipelineStatus is the commit status of a scan's pipelines, or zero.
func pipelineStatus(t *testing.T, s *store.Store, scan core.Scan) core.Status {
	t.Helper()
	list, err := s.ListStatuses(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range list {
		if status.Context == "scanhook/pipeline" {
			return status
		}
	}
	return core.Status{}
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
			accept(t, s, storetestDelivery(26), second(storetest.PushOf(26)))
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

// Series of other branches, names and sources know nothing of each other.
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

// Without a name, what started a pipeline tells it from others: a child pipeline has little in common with its parent.
func TestNamelessPipelinesAreToldApartBySource(t *testing.T) {
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

// A re-run that is still going, or that fails, does not take the red status away; one that ends well does.
func TestStatusFollowsTheLatestJudgedAttempt(t *testing.T) {
	t.Parallel()
	s := openWith(t, storetest.Engines[0], core.AnomaliesFail)
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

// In the mode fail nothing is green before the sizes are known, or known to stay unknown.
func TestRequiredStatusWaitsForAnswers(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, answer := range map[string]func(*store.Store, store.Lookup) error{
			"success pipeline as usual": func(s *store.Store, l store.Lookup) error {
				return s.FinishLookup(t.Context(), l, store.Answer{ArtifactBytes: 41e6})
			},
			"failure unusual: " + fourfold: func(s *store.Store, l store.Lookup) error {
				return s.FinishLookup(t.Context(), l, store.Answer{ArtifactBytes: 169e6})
			},
			"success pipeline as usual ": func(s *store.Store, l store.Lookup) error {
				return s.PostponeLookup(t.Context(), l, store.Postponement{GivenUp: true, Error: platforms.ErrNoToken.Error()})
			},
		} {
			s := openWith(t, e, core.AnomaliesFail)
			steady(t, s)
			accept(t, s, storetestDelivery(26), second(storetest.PushOf(26)))
			scan := record(t, s, 26, func(p *core.Pipeline) { p.AskArtifacts, p.ArtifactBytes = true, nil })
			if got := pipelineStatus(t, s, scan); got.State != "" {
				t.Errorf("%s: %s before the answer", name, got.State)
			}
			lookup, err := s.ClaimLookup(t.Context(), "github", time.Minute)
			if err != nil || lookup.PipelineID != 26 || lookup.ProjectRef != "42" {
				t.Fatalf("lookup %+v, %v", lookup, err)
			}
			if _, err := s.ClaimLookup(t.Context(), "github", time.Minute); err == nil {
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
