package health

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// Describe is part of prometheus.Collector. It describes nothing, because the gauges depend on the database.
func (h *Health) Describe(chan<- *prometheus.Desc) {}

// Collect is part of prometheus.Collector.
func (h *Health) Collect(to chan<- prometheus.Metric) {
	s := h.snapshots.get(context.Background())
	r := gauges{to: to, now: h.Now()}
	r.gauge("intake_queue_length", "Deliveries that wait in this process for the database.", float64(s.queue))
	for _, part := range h.Parts {
		r.flag("part", "Whether this process does a part of the work, as serve --only and --except say.", part.Here, "part", part.Name)
	}
	r.flag("database_up", "Whether the database answers and can write.", s.up())
	r.flag("config_current", "Whether the configuration in use is that of its file; while it is not, the log says why.", h.isCurrent())
	if h.Fault != nil {
		r.flag("runner_up", "Whether this process can check commits out; while it cannot, jobs wait.", h.Fault() == nil)
	}
	if s.err == nil {
		r.gauge("database_ping_seconds", "Time that the database took to answer.", s.flow.Ping.Seconds())
		h.collectCalls(r, s.flow)
		h.collectJobs(r, s.flow.Jobs)
		h.collectStatuses(r, s.flow)
		collectScans(r, s.flow)
		collectLists(r, s.flow.Lists)
	}
	h.collectPauses(r)
	h.collectConnections(r)
	h.collectHooks(r)
	collectDisks(r, s.disks)
}

func (h *Health) collectCalls(r gauges, flow store.Flow) {
	for name, p := range h.byPlatform(flow.Kept) {
		r.gauge("deliveries_kept", "Webhook calls that are on disk and not derived yet.", float64(p.count), "platform", name)
		r.gauge("oldest_kept_delivery_age_seconds", "Time since the oldest of them came; 0 where there is none.",
			r.age(p.since), "platform", name)
	}
	for name, p := range h.byPlatform(flow.SetAside) {
		r.gauge("deliveries_set_aside", "Webhook calls that could not be derived; they are kept until they are.",
			float64(p.count), "platform", name)
	}
}

func (h *Health) collectJobs(r gauges, rows []store.JobsUnderWay) {
	type key struct {
		scanner string
		state   core.JobState
	}
	jobs := map[key]backlog{}
	for _, scanner := range h.Scanners {
		jobs[key{scanner, core.JobPending}], jobs[key{scanner, core.JobRunning}] = backlog{}, backlog{}
	}
	for _, row := range rows {
		at := key{core.ScannerOf(row.Scanner), row.State}
		if _, known := jobs[at]; !known {
			at.scanner = other
		}
		jobs[at] = jobs[at].with(row.Count, row.Since)
	}
	for at, p := range jobs {
		labels := []string{"scanner", at.scanner, "state", string(at.state)}
		r.gauge("jobs", "Jobs that have not ended; those of uploads wait for CI.", float64(p.count), labels...)
		r.gauge("oldest_job_age_seconds", "Time since the oldest job's scan was asked for; 0 where there is none.",
			r.age(p.since), labels...)
	}
}

func (h *Health) collectStatuses(r gauges, flow store.Flow) {
	for name, p := range h.byPlatform(flow.Statuses) {
		r.gauge("statuses_unposted", "Commit statuses that are wanted and not posted, without those given up.",
			float64(p.count), "platform", name)
		r.gauge("oldest_unposted_status_age_seconds", "Time since the oldest of them was wanted; 0 where there is none.",
			r.age(p.since), "platform", name)
	}
	for name, p := range h.byPlatform(flow.Holds) {
		r.gauge("projects_on_hold", "Projects whose statuses wait because the token may not post them.",
			float64(p.count), "platform", name)
	}
}

// byPlatform has a backlog for each configured platform, and one for all others if something waits for them.
func (h *Health) byPlatform(rows []store.Backlog) map[string]backlog {
	backlogs := map[string]backlog{}
	for _, platform := range h.Platforms {
		backlogs[platform.Name] = backlog{}
	}
	for _, row := range rows {
		name := h.nameOf(row.Platform)
		backlogs[name] = backlogs[name].with(row.Count, row.Since)
	}
	return backlogs
}

func collectScans(r gauges, flow store.Flow) {
	open := map[core.ScanStatus]int{core.ScanPending: 0, core.ScanProcessing: 0}
	for _, row := range flow.Open {
		open[row.Status] += row.Count
	}
	for status, n := range open {
		r.gauge("scans_open", "Scans that have not ended.", float64(n), "status", string(status))
	}
	for _, row := range flow.Recent {
		r.gauge("recent_scans", "The last thousand scans by status and verdict.", float64(row.Count),
			"status", string(row.Status), "verdict", string(row.Verdict))
	}
}

func collectLists(r gauges, lists []core.FeedImport) {
	for _, list := range lists {
		r.gauge("list_age_seconds", "Age of the edition of EPSS or KEV that findings are joined with.",
			r.age(editionOf(list)), "list", string(list.Kind))
	}
}

func (h *Health) collectPauses(r gauges) {
	for _, platform := range h.Platforms {
		r.gauge("platform_pause_seconds", "Time until a platform may be called again; 0 when it may.",
			max(0, h.pause(platform.Name).Seconds()), "platform", platform.Name)
	}
}

func (h *Health) collectConnections(r gauges) {
	all := h.Store.Connections()
	r.gauge("database_connections_max", "Connections to the database that this process may open.", float64(all.Max))
	r.gauge("database_connections", "Connections to the database that are open.", float64(all.InUse), "state", "in_use")
	r.gauge("database_connections", "Connections to the database that are open.", float64(all.Idle), "state", "idle")
	r.counter("database_connection_waits_total", "Times that somebody waited for a connection to the database.", float64(all.Waits))
	r.counter("database_connection_wait_seconds_total", "Time that was waited for connections to the database.", all.Waited.Seconds())
}

func (h *Health) collectHooks(r gauges) {
	for _, name := range h.platformNames() {
		sum := h.summarize(name)
		r.gauge("hooks", "Projects whose webhook has called.", float64(sum.hooks), "platform", name)
		r.gauge("hooks_silent", "Projects whose webhook is silent though it should have called.",
			float64(sum.silent), "platform", name)
		r.gauge("longest_hook_silence_seconds", "Time since the last call of the silent webhook that called least recently.",
			r.age(sum.since), "platform", name)
		r.gauge("last_delivery_age_seconds", "Time since the last call of any webhook of a platform; looked at once a minute.",
			r.age(sum.last), "platform", name)
		r.flag("platform_silent", "Whether all webhooks of a platform together are silent for too long.", sum.all, "platform", name)
	}
}

func (h *Health) platformNames() (names []string) {
	for _, platform := range h.Platforms {
		names = append(names, platform.Name)
	}
	return names
}

func collectDisks(r gauges, disks []disk) {
	for _, d := range disks {
		if d.err == nil {
			r.gauge("disk_free_bytes", "Space that can still be written.", float64(d.Free), "use", d.use)
			r.gauge("disk_size_bytes", "Space in all.", float64(d.Total), "use", d.use)
		}
	}
}

// gauges are sent to one scrape.
type gauges struct {
	to  chan<- prometheus.Metric
	now time.Time
}

// gauge sends one value; labels are names and values in turn.
func (r gauges) gauge(name, help string, value float64, labels ...string) {
	var names, values []string
	for pair := range slices.Chunk(labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	desc := prometheus.NewDesc("scanhook_"+name, help, names, nil)
	r.to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
}

// counter sends a number that only grows.
func (r gauges) counter(name, help string, value float64) {
	r.to <- prometheus.MustNewConstMetric(prometheus.NewDesc("scanhook_"+name, help, nil, nil), prometheus.CounterValue, value)
}

func (r gauges) flag(name, help string, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	r.gauge(name, help, value, labels...)
}

// age is how long ago something was, in seconds; 0 for never.
func (r gauges) age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, r.now.Sub(since).Seconds())
}
