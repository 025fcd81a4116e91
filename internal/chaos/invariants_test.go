package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

// violations are what a run found, by the promise that was broken.
type violations map[string][]string

// The promises.
const (
	lost            = "acknowledged and lost"
	duplicated      = "done twice"
	wrongStatus     = "the platform shows something else"
	refused         = "refused by the platform's rules"
	ignoredLimit    = "called in spite of Retry-After"
	needlessFailure = "failed without need"
	falselyDead     = "taken for dead"
	unexpected      = "unexpected answers and log records"
)

func (b violations) add(promise, format string, args ...any) {
	b[promise] = append(b[promise], fmt.Sprintf(format, args...))
}

// String shows a few of each kind.
func (b violations) String() string {
	var text strings.Builder
	for _, promise := range slices.Sorted(maps.Keys(b)) {
		list := b[promise]
		fmt.Fprintf(&text, "%s: %d\n", promise, len(list))
		for _, one := range list[:min(len(list), 8)] {
			fmt.Fprintf(&text, "    %s\n", one)
		}
	}
	return text.String()
}

// posting is how many statuses a process posts at the same time.
const posting = 16

// check compares what was acknowledged with what the database holds and the platforms show.
func (c *cluster) check(t *testing.T, s *sender, d *disruptor, pushes []*push) violations {
	t.Helper()
	b, r := violations{}, readRows(t, c.database.open(t))
	b.checkAcks(r, s)
	c.checkDeaths(b, r)
	b.checkScans(r, pushes)
	c.checkStatuses(b, r)
	c.checkCalls(b, posting*(d.kills+d.restarts+d.freezes+d.stalls))
	c.checkLogs(t, b)
	for what, n := range s.strange {
		b.add(unexpected, "%d × %s", n, what)
	}
	return b
}

func (b violations) checkAcks(r rows, s *sender) {
	for _, ack := range s.acks {
		switch n := r.deliveries[ack.key]; {
		case n == 0:
			b.add(lost, "delivery %s of %s", ack.key, ack.push.commit())
		case n > 1:
			b.add(duplicated, "delivery %s was kept %d times", ack.key, n)
		}
		scan, known := r.byRef[ack.reference]
		if !known {
			b.add(lost, "scan %q, the answer to the push of %s", ack.reference, ack.push.commit())
		}
		if n := r.pipelines[scan.ID][ack.pipeline]; ack.pipeline != 0 && n != 1 {
			b.add(lost, "pipeline %d of %s was kept %d times", ack.pipeline, ack.push.commit(), n)
		}
	}
	for _, ack := range s.uploads {
		scan, known := r.byRef[ack.reference]
		job := r.jobs[scan.ID][uploadScanner]
		if !known || job.State != core.JobCompleted || job.NumFindings != ack.push.findings {
			b.add(lost, "report of %s for %s: the job is %q with %d of %d findings", uploadScanner, ack.push.commit(),
				job.State, job.NumFindings, ack.push.findings)
		}
	}
}

// leaseTime is the length of a lease.
const leaseTime = 30 * time.Second

// maxLapses is how many workers a job may lose. It fails then, because it may be the cause.
const maxLapses = 3

// checkDeaths wants every worker that a job has lost to have been killed or stalled.
func (c *cluster) checkDeaths(b violations, r rows) {
	for _, jobs := range r.jobs {
		for _, job := range jobs {
			lost := strings.Split(job.LostWorkers, ", ")
			if job.Lapses == 0 {
				lost = nil
			}
			if len(lost) != job.Lapses {
				b.add(falselyDead, "job %d lost %d workers and names %q", job.ID, job.Lapses, job.LostWorkers)
			}
			for _, worker := range lost {
				if !c.disrupted(worker) {
					b.add(falselyDead, "%s, of job %d", worker, job.ID)
				}
			}
		}
	}
}

// disrupted tells whether a worker's process was killed or stalled. The name is host/pid/…
func (c *cluster) disrupted(worker string) bool {
	_, rest, _ := strings.Cut(worker, "/")
	pid, _, _ := strings.Cut(rest, "/")
	return slices.ContainsFunc(c.replicas, func(r *replica) bool {
		return slices.ContainsFunc(r.victims, func(victim int) bool { return strconv.Itoa(victim) == pid })
	})
}

func (b violations) checkScans(r rows, pushes []*push) {
	for _, p := range pushes {
		scans := r.scans[p.commit()]
		switch {
		case len(scans) == 0:
			b.add(lost, "the scan of %s", p.commit())
			continue
		case len(scans) > 1 || scans[0].Attempt != 1:
			b.add(duplicated, "%s has %d scans", p.commit(), len(scans))
		}
		scan := scans[0]
		if scan.Status == core.ScanFailed && scan.SupersededBy == "" && r.jobs[scan.ID][checkedScanner].Lapses < maxLapses {
			b.add(needlessFailure, "%s: %s", p.commit(), scan.Error)
		}
		if p.checked && !scan.Status.Ended() || p.uploaded && scan.Status != core.ScanCompleted {
			b.add(lost, "%s is %s", p.commit(), scan.Status)
		}
	}
}

// checkStatuses compares what the scan means, what the row wants, and what the platform shows.
func (c *cluster) checkStatuses(b violations, r rows) {
	for _, scan := range r.byRef {
		statuses := r.statuses[scan.ID]
		if len(statuses) != 1 {
			b.add(wrongStatus, "%s has %d statuses", scan.CommitSHA, len(statuses))
			continue
		}
		want := statuses[0]
		state, description := core.StatusFor(scan)
		if want.State != state || want.Description != description {
			b.add(wrongStatus, "%s: the row wants %s %q, the scan means %s %q", scan.CommitSHA,
				want.State, want.Description, state, description)
		}
		if want.GivenUp || want.PostedRevision != want.Revision {
			b.add(wrongStatus, "%s: revision %d of %d posted, given up %t: %s", scan.CommitSHA,
				want.PostedRevision, want.Revision, want.GivenUp, want.LastError)
		}
		shown, _ := c.platforms[want.SourcePlatform].Latest(want.ProjectName, want.CommitSHA, want.Context)
		if shown.State != stateOn(want.SourcePlatform, want.State) || shown.Description != want.Description ||
			shown.TargetURL != want.TargetURL {
			b.add(wrongStatus, "%s %s: shows %s %q, wanted %s %q", want.SourcePlatform, want.CommitSHA,
				shown.State, shown.Description, want.State, want.Description)
		}
	}
}

func stateOn(platform string, state core.StatusState) string {
	words := map[core.StatusState]string{core.StatusCancelled: "error"}
	if platform == "gitlab" {
		words = map[core.StatusState]string{
			core.StatusPending: "running", core.StatusFailure: "failed", core.StatusError: "failed",
			core.StatusCancelled: "canceled",
		}
	}
	if word := words[state]; word != "" {
		return word
	}
	return string(state)
}

// repeated is GitLab's answer to a status that it has already. It is expected after an answer that was lost with the
// connection or with the process that waited for it.
const repeated = "Cannot transition status via :run from :running"

// checkCalls allows as many repeated statuses as answers can have been lost.
func (c *cluster) checkCalls(b violations, excuses int) {
	repeats := 0
	for _, p := range c.platforms {
		for _, call := range p.Refused() {
			if strings.Contains(call.Reason, repeated) {
				repeats++
				continue
			}
			if strings.Contains(call.Path, "/compare/") {
				continue // a question for the history of a commit that was only declared
			}
			b.add(refused, "%s %s: %d %s", call.Method, call.Path, call.Status, call.Reason)
		}
		for _, breach := range p.breaches {
			b.add(ignoredLimit, "%s: %s", p.Name(), breach)
		}
		excuses += p.counts["lost answer"] + p.counts["hanging"] + p.counts["dropped"]
	}
	if repeats > excuses {
		b.add(refused, "%d statuses that GitLab had already, where %d answers can have been lost", repeats, excuses)
	}
}

// stoodStill tells whether a process of the replica was stalled shortly before; its job has another worker then.
func (r *replica) stoodStill(at time.Time) bool {
	return slices.ContainsFunc(r.stalls, func(w window) bool { return at.After(w.from) && at.Before(w.until.Add(leaseTime)) })
}

// checkLogs looks for jobs that were reported done more than once, for processes that lived and lost their job, and for
// crashes.
func (c *cluster) checkLogs(t *testing.T, b violations) {
	t.Helper()
	done := map[string]int{}
	for _, r := range c.replicas {
		for _, record := range r.records(t) {
			if record.Msg == "job done" {
				done[record.Scan+" "+record.Scanner]++
			}
			if strings.Contains(record.Msg, "handed on") && !r.stoodStill(record.Time) {
				b.add(falselyDead, "%s, which says of %s: %s", r.name, record.Scan, record.Msg)
			}
			if strings.Contains(record.Msg, "panic") {
				b.add(unexpected, "%s: %s: %s", r.name, record.Msg, record.Error)
			}
		}
	}
	for job, n := range done {
		if n > 1 {
			b.add(duplicated, "job %s was done %d times", job, n)
		}
	}
}
