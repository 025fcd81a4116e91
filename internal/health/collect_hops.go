package health

import (
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

func collectScans(r readings, flow store.Flow) {
	open := map[core.ScanStatus]int{core.ScanPending: 0, core.ScanProcessing: 0}
	for _, row := range flow.Open {
		open[row.Status] += row.Count
	}
	for status, n := range open {
		r.tell("scans_open", "Scans that have not ended.", float64(n), "status", string(status))
	}
	for _, row := range flow.Recent {
		r.tell("recent_scans", "How the last thousand scans stand.", float64(row.Count),
			"status", string(row.Status), "verdict", string(row.Verdict))
	}
}

func collectLists(r readings, lists []core.FeedImport) {
	for _, list := range lists {
		r.tell("list_age_seconds", "Age of the edition of EPSS or KEV that findings are joined with.",
			r.age(editionOf(list)), "list", string(list.Kind))
	}
}

// editionOf is the date of a list, or when it was brought where it has none.
func editionOf(list core.FeedImport) time.Time {
	if list.Date != nil {
		return *list.Date
	}
	return list.ImportedAt
}

func (h *Health) collectPauses(r readings) {
	for _, platform := range h.Platforms {
		r.tell("platform_pause_seconds", "Time until a platform may be called again; 0 when it may.",
			max(0, h.pause(platform.Name).Seconds()), "platform", platform.Name)
	}
}

// pause is how long a platform still wants to be left alone; not positive when it does not.
func (h *Health) pause(platform string) time.Duration { return h.Pause(platform).Sub(h.Now()) }

func (h *Health) collectHooks(r readings) {
	for _, name := range h.platformNames() {
		sum := h.summarize(name)
		r.tell("hooks", "Projects whose webhook has called.", float64(sum.hooks), "platform", name)
		r.tell("hooks_silent", "Projects whose webhook is silent though it should have called.",
			float64(sum.silent), "platform", name)
		r.tell("longest_hook_silence_seconds", "Time since the last call of the silent webhook that called least recently.",
			r.age(sum.since), "platform", name)
		r.tell("last_delivery_age_seconds", "Time since the last call of any webhook of a platform; looked at once a minute.",
			r.age(sum.last), "platform", name)
		r.flag("platform_silent", "Whether all webhooks of a platform together are silent for too long.", sum.all, "platform", name)
	}
}

func collectDisks(r readings, disks []disk) {
	for _, d := range disks {
		if d.err == nil {
			r.tell("disk_free_bytes", "Space that can still be written.", float64(d.Free), "use", d.use)
			r.tell("disk_size_bytes", "Space in all.", float64(d.Total), "use", d.use)
		}
	}
}
