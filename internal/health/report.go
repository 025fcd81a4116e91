package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// The states that lines begin with.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateOff  = "off"
)

const (
	longWait    = 10 * time.Minute // after which a status that should be posted is stuck
	longBacklog = time.Minute      // after which a call that should be derived is stuck
	oldList     = 72 * time.Hour   // EPSS is published every day
	longPause   = 5 * time.Second  // longer than the pace of our own calls
)

// Report is the state of each hop from the push to the commit status, a line each. Everybody can read it: it has counts and
// the names of platforms, and no names of projects.
func (h *Health) Report(ctx context.Context) string {
	s := h.snapshots.get(ctx)
	p := &report{now: h.Now()}
	h.partsLine(p)
	h.configurationLine(p)
	h.databaseLines(p, s)
	if h.Fault != nil {
		h.machineLine(p)
	}
	if h.Cage != nil {
		h.cageLine(p)
	}
	for _, platform := range h.Platforms {
		h.platformLine(p, platform)
		h.hooksLine(p, platform)
	}
	for _, d := range s.disks {
		if d.err != nil {
			p.line(false, "disk "+d.use, "cannot be looked at")
			continue
		}
		p.line(!d.IsLow(), "disk "+d.use, "%s of %s free%s", gibibytes(d.Free), gibibytes(d.Total), d.fewFiles())
	}
	return p.text.String()
}

// partsLine says what this process does, where that is not everything.
func (h *Health) partsLine(p *report) {
	var here, elsewhere []string
	for _, part := range h.Parts {
		if part.Here {
			here = append(here, part.Name)
		} else {
			elsewhere = append(elsewhere, part.Name)
		}
	}
	if len(elsewhere) > 0 {
		p.line(true, "parts", "%s here; other processes must do %s", strings.Join(here, ", "), strings.Join(elsewhere, ", "))
	}
}

// configurationLine tells where the file was not taken. The reason, which may show what is in the file, is in the log.
func (h *Health) configurationLine(p *report) {
	if !h.isCurrent() {
		p.line(false, "configuration", "the file has changed and cannot be used, the one before stays in use; the log says why, and scanhook check tries it")
	}
}

func gibibytes(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

func (h *Health) databaseLines(p *report, s snapshot) {
	switch {
	case !s.answers():
		p.line(false, "database", "does not answer; see the log of the loops that fail")
		return
	case s.err != nil:
		p.line(false, "database", "answers in %s, but is too slow for more", rounded(s.flow.Ping))
		return
	}
	p.line(true, "database", "answers in %s", rounded(s.flow.Ping))
	p.line(true, "migrations", "%d applied", s.flow.Schema)
	if s.full {
		p.line(false, "intake", "the database answers but cannot write; is its disk full? See the log")
	} else {
		p.line(s.queue == 0, "intake", "%d deliveries wait for the database", s.queue)
	}
	h.callLines(p, s.flow)
	var pending, running backlog
	for _, jobs := range s.flow.Jobs {
		if jobs.State == core.JobPending {
			pending = pending.with(jobs.Count, jobs.Since)
		} else {
			running = running.with(jobs.Count, jobs.Since)
		}
	}
	p.line(true, "jobs", "%d pending%s, %d running%s", pending.count, p.oldest(pending), running.count, p.oldest(running))
	for _, due := range s.flow.Statuses {
		late := p.now.Sub(due.Since) > longWait
		p.line(!late, "statuses on "+h.nameOf(due.Platform), "%d to post%s", due.Count, p.oldest(backlog{due.Count, due.Since}))
	}
	for _, lost := range s.flow.GivenUp {
		p.line(false, "statuses on "+h.nameOf(lost.Platform), "%d refused for good in the last day, the first %s;"+
			" the log names them, scanhook explain says why", lost.Count, p.ago(lost.Since))
	}
	for _, hold := range s.flow.Holds {
		if h.lacksToken(hold.Platform) {
			continue // the platform's own line says so
		}
		p.line(false, "token for "+h.nameOf(hold.Platform), "may not post to %s; scanhook check names them",
			core.Plural(hold.Count, "project"))
	}
	for _, hooks := range s.flow.ToRepair {
		p.line(false, "broken webhooks of "+h.nameOf(hooks.Platform), "%d need repair; scanhook check names them", hooks.Count)
	}
	for _, list := range s.flow.Lists {
		edition := editionOf(list)
		p.line(list.Kind != core.FeedEPSS || p.now.Sub(edition) < oldList, "list "+string(list.Kind),
			"of %s, %d entries", edition.UTC().Format(time.DateOnly), list.NumRows)
	}
}

// callLines are for the calls that are on disk and from which nothing has followed yet.
func (h *Health) callLines(p *report, flow store.Flow) {
	for _, kept := range flow.Kept {
		late := p.now.Sub(kept.Since) > longBacklog
		p.line(!late, "calls of "+h.nameOf(kept.Platform), "%d kept and not derived yet%s", kept.Count, p.oldest(backlog{kept.Count, kept.Since}))
	}
	for _, failed := range flow.SetAside {
		p.line(false, "calls of "+h.nameOf(failed.Platform), "%d set aside%s; /deliveries?state=failed says why",
			failed.Count, p.oldest(backlog{failed.Count, failed.Since}))
	}
}

// machineLine does not say what is wrong, because everybody can read the report.
func (h *Health) machineLine(p *report) {
	if h.Fault() != nil {
		p.line(false, "machine", "cannot check commits out, jobs wait; scanhook check and the log say what to do")
		return
	}
	p.line(true, "machine", "can check commits out")
}

func (h *Health) cageLine(p *report) {
	level, more := h.Cage(), ""
	if !level.IsFull() {
		more = "; scanhook check says what commands can do, and what to do about it"
	}
	p.line(level.IsFull(), "cage", "%s%s", level, more)
}

func (h *Health) platformLine(p *report, platform Platform) {
	hop, pause := "platform "+platform.Name, h.pause(platform.Name)
	switch {
	case h.NoIntake && h.NoPosts:
	case !platform.Listen && !h.NoIntake:
		p.write(stateOff, hop, "has no secret: no call is accepted")
	case h.NoPosts:
		p.line(true, hop, "has a secret; other processes post its statuses")
	case h.NoIntake && platform.Posts && pause <= longPause:
		p.line(true, hop, "has a token; last post %s", p.ago(h.LastPost(platform.Name)))
	case !platform.Posts:
		p.line(false, hop, "has %sno token: statuses are kept and shown, not posted", secretBut(h.NoIntake))
	case pause > longPause:
		p.line(false, hop, "wants no calls for %s; last post %s", rounded(pause), p.ago(h.LastPost(platform.Name)))
	default:
		p.line(true, hop, "has a secret and a token; last post %s", p.ago(h.LastPost(platform.Name)))
	}
}

// secretBut says that a platform has a secret, where that is this process's matter.
func secretBut(elsewhere bool) string {
	if elsewhere {
		return ""
	}
	return "a secret but "
}

func (h *Health) lacksToken(platform string) bool {
	return !h.NoPosts && slices.ContainsFunc(h.Platforms, func(p Platform) bool { return p.Name == platform && !p.Posts })
}

func (h *Health) hooksLine(p *report, platform Platform) {
	sum := h.summarize(platform.Name)
	hop := "webhooks of " + platform.Name
	switch {
	case !platform.Listen, h.NoIntake:
	case h.hooks.Load() == nil:
		p.write(stateOff, hop, "not looked at yet")
	case sum.all:
		p.line(false, hop, "all silent for longer than their past explains; last call %s", p.ago(sum.last))
	case sum.silent > 0:
		p.line(false, hop, "%d of %d silent, the first since %s; /deliveries names them and says why",
			sum.silent, sum.hooks, sum.since.Format(time.DateOnly))
	default:
		p.line(true, hop, "%d projects have called; last call %s", sum.hooks, p.ago(sum.last))
	}
}

// report is text with a line for each hop.
type report struct {
	text strings.Builder
	now  time.Time
}

// line writes a line that begins with ok or warn.
func (p *report) line(fine bool, hop, format string, args ...any) {
	state := stateOK
	if !fine {
		state = stateWarn
	}
	p.write(state, hop, format, args...)
}

func (p *report) write(state, hop, format string, args ...any) {
	fmt.Fprintf(&p.text, "%-4s  %s: %s\n", state, hop, fmt.Sprintf(format, args...))
}

func (p *report) oldest(b backlog) string {
	if b.count == 0 {
		return ""
	}
	return " (oldest " + p.ago(b.since) + ")"
}

// ago is how long ago something was.
func (p *report) ago(then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return rounded(p.now.Sub(then)) + " ago"
}

// rounded is a duration without the digits that people do not need.
func rounded(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	case d >= time.Second:
		return d.Truncate(time.Second).String()
	}
	return d.Truncate(100 * time.Microsecond).String()
}
