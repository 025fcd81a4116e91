package growth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

var discard = slog.New(slog.DiscardHandler)

const (
	scanner   = "echo"      // of the pushes that are measured
	turns     = numProjects // of each step in a round; one push to each project, so that none ends another's scan
	together  = 8           // statuses that are claimed together
	seen      = 20          // pages that are read in a round
	pageLimit = 15          // rows of a list, of which the smallest database has as many
	aMoment   = time.Minute // of a lease
	onGitHub  = "github"
)

// step is measured once a round.
type step struct {
	name string
	do   func(w *world) (turns int, err error)
}

// steps are in the order of a push's life, each with what the one before it has left.
var steps = []step{
	{"keep", (*world).keep},
	{"derive", (*world).derive},
	{"claim of a job", (*world).claim},
	{"finish", (*world).finish},
	{"status claim and settle", (*world).post},
	{"lists of scans", (*world).listScans},
	{"lists of deliveries", (*world).listDeliveries},
	{"page of a scan", (*world).showScans},
	{"first page", (*world).showFirst},
	{"page of a project", (*world).showProject},
	{"page of projects", (*world).showProjects},
}

func (w *world) round() {
	w.t.Helper()
	for _, step := range steps {
		used, began := w.used(), time.Now()
		turns, err := step.do(w)
		took := cost{time.Since(began), w.used() - used}
		if err != nil {
			w.t.Fatalf("%s at %d scans: %v", step.name, w.size, err)
		}
		each := time.Duration(max(turns, 1))
		w.costs[step.name] = append(w.costs[step.name], cost{took.clock / each, took.cpu / each})
	}
}

// keep takes in calls that come at the same time, each a push onto the last commit of a project's branch.
func (w *world) keep() (int, error) {
	var calling sync.WaitGroup
	failures := make([]error, turns)
	for i := range turns {
		call := core.Call{Delivery: pushOf(w.next), Raw: fmt.Appendf(nil, "%d %2000s", w.next, "")}
		w.next++
		calling.Go(func() { _, failures[i] = w.Keep(w.t.Context(), call) })
	}
	calling.Wait()
	return turns, firstOf(failures)
}

func (w *world) derive() (taken int, err error) {
	for taken < turns {
		n, err := w.Derive(w.t.Context(), store.Deriver{Version: "growth", Read: readCall, Most: 256})
		if err == nil && n == 0 {
			err = fmt.Errorf("%d calls were derived, want %d", taken, turns)
		}
		if err != nil {
			return taken, err
		}
		taken += n
	}
	return taken, nil
}

func readCall(call core.KeptCall) (core.Delivery, error) {
	var n int
	_, err := fmt.Sscan(string(call.Raw), &n)
	d := pushOf(n)
	d.Key, d.ReceivedAt = call.Key, call.ReceivedAt
	return d, err
}

func pushOf(n int) core.Delivery {
	files := 1
	project := projectOf(n)
	push := core.Push{
		Project: core.Project{Name: project, Ref: fmt.Sprint(7000 + n%numProjects), URL: "https://github.example/" + project, DefaultBranch: "main"},
		Ref:     "refs/heads/main", Before: commitOf(n - numProjects), After: commitOf(n), CommitSHA: commitOf(n),
		Files: core.ChangedFiles{Count: &files},
	}
	return core.Delivery{Platform: onGitHub, Key: "1:" + uuidOf(n), Name: "push", Project: project, Event: push}
}

func firstOf(failures []error) error {
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) claim() (int, error) {
	w.jobs = nil
	for i := range turns {
		job, _, err := w.ClaimJob(w.t.Context(), store.Claimant{
			Worker: fmt.Sprint("worker-", w.next, "-", i), Scanners: []string{scanner}, Lease: aMoment,
		})
		if err != nil {
			return 0, err
		}
		w.jobs = append(w.jobs, job)
	}
	return turns, nil
}

func (w *world) finish() (int, error) {
	for _, job := range w.jobs {
		err := w.FinishJob(w.t.Context(), job, core.Report{Findings: []core.Finding{
			{Tool: scanner, RuleID: "R1", File: "a.go", Line: 3, Severity: core.Low, Message: "one"},
			{Tool: scanner, RuleID: "R2", File: "b.go", Line: 5, Severity: core.Medium, Message: "two"},
		}})
		if err != nil {
			return 0, err
		}
	}
	return len(w.jobs), nil
}

// post claims statuses and settles them, fewer than a round puts.
func (w *world) post() (posted int, err error) {
	for posted+together <= turns {
		claimed, err := w.ClaimStatuses(w.t.Context(), []string{onGitHub}, together, aMoment)
		if err == nil && len(claimed) < together {
			err = fmt.Errorf("%d statuses are due, want %d at least", len(claimed), together)
		}
		for _, status := range claimed {
			if err == nil {
				err = w.SettleStatus(w.t.Context(), status, store.PostResult{Posted: true, Code: http.StatusCreated})
			}
		}
		if err != nil {
			return posted, err
		}
		posted += len(claimed)
	}
	return posted, nil
}

// listScans asks for frequent values, for rare ones in the far past, and for such that nothing has.
func (w *world) listScans() (int, error) {
	filters := []store.ScanFilter{
		{}, {Platform: onGitHub}, {Project: projectOf(1)}, {Project: projectOf(1), Branch: "main"},
		{Verdict: core.Fail}, {Project: projectOf(1), Verdict: core.Fail}, {Status: core.ScanFailed}, {Branch: "main"},
		{Branch: "feature-1"}, {Project: "none/none"}, {Status: core.ScanPending}, {CommitSHA: commitOf(w.size / 2)},
		{Project: projectOf(1), Before: int64(w.size / 2)}, {Platform: onGitHub, Verdict: core.Pass, After: int64(w.size / 2)},
	}
	for _, f := range filters {
		f.Limit = pageLimit
		if _, err := w.ListScans(w.t.Context(), f); err != nil {
			return 0, err
		}
	}
	return len(filters), nil
}

func (w *world) listDeliveries() (int, error) {
	filters := []store.DeliveryFilter{
		{}, {Platform: onGitHub}, {Project: projectOf(1)}, {State: core.DeliveryIgnored}, {Project: "none/none"},
		{Project: projectOf(1), State: core.DeliveryIgnored}, {ScanID: int64(w.size / 2)},
	}
	for _, f := range filters {
		f.Limit = pageLimit
		if _, err := w.ListDeliveries(w.t.Context(), f); err != nil {
			return 0, err
		}
	}
	return len(filters), nil
}

func (w *world) showScans() (int, error) {
	for i := range seen {
		if err := w.show("/scans/" + uuidOf(1+(w.next*7919+i*104729)%w.size)); err != nil {
			return 0, err
		}
	}
	return seen, nil
}

func (w *world) showFirst() (int, error) { return 1, w.show("/") }

func (w *world) showProject() (int, error) { return 1, w.show("/projects/github/" + projectOf(w.next)) }

func (w *world) showProjects() (int, error) { return 1, w.show("/projects") }

func (w *world) show(path string) error {
	answer := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(context.WithoutCancel(w.t.Context()), http.MethodGet, path, http.NoBody)
	request.Header.Set("Accept", "text/html")
	w.pages.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		return fmt.Errorf("GET %s: %d %.300s", path, answer.Code, answer.Body)
	}
	return nil
}
