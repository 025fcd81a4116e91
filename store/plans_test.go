//go:build !race

// Plans are the same under the race detector, which would take minutes to fill the databases.

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const (
	planParts = 16
	planPart  = 100 // pushes
)

// shapes are what a database may be full of.
var shapes = map[string]func(n int) (core.Delivery, core.Push){
	"a chain": func(n int) (core.Delivery, core.Push) { return storetest.PushOf(n) },
	"new branches": func(n int) (core.Delivery, core.Push) {
		return storetest.PushOf(n, storetest.OnBranch(fmt.Sprint("b", n)), newBranch)
	},
	"uploads": func(n int) (core.Delivery, core.Push) {
		return storetest.PushOf(n, func(_ *core.Delivery, p *core.Push) { p.Before, p.Project.DefaultBranch, p.Files.Count = "", "", nil })
	},
	"projects": func(n int) (core.Delivery, core.Push) {
		return storetest.PushOf(n, inProject(fmt.Sprint("acme/app-", n%50)), func(_ *core.Delivery, p *core.Push) {
			p.Before = storetest.SHA(n - 50)
		})
	},
}

// planned is a database in which the next push is explained.
type planned struct {
	*store.Store
	t   *testing.T
	url string
	db  *sql.DB
}

func (p planned) exec(statement string) {
	p.t.Helper()
	if _, err := p.db.ExecContext(p.t.Context(), statement); err != nil {
		p.t.Fatal(err)
	}
}

func newPlanned(t *testing.T, e storetest.Engine) planned {
	t.Helper()
	p := planned{t: t, url: e.URL(t)}
	policy := storetest.Policy
	policy.Scanners = []string{"gitleaks", "lint"}
	var err error
	p.Store, err = store.Open(t.Context(), store.Config{ // without the columns of a newer Scanhook, which make rows seem wider
		URL: p.url, Policies: core.Policies{{Match: "**", Policy: policy}}, Scanners: storetest.Scanners,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Store.Close() })
	p.db = storetest.Connect(t, p.url)
	storetest.SetOnAllTables(t, p.url, "autovacuum_enabled = false")
	return p
}

var largeTables = []string{
	"scans", "outcomes", "scan_jobs", "findings", "deliveries", "delivery_bodies", "commit_statuses", "status_posts", "refs", "ref_doubts",
	"alerts", "open_alerts", "pipeline_metrics", "enrichment_tasks", "searched_commits",
}

// fill takes in pushes of all shapes, first those of one, and ends all but the last of them.
func (p planned) fill(first string, analyzed int) {
	p.t.Helper()
	order := slices.Sorted(maps.Keys(shapes))
	for part := range planParts {
		shape := shapes[order[part%len(order)]]
		if part < 2 {
			shape = shapes[first]
		}
		var deliveries []core.Delivery
		for n := range planPart {
			d, push := shape(1 + part*planPart + n)
			deliveries = append(deliveries, storetest.With(d, push))
		}
		if err := p.AcceptTogether(deliveries...); err != nil {
			p.t.Fatal(err)
		}
		if part == analyzed {
			storetest.Analyze(p.t, p.url)
		}
	}
	p.exec(`UPDATE scan_jobs SET state = 'completed' WHERE state = 'pending'`)
	p.exec(`INSERT INTO alerts (id, project_id, number, key, tool, rule_id, severity, file, line, state, first_seen,
			first_seen_scan_id)
		SELECT s.project_id * 4294967296 + j.id, s.project_id, j.id, CAST(j.id AS TEXT), j.scanner, 'R1', 'Low', 'a.go', 1, 'open', s.timestamp, s.id
			FROM scan_jobs j JOIN scans s ON s.id = j.scan_id`)
	p.exec(`INSERT INTO alert_numbers (project_id, last) SELECT project_id, MAX(number) FROM alerts GROUP BY project_id`)
	p.exec(`INSERT INTO alert_heads (project_id, ref, scan_id, seen_at)
		SELECT project_id, 'refs/heads/' || branch, MAX(id), MAX(timestamp) FROM scans GROUP BY project_id, branch`)
	p.exec(`INSERT INTO open_alerts (head_id, alert_id)
		SELECT h.id, a.id FROM alert_heads h JOIN alerts a ON a.project_id = h.project_id WHERE a.number - h.id * 7 BETWEEN 0 AND 40`)
	p.exec(`INSERT INTO findings (scan_id, job_id, alert_id, tool, rule_id, file, line, severity, fingerprint)
		SELECT j.scan_id, j.id, s.project_id * 4294967296 + j.id, scanner, 'R1', 'a.go', 1, 'Low', CAST(j.id AS TEXT)
			FROM scan_jobs j JOIN scans s ON s.id = j.scan_id`)
	p.exec(`INSERT INTO status_posts (first_scan_id, scan_id, context, revision, state, description, outcome, at, last_at)
		SELECT first_scan_id, scan_id, context, revision, state, '', 'posted', desired_at, desired_at FROM commit_statuses`)
	p.exec(`INSERT INTO pipeline_metrics (scan_id, project_id, branch, pipeline_id, pipeline_name, pipeline_status, phase, finished_at, recorded_at)
		SELECT id, project_id, branch, id, 'CI', 'success', 2, timestamp, timestamp FROM scans`)
	p.exec(`UPDATE scans SET status = 'completed', verdict = 'pass' WHERE status = 'pending'`)
	p.exec(`DELETE FROM outcomes`)
	p.exec(outcomesOfScans)
	p.exec(`UPDATE commit_statuses SET posted_revision = revision, posted_state = 'success'`)
	for _, table := range []string{"refs (project_id, name, sha, moved_at)", "ref_doubts (project_id, name, waiting, since)"} {
		p.exec(`INSERT INTO ` + table + ` SELECT project_id, 'refs/heads/merged-' || s.id || '-' || f.n, commit_sha, timestamp
			FROM scans s JOIN (SELECT id AS n FROM scans LIMIT 4) f ON TRUE`)
	}
	p.exec(`INSERT INTO searched_commits (project_id, rules, commit_sha, searched_at) SELECT project_id, 'rules', commit_sha, MIN(timestamp)
		FROM scans GROUP BY project_id, commit_sha`)
	if analyzed == planParts {
		storetest.Analyze(p.t, p.url)
	}
}

// wayOfAPush does all that a push leads to, step by step.
func (p planned) wayOfAPush(e *store.Explainer, n int, d core.Delivery, push core.Push) map[string][]store.Explained {
	p.t.Helper()
	ctx, steps := p.t.Context(), map[string][]store.Explained{}
	step := func(name string, do func(ctx context.Context) error) {
		p.t.Helper()
		e.Take()
		if err := do(ctx); err != nil {
			p.t.Fatalf("%s: %v", name, err)
		}
		steps[name] = e.Take()
	}
	var job core.Job
	var scan core.Scan
	var claimed []core.Status
	step("push", func(ctx context.Context) error {
		_, err := p.Accept(ctx, storetest.With(d, push))
		return err
	})
	step("pushes together", func(context.Context) error { return p.pushTogether(100_000 + n) })
	step("pushes that supersede them", func(context.Context) error { return p.pushTogether(200_000 + n) })
	calls := callsOf(300_000+n, d.Key, push.Project)
	for _, name := range []string{"keep", "keep again"} {
		step(name, func(ctx context.Context) error { return p.keepAll(ctx, calls) })
	}
	step("derive", func(ctx context.Context) error { return p.deriveAll(ctx, calls) })
	step("claim", func(ctx context.Context) (err error) {
		job, scan, err = p.ClaimJob(ctx, store.Claimant{Worker: "w", Scanners: []string{"gitleaks"}, Lease: time.Minute, After: 3, PerProject: 2})
		return err
	})
	step("baseline", func(ctx context.Context) error {
		_, _ = p.GetBaseline(ctx, scan, job)
		return nil
	})
	step("search", func(ctx context.Context) error {
		_, err := p.FindSearched(ctx, scan.ProjectID, "rules", scan.BeforeSHA, scan.CommitSHA)
		return err
	})
	step("finish", func(ctx context.Context) error {
		return p.FinishJob(ctx, job, core.Report{Findings: []core.Finding{finding("R1", core.High)}})
	})
	step("upload", func(ctx context.Context) error {
		_, err := p.AcceptCommit(ctx, core.Scan{
			SourcePlatform: "github", ProjectName: push.Project.Name, ProjectRef: push.Project.Ref, CommitSHA: storetest.SHA(900_000), Branch: push.Branch(),
		}, "ci")
		return err
	})
	step("report", func(ctx context.Context) error {
		_, err := p.PutReport(ctx, scan.ReferenceID, "lint", core.Report{Findings: []core.Finding{finding("R2", core.Low)}})
		return err
	})
	step("claim statuses", func(ctx context.Context) (err error) {
		claimed, err = p.ClaimStatuses(ctx, []string{"github"}, 8, time.Minute)
		return err
	})
	step("settle", func(ctx context.Context) error {
		return p.SettleStatus(ctx, claimed[0], store.PostResult{Posted: true, CheckAfter: time.Nanosecond})
	})
	step("settle with a hold", func(ctx context.Context) error {
		return p.SettleStatus(ctx, claimed[1], store.PostResult{Error: "no token", Hold: &core.Hold{Probes: 1}})
	})
	step("put off", func(ctx context.Context) error {
		d, push := storetest.PushOf(950_000, called(push.Project.Name, push.Project.Ref))
		d.Key += push.Project.Name + push.Ref
		_, err := p.Accept(ctx, storetest.With(d, push))
		return err
	})
	step("probe", func(ctx context.Context) (err error) {
		if err := p.ProbeHolds(ctx); err != nil {
			return err
		}
		claimed, err = p.ClaimStatuses(ctx, []string{"github"}, 8, time.Minute)
		return err
	})
	step("settle probe", func(ctx context.Context) error {
		return p.SettleStatus(ctx, claimed[len(claimed)-1], store.PostResult{Posted: true})
	})
	step("check", func(ctx context.Context) error {
		_, err := p.ClaimDriftCheck(ctx, "github", func(core.Status) time.Duration { return 0 })
		return err
	})
	step("again", func(ctx context.Context) error {
		d.Key += " again"
		_, err := p.Accept(ctx, storetest.With(d, push))
		return err
	})
	step("expire", func(ctx context.Context) error {
		_, err := p.ExpireScans(ctx, false)
		return err
	})
	return steps
}

// pushTogether takes in pushes to as many branches, whose commits come after those of the call before.
func (p planned) pushTogether(first int) error {
	var deliveries []core.Delivery
	for n := range 10 {
		d, push := storetest.PushOf(first+n, storetest.OnBranch(fmt.Sprint("together-", n)))
		push.Before = storetest.SHA(first + n - 100_000)
		deliveries = append(deliveries, storetest.With(d, push))
	}
	return p.AcceptTogether(deliveries...)
}

// callsOf are calls of each kind that come at the same time: pushes that make branches and move them on, one of which comes late,
// a run of a pipeline, a status, a branch that is deleted, and a call from which nothing follows.
func callsOf(first int, key string, project core.Project) (calls []core.Delivery) {
	add := func(event core.Event) {
		calls = append(calls, core.Delivery{
			Platform: "github", Key: fmt.Sprint(key, " ", len(calls)), Name: "call", Project: project.Name, Event: event,
		})
	}
	for n := range 6 {
		_, push := storetest.PushOf(first+n/2+n%2*100_000, storetest.OnBranch(fmt.Sprint("kept-", first+n/2)), called(project.Name, project.Ref))
		if push.Before = strings.Repeat("0", 40); n%2 == 1 {
			push.Before = storetest.SHA(first + n/2)
		}
		add(push)
	}
	_, late := storetest.PushOf(first+200_000, storetest.OnBranch(fmt.Sprint("kept-", first)), called(project.Name, project.Ref))
	late.Before = storetest.SHA(first + 300_000)
	add(late)
	_, run := workflow(first, func(run *core.Pipeline) { run.Project = project })
	add(run)
	add(core.ObservedStatus{Project: project, CommitSHA: storetest.SHA(first), Context: "scanhook", ID: int64(first), State: core.StatusSuccess})
	_, gone := storetest.PushOf(first, storetest.OnBranch(fmt.Sprint("kept-", first+1)), called(project.Name, project.Ref))
	gone.Before, gone.After, gone.CommitSHA, gone.Deleted = storetest.SHA(first+100_001), "", "", true
	add(gone)
	add(nil)
	return calls
}

func (p planned) keepAll(ctx context.Context, calls []core.Delivery) error {
	var keeping sync.WaitGroup
	failures := make([]error, len(calls))
	for n, d := range calls {
		keeping.Go(func() { _, failures[n] = p.Keep(ctx, core.Call{Delivery: d, Raw: []byte(d.Key)}) })
	}
	keeping.Wait()
	return errors.Join(failures...)
}

func (p planned) deriveAll(ctx context.Context, calls []core.Delivery) error {
	read := func(call core.KeptCall) (core.Delivery, error) {
		for _, d := range calls {
			if d.Key == call.Key {
				return d, nil
			}
		}
		return core.Delivery{}, errors.New("nobody has kept it")
	}
	for {
		taken, err := p.Derive(ctx, store.Deriver{Version: "1", Read: read, Most: 256})
		if err != nil || taken == 0 {
			return err
		}
	}
}

// Every statement on the way of a push finds its rows by a key, whatever the engine knows of the tables.
func TestPlansByKey(t *testing.T) {
	t.Parallel()
	type state struct {
		first    string
		analyzed int // after which part; never where there is none
	}
	states := map[string]state{"empty": {}, "never analyzed": {"a chain", -1}, "analyzed when full": {"a chain", planParts}}
	for shape := range shapes {
		states["analyzed after "+shape] = state{shape, 1}
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, state := range states {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPlanned(t, e)
				if state.first != "" {
					p.fill(state.first, state.analyzed)
				}
				explainer := p.Explain(t, p.url)
				for n, next := range slices.Sorted(maps.Keys(shapes)) {
					number := 1 + planParts*planPart + 1000*n
					d, push := shapes[next](number)
					for step, statements := range p.wayOfAPush(explainer, number, d, push) {
						for _, s := range statements {
							judgePlan(t, "after a push as "+next+", "+step, s, state.first == "")
						}
					}
				}
			})
		}
	})
}

// keys are columns that identify the rows of a table, or nearly.
var keys = regexp.MustCompile(`\b(id|rowid|reference_id|commit_sha|before_sha|merge_base_sha|scan_id|first_scan_id|job_id|baseline_scan_id|alert_id|head_id|key|number|delivery_key|pipeline_id|name)\s*(=|\))`)

// walked are indexes of which only the first entries are read, because the rows lie in the order that is asked for, or
// because they hold few, or few for each row that is asked for, as alerts_by_key does where it is walked.
var walked = []string{
	"scans_open", "outcomes_in_project", "deliveries_kept", "alerts_by_key",
	"scan_jobs_turns", "scan_jobs_fork_turns", "scan_jobs_postponed", "scan_jobs_held", "commit_statuses_due", "commit_statuses_held", "commit_statuses_to_check",
}

// mostRows is how many rows of a table a statement may look at: as many as one may change. smallTable is how many rows the
// tables have at most that were empty before the pushes that are explained.
const (
	mostRows   = 100
	smallTable = 200
)

// judgePlan permits walks along an index through tables that were empty: PostgreSQL knows how long a file is also without
// statistics, and which of two ways through a page or two is the shorter one depends on how many calls come together.
func judgePlan(t *testing.T, when string, s store.Explained, wereEmpty bool) {
	t.Helper()
	for _, r := range s.Reads {
		if !slices.Contains(largeTables, r.Table) || wereEmpty && r.Index != "" && r.Rows <= smallTable {
			continue
		}
		walks := slices.Contains(walked, r.Index)
		if r.Index == "" || r.Rows > mostRows || walks && r.Bits || !keys.MatchString(r.Cond) && !walks {
			t.Errorf("%s: %+v in%s", when, r, s.SQL)
		}
	}
}

// A claim of statuses reads as many rows with a hundred waiting as with thousands: due ones, or such that holds keep.
func TestClaimReadsTheSameHoweverManyWait(t *testing.T) {
	t.Parallel()
	const hold = `INSERT INTO status_holds (source_platform, project_id, branch, reason, since, next_probe_at)
		SELECT 'github', id, '', 'the token lacks a scope', seen_at, '2999-01-01 00:00:00+00:00' FROM projects;
		UPDATE commit_statuses SET held = TRUE`
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		read := func(hundreds int, held bool) (statements, rows int) {
			p := newPlanned(t, e)
			if err := p.Fill(t.Context(), hundreds); err != nil {
				t.Fatal(err)
			}
			if held {
				p.exec(hold)
				d, push := storetest.PushOf(1)
				accept(t, p.Store, d, push)
			}
			explainer := p.Explain(t, p.url)
			if _, err := p.ClaimStatuses(t.Context(), []string{"github"}, 8, time.Minute); err != nil {
				t.Fatal(err)
			}
			for _, s := range explainer.Take() {
				statements++
				for _, r := range s.Reads {
					rows += r.Rows
					if r.Index == "" && r.Table == "commit_statuses" {
						t.Errorf("%+v in%s", r, s.SQL)
					}
				}
			}
			return statements, rows
		}
		for _, held := range []bool{false, true} {
			few, fewRows := read(1, held)
			many, manyRows := read(30, held)
			if few != many || fewRows != manyRows {
				t.Errorf("held %t: %d statements and %d rows with a hundred, %d and %d with thousands",
					held, few, fewRows, many, manyRows)
			}
		}
	})
}

// Where no policy comments, a request that is opened costs the same as where the platform knows no comments; and a claim without rows is no
// transaction.
func TestCommentsThatAreOffCostNothing(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		var costs []int
		for _, able := range []func(string) bool{nil, func(string) bool { return true }} {
			url := e.URL(t)
			s := storetest.OpenAt(t, url, store.Config{Notes: able})
			d, push := storetest.PushOf(1)
			accept(t, s, d, push)
			d, _ = storetest.PushOf(2)
			explainer := s.Explain(t, url)
			_, err := s.Accept(t.Context(), storetest.With(d, core.Request{
				Project: push.Project, Number: 7, Action: core.RequestOpened, Head: push.CommitSHA, Branch: "b", Target: "main", UpdatedAt: time.Now(),
			}))
			if err != nil {
				t.Fatal(err)
			}
			costs = append(costs, len(explainer.Take()))
			claimed, err := s.Notes().Claim(t.Context(), "github", 8, time.Minute)
			if cost := explainer.Take(); err != nil || len(claimed) != 0 || len(cost) != 1 {
				t.Errorf("a claim without rows is %v, %v with %+v", claimed, err, cost)
			}
		}
		if costs[0] != costs[1] {
			t.Errorf("a request costs %d statements without comments, and %d where they are off", costs[0], costs[1])
		}
	})
}

// A claim of a job reads no more rows with thousands waiting than with a hundred.
func TestClaimOfAJobReadsTheSameHoweverManyWait(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		read := func(hundreds int) (statements, rows int) {
			p := newPlanned(t, e)
			if err := p.Fill(t.Context(), hundreds); err != nil {
				t.Fatal(err)
			}
			explainer := p.Explain(t, p.url)
			for _, worker := range []string{"v", "w"} {
				_, _, err := p.ClaimJob(t.Context(), store.Claimant{
					Worker: worker, Scanners: []string{"gitleaks", "lint"}, Lease: time.Minute, After: 5, PerProject: 2,
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range explainer.Take() {
				statements++
				for _, r := range s.Reads {
					rows += r.Rows
					if r.Index == "" && r.Table == "scan_jobs" {
						t.Errorf("%+v in%s", r, s.SQL)
					}
				}
			}
			return statements, rows
		}
		few, fewRows := read(1)
		many, manyRows := read(30)
		if few != many || fewRows < manyRows { // of a table of a page or two, PostgreSQL may read more
			t.Errorf("%d statements and %d rows with a hundred, %d and %d with thousands", few, fewRows, many, manyRows)
		}
	})
}
