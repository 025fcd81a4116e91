package intake

import (
	"cmp"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/refs"
)

// RefKey is a ref of a project, by its full name.
type RefKey struct {
	Project int64
	Name    string
}

// Compare is the order of refs.
func (k RefKey) Compare(other RefKey) int {
	return cmp.Or(cmp.Compare(k.Project, other.Project), cmp.Compare(k.Name, other.Name))
}

// Word is what a request says on where a ref stands.
type Word struct {
	RefKey
	refs.Event
}

// WordOf is what a push says. One that reconcile found is an answer of the platform, which was asked when it was received.
func WordOf(project int64, d core.Delivery, push core.Push) *Word {
	w := &Word{RefKey{project, push.Ref}, refs.Event{Step: refs.Step{After: push.CommitSHA, At: d.ReceivedAt}}}
	if d.Name == core.OriginReconcile {
		w.Source = refs.Seen
	}
	switch before := push.Before; {
	case push.Created || core.IsZeroSHA(before):
	case before == "" || push.Tag() != "" && w.Source != refs.Seen: // of a tag it may be the tag's object
		w.Before = refs.Unknown
	default:
		w.Before = before
	}
	return w
}

// Named is what an upload or a person says who names a commit of a branch.
func Named(project int64, scan core.Scan) *Word {
	if scan.Branch == "" || scan.Fork || scan.Origin == core.OriginRescan {
		return nil
	}
	return &Word{RefKey{project, core.BranchRef(scan.Branch)}, refs.Event{
		Source: refs.Named, Step: refs.Step{After: scan.CommitSHA, At: scan.Timestamp},
	}}
}

// counts tells whether the word of a request is one: an upload of a commit that was scanned before says nothing new.
func (i *Item) counts() bool {
	return i.Open() && i.Word != nil && (i.Word.Source != refs.Named || i.Created)
}

// Moved is what the words of a batch did to one ref.
type Moved struct {
	RefKey
	Was       refs.State
	Is        *refs.State
	Steps     []refs.Step // in their order
	Told      []string    // the commits at which the words have it
	Seen      bool        // one of them is an answer of the platform
	Ask       bool        // the platform is to be asked where it stands
	Unclear   bool        // pushes may have come late: commits that it has left may have scans that are new
	Supersede bool        // as the policy has it
}

// Move applies the words of a batch, in its order, to what is known of their refs, and changes that.
func Move(words []*Item, known map[RefKey]*refs.State, now time.Time) (moved []Moved) {
	at := map[RefKey]int{}
	for _, item := range words {
		key := item.Word.RefKey
		n, seen := at[key]
		if !seen {
			n = len(moved)
			at[key], moved = n, append(moved, Moved{RefKey: key, Was: known[key].Clone(), Is: known[key]})
		}
		steps, ask := known[key].Apply(item.Word.Event, now)
		m := &moved[n]
		if item.Word.Source != refs.Named {
			m.Steps = append(m.Steps, steps...)
		}
		m.Ask, m.Supersede = m.Ask || ask, m.Supersede || item.Policy.Supersede
		m.Told, m.Seen = append(m.Told, item.Word.After), m.Seen || item.Word.Source == refs.Seen
		m.Unclear = m.Unclear || ask || m.Seen
	}
	slices.SortFunc(moved, func(a, b Moved) int { return a.Compare(b.RefKey) })
	return moved
}

// Ref is the row of the ref; its SHA is empty where it is gone.
func (m Moved) Ref() core.Ref {
	return core.Ref{ProjectID: m.Project, Name: m.Name, SHA: m.Is.SHA, BeforeSHA: m.Is.Before, MovedAt: m.Is.MovedAt}
}

// Left is a commit from which a ref has moved on.
type Left struct {
	RefKey
	Commit, By string
}

// Lefts are the commits that refs have left for others, the last time at the end. scans are those of projects with unclear
// refs, the oldest first: what was pushed onto a commit tells that it was left, too.
func Lefts(moved []Moved, scans []core.Scan) (lefts []Left) {
	type commit struct {
		project int64
		sha     string
	}
	open := map[commit]bool{}
	for _, scan := range scans {
		open[commit{scan.ProjectID, scan.CommitSHA}] = !scan.Status.Ended()
	}
	for _, m := range moved {
		if !m.Supersede {
			continue
		}
		for _, step := range m.Steps {
			lefts = m.addLeft(lefts, step.Before, step.After)
		}
		if m.Is.Doubt != nil {
			for _, step := range m.Is.Doubt.Waiting {
				lefts = m.addLeft(lefts, step.Before, step.After)
			}
		}
		for _, scan := range scans {
			if m.Unclear && m.follows(scan) && open[commit{m.Project, scan.BeforeSHA}] {
				lefts = m.addLeft(lefts, scan.BeforeSHA, scan.CommitSHA)
			}
		}
	}
	return lefts
}

// Late are the projects of refs that a push may have told of too late: onto its commit something was pushed already, though nobody
// has said so that the lefts know of. Where the platform answered, this may hold of any commit.
func Late(moved []Moved, lefts []Left) (projects []int64) {
	left := map[Left]bool{}
	for _, l := range lefts {
		left[Left{RefKey: l.RefKey, Commit: l.Commit}] = true
	}
	for _, m := range moved {
		late := slices.ContainsFunc(m.Told, func(sha string) bool {
			return sha != m.Is.SHA && !left[Left{RefKey: m.RefKey, Commit: sha}]
		})
		if m.Unclear && m.Supersede && (m.Seen || late) {
			projects = append(projects, m.Project)
		}
	}
	return slices.Compact(projects) // the refs are in their order
}

// follows tells whether a scan knows by which step the ref came to its commit. Of a commit that another branch brought, it
// knows that of the default branch.
func (m Moved) follows(scan core.Scan) bool {
	return scan.ProjectID == m.Project && (scan.Ref == m.Name || core.BranchRef(scan.DefaultBranch) == m.Name)
}

// addLeft adds a commit that the ref has left, unless it stands there again.
func (m Moved) addLeft(lefts []Left, before, after string) []Left {
	if !core.IsCommitSHA(before) || !core.IsCommitSHA(after) || before == after || before == m.Is.SHA {
		return lefts
	}
	return append(lefts, Left{m.RefKey, before, after})
}

// Superseded is a scan whose jobs end, because its ref moved on before they started.
type Superseded struct {
	ScanID int64
	By     string // the commit to which the ref moved, or core.Closed
}

// Reason is why the jobs end.
func (s Superseded) Reason() string {
	if s.By == core.Closed {
		return core.ClosedError
	}
	return core.SupersededError(s.By)
}

// Supersede decides which scans of commits that refs have left end. latest is the latest scan of a commit, with ID 0 where
// there is none. Scans that other refs brought, or point at, too, go on.
func Supersede(lefts []Left, latest func(Left) core.Scan) (ended []Superseded) {
	decided := map[int64]bool{}
	for _, left := range slices.Backward(lefts) {
		scan := latest(left)
		if scan.ID == 0 || decided[scan.ID] || scan.Ref != left.Name || scan.Status.Ended() || scan.SharedRefs {
			continue
		}
		decided[scan.ID] = true
		ended = append(ended, Superseded{scan.ID, left.By})
	}
	slices.SortFunc(ended, func(a, b Superseded) int { return cmp.Compare(a.ScanID, b.ScanID) })
	return ended
}

// Opening is a scan that a push has opened just now, with its jobs, neither of which the rest of the batch speaks of: where its ref
// stands after the batch decides alone whether they are to run. So they are written once.
type Opening struct {
	Scan core.Scan
	Jobs []core.Job
}

// Openings are in the order of the batch.
type Openings []*Opening

// Openings splits what a plan opens: others are the scans, and jobs the jobs, that are no part of the openings.
func (p Plan) Openings() (openings Openings, others []core.Scan, jobs []core.Job) {
	alone := map[int64]*Opening{}
	for _, item := range p.Moves {
		if item.Created && item.Scan.Refused == "" && item.Scan.FirstScanID == nil {
			alone[item.Scan.ID] = &Opening{Scan: *item.Scan}
		}
	}
	for _, scan := range slices.Concat(p.Joins, p.Adopted) {
		delete(alone, scan.ID)
	}
	for _, restart := range p.Restarts {
		delete(alone, restart.ScanID)
	}
	for _, scan := range p.Opened {
		if opening := alone[scan.ID]; opening != nil {
			openings = append(openings, opening)
			continue
		}
		others = append(others, scan)
	}
	for _, job := range p.Jobs {
		if opening := alone[job.ScanID]; opening != nil {
			opening.Jobs = append(opening.Jobs, job)
			continue
		}
		jobs = append(jobs, job)
	}
	return openings, others, jobs
}

// Jobs are those of all openings.
func (o Openings) Jobs() (jobs []core.Job) {
	for _, opening := range o {
		jobs = append(jobs, opening.Jobs...)
	}
	return jobs
}

// Supersede ends the jobs of openings that are among the superseded scans, and tells which scans end by that.
func (o Openings) Supersede(list []Superseded, now time.Time) (ended map[int64]bool) {
	by := map[int64]Superseded{}
	for _, superseded := range list {
		by[superseded.ScanID] = superseded
	}
	ended = map[int64]bool{}
	for _, opening := range o {
		superseded, left := by[opening.Scan.ID]
		for n := range opening.Jobs {
			if job := &opening.Jobs[n]; left && job.State == core.JobPending {
				job.State, job.Error, job.FinishedAt = core.JobSuperseded, superseded.Reason(), &now
				opening.Scan.SupersededBy, ended[opening.Scan.ID] = superseded.By, true
			}
		}
	}
	return ended
}

// Others are the superseded scans that are none of the openings.
func (o Openings) Others(list []Superseded) []Superseded {
	opened := map[int64]bool{}
	for _, opening := range o {
		opened[opening.Scan.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(s Superseded) bool { return opened[s.ScanID] })
}
