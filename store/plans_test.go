//go:build !race

// Plans are the same under the race detector, which would take minutes to fill the databases.

package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
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

func newBranch(_ *core.Delivery, p *core.Push) { p.Before = strings.Repeat("0", 40) }

func inProject(name string) func(*core.Delivery, *core.Push) {
	return func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name = name, name }
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
	p.Store, err = store.Open(t.Context(), store.Config{
		URL: p.url, Policies: core.Policies{{Match: "**", Policy: policy}}, Scanners: storetest.Scanners,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Store.Close() })
	driver, dsn := e.Name, strings.TrimPrefix(p.url, "sqlite:")
	if p.db, err = sql.Open(driver, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	if e.Name == "postgres" {
		for _, table := range largeTables {
			p.exec(`ALTER TABLE ` + table + ` SET (autovacuum_enabled = false)`)
		}
	}
	return p
}

var largeTables = []string{"scans", "scan_jobs", "findings", "deliveries", "commit_statuses", "status_posts"}

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
		var pushes []core.Push
		for n := range planPart {
			d, push := shape(1 + part*planPart + n)
			deliveries, pushes = append(deliveries, d), append(pushes, push)
		}
		if err := p.AcceptTogether(deliveries, pushes); err != nil {
			p.t.Fatal(err)
		}
		if part == analyzed {
			p.exec(`ANALYZE`)
		}
	}
	p.exec(`UPDATE scan_jobs SET state = 'completed' WHERE state = 'pending'`)
	p.exec(`INSERT INTO findings (scan_id, job_id, tool, rule_id, file, line, severity, fingerprint)
		SELECT scan_id, id, scanner, 'R1', 'a.go', 1, 'Low', CAST(id AS TEXT) FROM scan_jobs`)
	p.exec(`INSERT INTO status_posts (status_id, scan_id, context, revision, state, description, outcome, at, last_at)
		SELECT id, scan_id, context, revision, state, '', 'posted', desired_at, desired_at FROM commit_statuses`)
	p.exec(`UPDATE scans SET status = 'completed', verdict = 'pass' WHERE status = 'pending'`)
	p.exec(`UPDATE commit_statuses SET posted_revision = revision, posted_state = 'success'`)
	if analyzed == planParts {
		p.exec(`ANALYZE`)
	}
}

// wayOfAPush does all that a push leads to, step by step.
func (p planned) wayOfAPush(e *store.Explainer, d core.Delivery, push core.Push) map[string][]store.Explained {
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
		_, err := p.AcceptPush(ctx, d, push)
		return err
	})
	step("claim", func(ctx context.Context) (err error) {
		job, scan, err = p.ClaimJob(ctx, store.Claimant{Worker: "w", Scanners: []string{"gitleaks"}, Lease: time.Minute})
		return err
	})
	step("baseline", func(ctx context.Context) error {
		_, _ = p.GetBaseline(ctx, scan, job)
		return nil
	})
	step("finish", func(ctx context.Context) error {
		return p.FinishJob(ctx, job, core.Report{Findings: []core.Finding{finding("R1", core.High)}})
	})
	step("upload", func(ctx context.Context) error {
		_, err := p.AcceptCommit(ctx, core.Scan{
			SourcePlatform: "github", ProjectName: push.Project.Name, CommitSHA: storetest.SHA(900_000), Branch: push.Branch(),
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
		d, push := storetest.PushOf(950_000, inProject(push.Project.Name))
		d.Key += push.Project.Name + push.Ref
		_, err := p.AcceptPush(ctx, d, push)
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
		_, err := p.AcceptPush(ctx, d, push)
		return err
	})
	step("expire", func(ctx context.Context) error {
		_, err := p.ExpireScans(ctx, false)
		return err
	})
	return steps
}

// Every statement on the way of a push finds its rows by a key, whatever the engine knows of the tables.
func TestPlansByKey(t *testing.T) {
	t.Parallel()
	type state struct {
		first    string
		analyzed int // after which part; never where there is none
	}
	states := map[string]state{"never analyzed": {"a chain", -1}, "analyzed when full": {"a chain", planParts}}
	for shape := range shapes {
		states["analyzed after "+shape] = state{shape, 1}
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, state := range states {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPlanned(t, e)
				p.fill(state.first, state.analyzed)
				explainer := p.Explain(t, p.url)
				for n, next := range slices.Sorted(maps.Keys(shapes)) {
					d, push := shapes[next](1 + planParts*planPart + 1000*n)
					for step, statements := range p.wayOfAPush(explainer, d, push) {
						for _, s := range statements {
							judgePlan(t, "after a push as "+next+", "+step, s)
						}
					}
				}
			})
		}
	})
}

// keys are columns that identify the rows of a table, or nearly.
var keys = regexp.MustCompile(`\b(id|rowid|reference_id|commit_sha|before_sha|merge_base_sha|scan_id|job_id|baseline_scan_id|delivery_key|status_id)\s*(=|\))`)

// walked are indexes of which only the first entries are read, because the rows lie in the order that is asked for, or
// because they hold few.
var walked = []string{
	"scans_by_branch", "scans_by_project", "scans_naming_default", "scans_open", "scans_recovered",
	"scan_jobs_fresh", "scan_jobs_postponed", "scan_jobs_held", "commit_statuses_due", "commit_statuses_waiting", "commit_statuses_to_check",
}

// mostRows is how many rows of a table a statement may look at.
const mostRows = 60

func judgePlan(t *testing.T, when string, s store.Explained) {
	t.Helper()
	for _, r := range s.Reads {
		if !slices.Contains(largeTables, r.Table) {
			continue
		}
		walks := slices.Contains(walked, r.Index)
		if r.Index == "" || r.Rows > mostRows || walks && r.Bits || !keys.MatchString(r.Cond) && !walks {
			t.Errorf("%s: %+v in%s", when, r, s.SQL)
		}
	}
}
