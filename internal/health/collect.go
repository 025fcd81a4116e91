package health

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// other stands for platforms and scanners in the database that the configuration does not have any more.
const other = "other"

// Describe is part of prometheus.Collector. What there is to tell depends on the database, so nothing is promised.
func (h *Health) Describe(chan<- *prometheus.Desc) {}

// Collect is part of prometheus.Collector.
func (h *Health) Collect(to chan<- prometheus.Metric) {
	s := h.look(context.Background())
	r := readings{to: to, now: h.Now()}
	r.tell("intake_queue_length", "Deliveries that wait in this process for the database.", float64(s.queue))
	r.flag("database_up", "Whether the database answers and can write.", s.up())
	if h.Fault != nil {
		r.flag("runner_up", "Whether this process can check commits out; while it cannot, jobs wait.", h.Fault() == nil)
	}
	if s.err == nil {
		r.tell("database_ping_seconds", "Time that the database took to answer.", s.flow.Ping.Seconds())
		h.collectJobs(r, s.flow.Jobs)
		h.collectStatuses(r, s.flow)
		collectScans(r, s.flow)
		collectLists(r, s.flow.Lists)
	}
	h.collectPauses(r)
	h.collectHooks(r)
	collectDisks(r, s.disks)
}

func (h *Health) collectJobs(r readings, rows []store.JobsUnderWay) {
	type key struct {
		scanner string
		state   core.JobState
	}
	jobs := map[key]pile{}
	for _, scanner := range h.Scanners {
		jobs[key{scanner, core.JobPending}], jobs[key{scanner, core.JobRunning}] = pile{}, pile{}
	}
	for _, row := range rows {
		at := key{row.Scanner, row.State}
		if _, known := jobs[at]; !known {
			at.scanner = other
		}
		jobs[at] = jobs[at].with(row.Count, row.Since)
	}
	for at, p := range jobs {
		labels := []string{"scanner", at.scanner, "state", string(at.state)}
		r.tell("jobs", "Jobs that have not ended; those of uploads wait for CI.", float64(p.count), labels...)
		r.tell("oldest_job_age_seconds", "Time since the oldest job's scan was asked for; 0 where there is none.",
			r.age(p.since), labels...)
	}
}

func (h *Health) collectStatuses(r readings, flow store.Flow) {
	for name, p := range h.byPlatform(flow.Statuses) {
		r.tell("statuses_unposted", "Commit statuses that are wanted and not posted, without those given up.",
			float64(p.count), "platform", name)
		r.tell("oldest_unposted_status_age_seconds", "Time since the oldest of them was wanted; 0 where there is none.",
			r.age(p.since), "platform", name)
	}
	for name, p := range h.byPlatform(flow.Troubles) {
		r.tell("projects_in_trouble", "Projects whose statuses wait because the token may not post them.",
			float64(p.count), "platform", name)
	}
}

// byPlatform has a pile for each configured platform, and one for all others where something waits for them.
func (h *Health) byPlatform(rows []store.Waiting) map[string]pile {
	piles := map[string]pile{}
	for _, platform := range h.Platforms {
		piles[platform.Name] = pile{}
	}
	for _, row := range rows {
		name := h.nameOf(row.Platform)
		piles[name] = piles[name].with(row.Count, row.Since)
	}
	return piles
}
