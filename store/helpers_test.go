package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func newBranch(_ *core.Delivery, p *core.Push) { p.Before = strings.Repeat("0", 40) }

// accept stores the push and returns its scan.
func accept(t *testing.T, s *store.Store, d core.Delivery, p core.Push) core.Scan {
	t.Helper()
	receipt, err := s.Accept(t.Context(), storetest.With(d, p))
	if err != nil {
		t.Fatal(err)
	}
	return get(t, s, receipt.Reference)
}

func get(t *testing.T, s *store.Store, reference string) core.Scan {
	t.Helper()
	scan, err := s.GetScan(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

// named is the scan of the n-th commit, which an upload names with what it knows; acme/shop if nothing else is said.
func named(t *testing.T, s *store.Store, n int, commit core.Scan) core.Scan {
	t.Helper()
	commit.SourcePlatform, commit.ProjectName, commit.CommitSHA = "github", cmp.Or(commit.ProjectName, "acme/shop"), storetest.SHA(n)
	receipt, err := s.AcceptCommit(t.Context(), commit, "ci")
	if err != nil {
		t.Fatal(err)
	}
	return get(t, s, receipt.Reference)
}

// run claims the next gitleaks job and finishes it with findings.
func run(t *testing.T, s *store.Store, findings ...core.Finding) {
	t.Helper()
	job := claimJob(t, s, by("worker", scanners...))
	if err := s.FinishJob(t.Context(), job, core.Report{Findings: findings}); err != nil {
		t.Fatal(err)
	}
}

// runAll finishes all jobs that wait.
func runAll(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		job, _, err := s.ClaimJob(t.Context(), by("worker", scanners...))
		if errors.Is(err, core.ErrNotFound) {
			return
		}
		if err == nil {
			err = s.FinishJob(t.Context(), job, core.Report{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func finding(rule string, severity core.Severity) core.Finding {
	return core.Finding{Tool: "gitleaks", RuleID: rule, File: "a.go", Line: 3, Severity: severity, Snippet: "x := " + rule}
}

func statusOf(t *testing.T, s *store.Store, scan core.Scan) core.Status {
	t.Helper()
	list, err := s.ListStatuses(t.Context(), scan)
	if err != nil || len(list) != 1 {
		t.Fatalf("ListStatuses: %d rows, error %v, want 1 row", len(list), err)
	}
	return list[0]
}

func ids(scans []core.Scan) (list []int64) {
	for _, scan := range scans {
		list = append(list, scan.ID)
	}
	return list
}

func deliveryFilters(rows int) (list []store.DeliveryFilter) {
	for _, platform := range []string{"", "github", "gitlab", "none"} {
		for _, project := range []string{"", "acme/monolith", "team7/app7", "none/none"} {
			for _, state := range append([]core.DeliveryState{"", "none"}, core.DeliveryStates...) {
				f := store.DeliveryFilter{Platform: platform, Project: project, State: state, Limit: 51}
				deep, back := f, f
				deep.Before, back.After = int64(rows/2), int64(rows/2)
				list = append(list, f, deep, back)
			}
		}
	}
	return list
}

// fillLists makes a history of so many scans and deliveries. Four in five scans are of acme/monolith, which passes
// since its first percent; acme/legacy fails since then; gitlab is silent since the first thousandth; the last 200 are
// open.
func fillLists(b testing.TB, s *store.Store, engine string, rows int) {
	b.Helper()
	uuid := `'00000000-0000-4000-8000-' || digits`
	if engine == "postgres" {
		uuid = `CAST(` + uuid + ` AS UUID)`
	}
	start := time.Now()
	execute(b, s, `
		INSERT INTO projects (platform, name, name_key, default_branch, seen_at)
		WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < 998),
		names AS (SELECT CASE i WHEN 997 THEN 'acme/monolith' WHEN 998 THEN 'acme/legacy'
			ELSE 'team' || i || '/app' || i END AS name FROM numbers)
		SELECT platforms.name, names.name, names.name, 'main', '2026-01-02 03:04:05+00:00'
		FROM names, (SELECT 'github' AS name UNION ALL SELECT 'gitlab') platforms`)
	execute(b, s, fmt.Sprintf(`
		INSERT INTO scans (reference_id, project_id, source_platform, project_name, branch, default_branch, commit_sha, timestamp,
			deadline_at, status, verdict, summary)
		WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %[1]d),
		named AS (SELECT i, i <= %[1]d / 100 AS early, i > %[1]d - 200 AS open,
			substr('000000000000' || i, length(CAST(i AS TEXT)) + 1, 12) AS digits,
			CASE WHEN i %% 5 < 4 THEN 'acme/monolith' WHEN i %% 25 = 4 THEN 'acme/legacy'
				ELSE 'team' || (i / 5 %% 997) || '/app' || (i / 5 %% 997) END AS project,
				CASE WHEN i <= %[1]d / 1000 THEN 'gitlab' ELSE 'github' END AS platform
			FROM numbers)
		SELECT `+uuid+`, (SELECT id FROM projects WHERE projects.platform = named.platform AND name_key = project AND gone_at IS NULL),
			platform, project,
			CASE WHEN i %% 2 = 0 THEN 'main' ELSE 'feature/' || (i / 50) END, 'main',
			'0000000000000000000000000000' || digits, '2026-01-02 03:04:05+00:00', '2026-01-02 04:04:05+00:00',
			CASE WHEN open THEN 'pending' WHEN early AND i %% 7 = 0 THEN 'failed' ELSE 'completed' END,
			CASE WHEN open OR early AND i %% 7 = 0 THEN NULL
				WHEN project = 'acme/monolith' THEN CASE WHEN early AND i %% 3 = 0 THEN 'fail' ELSE 'pass' END
				WHEN project = 'acme/legacy' THEN CASE WHEN early AND i %% 3 = 0 THEN 'pass' ELSE 'fail' END
				WHEN i %% 3 = 0 THEN 'fail' ELSE 'pass' END,
			'0 new, 3 known'
		FROM named ORDER BY i`, rows))
	execute(b, s, outcomesOfScans)
	execute(b, s, `
		INSERT INTO refs (project_id, name, sha, moved_at)
		SELECT project_id, 'refs/heads/main', MAX(commit_sha), '2026-01-02 03:04:05+00:00' FROM scans
		WHERE branch = 'main' GROUP BY project_id`)
	execute(b, s, `
		INSERT INTO deliveries (platform, delivery_key, event, project_name, state, outcome, scan_id, received_at)
		SELECT source_platform, commit_sha, 'push', project_name,
			CASE WHEN status = 'failed' THEN 'failed' WHEN id % 3 = 0 THEN 'ignored' WHEN status = 'pending' THEN 'kept' ELSE 'derived' END,
			CASE WHEN id % 3 = 0 THEN 'pipeline_recorded' ELSE 'scan_created' END, id, timestamp
		FROM scans ORDER BY id`)
	if engine == "postgres" { // as autovacuum does; nobody does it for SQLite
		execute(b, s, storetest.AnalyzeOwn)
	}
	b.Logf("%s: %d scans and deliveries made in %s", engine, rows, time.Since(start).Round(time.Millisecond))
}

// outcomesOfScans makes the outcomes of scans that SQL has made.
const outcomesOfScans = `
	INSERT INTO outcomes (scan_id, source_platform, project_id, branch, outcome)
	SELECT id, source_platform, project_id, branch, COALESCE(verdict, status) FROM scans
	WHERE status IN ('completed', 'failed') ORDER BY id`

func execute(b testing.TB, s *store.Store, statement string) {
	b.Helper()
	tx, err := s.Begin(b.Context())
	if err == nil {
		_, err = tx.ExecContext(b.Context(), statement)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		b.Fatal(err)
	}
}

// step is a push as it is announced: "1>2", or "~0>3" where no webhook announced it and recover found the branch there.
func step(t *testing.T, text string, n int) (core.Delivery, core.Push) {
	t.Helper()
	var before, after int
	if _, err := fmt.Sscanf(strings.TrimPrefix(text, "~"), "%d>%d", &before, &after); err != nil {
		t.Fatal(err)
	}
	d, p := storetest.PushOf(after)
	d.Key = fmt.Sprint("step-", n)
	p.Before = storetest.SHA(before)
	if strings.HasPrefix(text, "~") {
		d.Name = core.OriginReconcile
	}
	return d, p
}

// now is what the tests' project, acme/shop, is called later.
var now = called("acme/store", "42")

// known makes a store in which the first commit of acme/shop was scanned, with a false positive.
func known(t *testing.T, e storetest.Engine, change ...change) *store.Store {
	t.Helper()
	s := twoScanners(t, e)
	old := pushed(t, s, 1, change...)
	deliver(t, s, old, "semgrep", found("a", "b"))
	deliver(t, s, old, "trivy", found("c"))
	say(t, s, findingsOf(t, s, old)["b"], core.FalsePositive)
	return s
}

// seen has the platform answer where refs of a project stand; an empty SHA says that one is gone.
func seen(t *testing.T, s *store.Store, w store.TrackedProject, answer ...core.Ref) {
	t.Helper()
	picture, err := s.GetPicture(t.Context(), w.ProjectID)
	if err == nil {
		err = s.SeeRefs(t.Context(), w, picture, answer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func sighting(name, ref string) store.KnownProject {
	return store.KnownProject{SourcePlatform: "github", ProjectName: name, ProjectRef: ref}
}

// clock is a settable time for a store.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// by is a worker that leases a job for a minute.
func by(worker string, scanners ...string) store.Claimant {
	return store.Claimant{Worker: worker, Scanners: scanners, Lease: time.Minute}
}

func claimJob(t *testing.T, s *store.Store, by store.Claimant) core.Job {
	t.Helper()
	job, _, err := s.ClaimJob(t.Context(), by)
	if err != nil {
		t.Fatalf("claiming for %s: %v", by.Worker, err)
	}
	return job
}

func reportOf(titles ...string) core.Report {
	var report core.Report
	for i, title := range titles {
		report.Findings = append(report.Findings, core.Finding{
			Tool: "gitleaks", RuleID: title, File: "a.go", Line: i + 1, Severity: core.Severities[i%4], Snippet: title,
		})
	}
	return report
}

// scanned pushes commit n and delivers a report for it.
func scanned(t *testing.T, s *store.Store, n int, report core.Report) core.Scan {
	t.Helper()
	return deliver(t, s, pushed(t, s, n), "gitleaks", report)
}

// after moves a filter behind the last finding seen.
func after(f store.FindingFilter, last core.Finding) store.FindingFilter {
	f.AfterKEV, f.AfterRank, f.AfterID, f.AfterProbability = last.KEV, last.Severity.Rank(), last.ID, 0
	if last.EPSSProbability != nil {
		f.AfterProbability = *last.EPSSProbability
	}
	return f
}

// replicas are two stores of one database.
func replicas(t *testing.T, e storetest.Engine) (both []*store.Store) {
	t.Helper()
	url := e.URL(t)
	for range 2 {
		both = append(both, storetest.OpenAt(t, url, store.Config{}))
	}
	return both
}

// twoScanners makes a store whose repositories have two scanners that deliver from outside.
func twoScanners(t *testing.T, e storetest.Engine) *store.Store {
	t.Helper()
	return scannedBy(t, e, "semgrep", "trivy")
}

func scannedBy(t *testing.T, e storetest.Engine, scanners ...string) *store.Store {
	t.Helper()
	policy := storetest.Policy
	policy.Scanners = scanners
	return e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
}

func deliver(t *testing.T, s *store.Store, scan core.Scan, scanner string, report core.Report) core.Scan {
	t.Helper()
	after, err := s.PutReport(t.Context(), scan.ReferenceID, scanner, report)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func found(rules ...string) (report core.Report) {
	for _, rule := range rules {
		report.Findings = append(report.Findings, finding(rule, core.Low))
	}
	return report
}

// baselines maps each scanner of a scan to the commit that it was compared with.
func baselines(t *testing.T, s *store.Store, scan core.Scan) map[string]string {
	t.Helper()
	jobs, err := s.ListJobs(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	compared := map[string]string{}
	for _, job := range jobs {
		if job.BaselineCommit != "" {
			compared[job.Scanner] = job.BaselineCommit
		}
	}
	return compared
}

// change adjusts a push.
type change = func(*core.Delivery, *core.Push)

// pushed opens the scan of the n-th commit, of main unless the push is changed.
func pushed(t *testing.T, s *store.Store, n int, changes ...change) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, changes...)
	return accept(t, s, d, p)
}

// vulnerable is a finding that names CVE n.
func vulnerable(n int, severity core.Severity) core.Finding {
	f := finding(fmt.Sprint("dependency-", n), severity)
	f.CVEID = cve(n)
	return f
}

// findingsOf are a scan's findings by rule.
func findingsOf(t *testing.T, s *store.Store, scan core.Scan) map[string]core.Finding {
	t.Helper()
	list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	byRule := map[string]core.Finding{}
	for _, f := range list {
		byRule[f.RuleID] = f
	}
	return byRule
}

// say gives feedback on a finding.
func say(t *testing.T, s *store.Store, f core.Finding, verdict core.Triage) store.Triaged {
	t.Helper()
	after, err := s.RecordFeedback(t.Context(), core.Feedback{
		FindingID: f.ID, UserVerdict: verdict, Author: "alice", Comments: "because",
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func patch(t *testing.T, s *store.Store, f core.Finding, said core.TriageUpdate) store.Triaged {
	t.Helper()
	if said.Source == "" {
		said.Source = core.ByScanner
	}
	after, err := s.PatchFinding(t.Context(), f.ID, said)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func decisionOf(f core.Finding) core.Triage {
	if f.TriageDecision == nil {
		return ""
	}
	return *f.TriageDecision
}

func wantStatus(t *testing.T, s *store.Store, scan core.Scan, when string, state core.StatusState, text string) {
	t.Helper()
	if st := statusOf(t, s, scan); st.State != state || st.Description != text {
		t.Errorf("%s: the wanted status is %s %q, want %s %q", when, st.State, st.Description, state, text)
	}
}

// scanOn pushes the n-th commit to a branch that left the default branch at a commit nobody has scanned.
func scanOn(t *testing.T, s *store.Store, n int, branch string, findings ...core.Finding) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, storetest.OnBranch(branch))
	p.Before = strings.Repeat("0", 40)
	refs, err := s.ListRefs(t.Context(), d.Platform, p.Project.Name, "", 1000)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		t.Fatal(err)
	}
	for _, ref := range refs {
		if ref.Name == p.Ref {
			p.Before = ref.SHA
		}
	}
	scan := accept(t, s, d, p)
	run(t, s, findings...)
	return get(t, s, scan.ReferenceID)
}

// postAll makes the platform show all that is wanted.
func postAll(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		claimed, err := s.ClaimStatuses(t.Context(), github, 100, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(claimed) == 0 {
			return
		}
		for _, status := range claimed {
			settle(t, s, status, store.PostResult{Posted: true})
		}
	}
}

var github = []string{"github"}

// claimOne claims the only status that is due.
func claimOne(t *testing.T, s *store.Store) core.Status {
	t.Helper()
	claimed, err := s.ClaimStatuses(t.Context(), github, 10, time.Minute)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d statuses, %v, want 1", len(claimed), err)
	}
	return claimed[0]
}

func nothingDue(t *testing.T, s *store.Store, when string) {
	t.Helper()
	if claimed, err := s.ClaimStatuses(t.Context(), github, 10, time.Minute); err != nil || len(claimed) != 0 {
		t.Fatalf("%s: claimed %d, %v, want none", when, len(claimed), err)
	}
}

func settle(t *testing.T, s *store.Store, status core.Status, end store.PostResult) {
	t.Helper()
	if err := s.SettleStatus(t.Context(), status, end); err != nil {
		t.Fatal(err)
	}
}

func posts(t *testing.T, s *store.Store, scan core.Scan) []core.StatusPost {
	t.Helper()
	list, err := s.ListPosts(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func pushTo(t *testing.T, s *store.Store, n int, branch string) core.Scan {
	t.Helper()
	return pushed(t, s, n, storetest.OnBranch(branch))
}

// record stores a workflow run of commit n and returns its scan.
func record(t *testing.T, s *store.Store, n int, change ...func(*core.Pipeline)) core.Scan {
	t.Helper()
	d, run := workflow(n, change...)
	receipt, err := s.Accept(t.Context(), storetest.With(d, run))
	if err != nil || receipt.Outcome != core.PipelineRecorded {
		t.Fatalf("Accept: %+v, %v", receipt, err)
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

// steady records 25 ordinary runs of commits 1 to 25, all of them pushed before.
func steady(t *testing.T, s *store.Store) {
	t.Helper()
	for n := 1; n <= 25; n++ {
		pushed(t, s, n)
		record(t, s, n, artifact(41e6+int64(n%5)*1e5))
	}
}

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

// cve is the n-th vulnerability.
func cve(n int) string { return fmt.Sprintf("CVE-2024-%04d", n) }

// scores is an edition of EPSS that gives CVE n the probability of its n-th argument; a negative one leaves it out.
func scores(date time.Time, probabilities ...float64) core.Feed {
	feed := core.Feed{Kind: core.FeedEPSS, Date: date, Version: "v2025.03.14", Source: "scores.csv"}
	for n, p := range probabilities {
		if p >= 0 {
			feed.Scores = append(feed.Scores, core.Score{CVEID: cve(n), Probability: p, Percentile: p / 2})
		}
	}
	return feed
}

// catalog is an edition of KEV that lists the n-th vulnerabilities.
func kevCatalog(list ...int) core.Feed {
	feed := core.Feed{Kind: core.FeedKEV, Version: "2026.11.23", Source: "kev.json"}
	for _, n := range list {
		feed.Scores = append(feed.Scores, core.Score{CVEID: cve(n), KEV: true})
	}
	return feed
}

func put(t *testing.T, s *store.Store, feed core.Feed) core.FeedChange {
	t.Helper()
	change, err := s.PutFeed(t.Context(), feed, store.FeedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return change
}

var firstDay = time.Date(2026, 8, 16, 12, 55, 0, 0, time.UTC)

const day = 24 * time.Hour

// awaitBlocked waits until another transaction waits for this one.
func awaitBlocked(t *testing.T, tx *sqlx.Tx) error {
	t.Helper()
	for waits, n := false, 0; !waits && n < 500; n++ {
		err := tx.GetContext(t.Context(), &waits, `SELECT EXISTS (SELECT 1 FROM pg_locks
			WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))`)
		if err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func inProject(name string) func(*core.Delivery, *core.Push) {
	return called(name, name)
}
