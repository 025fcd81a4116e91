//go:build linux

package servetest

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Check compares what was acknowledged with what the database holds and the platforms show. As many answers of the platforms
// as excuses may have been lost, with their connections or with processes that waited for them.
func (c *Cluster) Check(t testing.TB, s *Sender, pushes []*Push, excuses int) Violations {
	t.Helper()
	b, r := Violations{}, c.readRows(t)
	b.checkAcks(r, s)
	c.checkDeaths(b, r)
	b.checkScans(r, pushes)
	c.checkStatuses(b, r)
	c.checkCalls(b, excuses)
	c.checkLogs(t, b)
	for what, n := range s.strange {
		b.Break(Unexpected, "%d × %s", n, what)
	}
	return b
}

func (b Violations) checkAcks(r rows, s *Sender) {
	for _, aside := range r.aside {
		b.Break(Lost, "what follows from delivery %s", aside)
	}
	for _, ack := range s.acks {
		switch n := r.kept[ack.key]; {
		case n == 0:
			b.Break(Lost, "delivery %s of %s", ack.key, ack.push.commit())
		case n > 1:
			b.Break(Duplicated, "delivery %s was kept %d times", ack.key, n)
		}
		scan, known := r.byRef[ack.reference]
		if scans := r.scans[ack.push.commit()]; ack.reference == "" && len(scans) > 0 { // the call could not be read when it came
			scan, known = scans[0], true
		}
		if !known {
			b.Break(Lost, "scan %q, the answer to the push of %s", ack.reference, ack.push.commit())
		}
		if n := r.pipelines[scan.ID][ack.pipeline]; ack.pipeline != 0 && n != 1 {
			b.Break(Lost, "pipeline %d of %s was kept %d times", ack.pipeline, ack.push.commit(), n)
		}
	}
	for _, ack := range s.uploads {
		scan, known := r.byRef[ack.reference]
		job := r.jobs[scan.ID][uploadScanner]
		if !known || job.State != core.JobCompleted || job.NumFindings != ack.push.findings {
			b.Break(Lost, "report of %s for %s: the job is %q with %d of %d findings", uploadScanner, ack.push.commit(),
				job.State, job.NumFindings, ack.push.findings)
		}
	}
}

// leaseTime is the length of a lease.
const leaseTime = 30 * time.Second

// maxLapses is how many workers a job may lose. It fails then, because it may be the cause.
const maxLapses = 3

// checkDeaths wants every worker that a job has lost to have been killed or stalled.
func (c *Cluster) checkDeaths(b Violations, r rows) {
	for _, jobs := range r.jobs {
		for _, job := range jobs {
			lost := strings.Split(job.LostWorkers, ", ")
			if job.Lapses == 0 {
				lost = nil
			}
			if len(lost) != job.Lapses {
				b.Break(FalselyDead, "job %d lost %d workers and names %q", job.ID, job.Lapses, job.LostWorkers)
			}
			for _, worker := range lost {
				if !c.disrupted(worker) {
					b.Break(FalselyDead, "%s, of job %d", worker, job.ID)
				}
			}
		}
	}
}

// disrupted tells whether a worker's process was killed or stalled. The name is host/pid/…
func (c *Cluster) disrupted(worker string) bool {
	_, rest, _ := strings.Cut(worker, "/")
	pid, _, _ := strings.Cut(rest, "/")
	return slices.ContainsFunc(c.Replicas, func(r *Replica) bool {
		return slices.ContainsFunc(r.victims, func(victim int) bool { return strconv.Itoa(victim) == pid })
	})
}

func (b Violations) checkScans(r rows, pushes []*Push) {
	for _, p := range pushes {
		scans := r.scans[p.commit()]
		switch {
		case len(scans) == 0:
			b.Break(Lost, "the scan of %s", p.commit())
			continue
		case len(scans) > 1 || scans[0].Attempt != 1:
			b.Break(Duplicated, "%s has %d scans", p.commit(), len(scans))
		}
		scan := scans[0]
		if scan.Status == core.ScanFailed && scan.SupersededBy == "" && r.jobs[scan.ID][checkedScanner].Lapses < maxLapses {
			b.Break(NeedlessFailure, "%s: %s", p.commit(), scan.Error)
		}
		if p.checked && !scan.Status.Ended() || p.uploaded && scan.Status != core.ScanCompleted {
			b.Break(Lost, "%s is %s", p.commit(), scan.Status)
		}
	}
}

// checkStatuses compares what the scan means, what the row wants, and what the platform shows.
func (c *Cluster) checkStatuses(b Violations, r rows) {
	for _, scan := range r.byRef {
		statuses := r.statuses[scan.ID]
		if len(statuses) != 1 {
			b.Break(WrongStatus, "%s has %d statuses", scan.CommitSHA, len(statuses))
			continue
		}
		want := statuses[0]
		state, description := core.StatusFor(scan)
		if want.State != state || want.Description != description {
			b.Break(WrongStatus, "%s: the row wants %s %q, the scan means %s %q", scan.CommitSHA,
				want.State, want.Description, state, description)
		}
		if want.GivenUp || want.PostedRevision != want.Revision {
			b.Break(WrongStatus, "%s: revision %d of %d posted, given up %t: %s", scan.CommitSHA,
				want.PostedRevision, want.Revision, want.GivenUp, want.LastError)
		}
		shown, _ := c.Platforms[want.SourcePlatform].Latest(want.ProjectName, want.CommitSHA, want.Context)
		if shown.State != stateOn(want.SourcePlatform, want.State) || shown.Description != want.Description ||
			shown.TargetURL != want.TargetURL {
			b.Break(WrongStatus, "%s %s: shows %s %q, wanted %s %q", want.SourcePlatform, want.CommitSHA,
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
func (c *Cluster) checkCalls(b Violations, excuses int) {
	repeats := 0
	for _, p := range c.Platforms {
		for _, call := range p.Refused() {
			if strings.Contains(call.Reason, repeated) {
				repeats++
				continue
			}
			if strings.Contains(call.Path, "/compare/") {
				continue // a question for the history of a commit that was only declared
			}
			b.Break(Refused, "%s %s: %d %s", call.Method, call.Path, call.Status, call.Reason)
		}
	}
	if repeats > excuses {
		b.Break(Refused, "%d statuses that GitLab had already, where %d answers can have been lost", repeats, excuses)
	}
}

// stoodStill tells whether a process of the replica was stalled shortly before; its job has another worker then.
func (r *Replica) stoodStill(at time.Time) bool {
	return slices.ContainsFunc(r.stalls, func(w window) bool { return at.After(w.from) && at.Before(w.until.Add(leaseTime)) })
}

// checkLogs looks for jobs that were reported done more than once, for processes that lived and lost their job, and for
// crashes.
func (c *Cluster) checkLogs(t testing.TB, b Violations) {
	t.Helper()
	done := map[string]int{}
	for _, r := range c.Replicas {
		for _, record := range r.Records(t) {
			if record.Msg == "job done" {
				done[record.Scan+" "+record.Scanner]++
			}
			if strings.Contains(record.Msg, "handed on") && !r.stoodStill(record.Time) {
				b.Break(FalselyDead, "%s, which says of %s: %s", r.Name, record.Scan, record.Msg)
			}
			if strings.Contains(record.Msg, "panic") {
				b.Break(Unexpected, "%s: %s: %s", r.Name, record.Msg, record.Error)
			}
		}
	}
	for job, n := range done {
		if n > 1 {
			b.Break(Duplicated, "job %s was done %d times", job, n)
		}
	}
}
