// Package intake decides what becomes of deliveries and of requests for scans. A batch is decided in three steps, between
// which the store loads and saves: Admit, Decide, and what follows from where refs stand: Move, Lefts, Supersede.
package intake

import (
	"slices"

	"github.com/scanhook/scanhook/core"
)

// Request is a delivery to keep, a commit that must have a scan, or both.
type Request struct {
	Delivery *core.Delivery // nil for uploads and requests by hand
	Kept     int64          // where the delivery is kept already; 0 where it is not
	Scan     *core.Scan     // as it is opened; nil where nothing is to be scanned
	Policy   core.Policy
	Word     *Word             // on where a ref stands; nil where the request says nothing of it
	Pipeline *core.Pipeline    // nil for everything but pipeline events
	Action   *core.CheckAction // a button that was pressed; nil for others
	About    *core.Request     // the pull or merge request that the delivery is about; nil for others
	Closing  *Closing          // what nobody wants scanned any more; usually nil
	Foreign  []string          // scanners that do not look at the commit, because it is from a fork
	Actor    string            // who named the commit, where nobody announced it
	Ignored  string            // why nothing is to be scanned
}

// Key identifies a delivery. It includes the project: ids of deliveries are not signed, so a caller who may speak for one
// project could otherwise use up those of another.
type Key struct{ Platform, Delivery, Project string }

// KeyOf identifies a delivery.
func KeyOf(d *core.Delivery) Key { return Key{d.Platform, d.Key, d.Project} }

// Received is a delivery that was received before.
type Received struct {
	ReferenceID string // of its scan, or empty
	Ignored     bool
}

// Item is a request and what becomes of it.
type Item struct {
	*Request
	Scan     *core.Scan // a copy of the request's, with the ID of the scan that the commit has
	Repeats  *Item      // the same delivery, earlier in the batch
	Created  bool       // the request opened the scan, whose ID is known now
	Informed bool       // the request has facts of the push that the scan was opened without
	Receipt  core.Receipt
}

// Open tells whether the request is no duplicate.
func (i *Item) Open() bool {
	return i.Repeats == nil && i.Receipt.Outcome != core.Duplicate
}

// Asks tells whether the request asks for a scan that is still to be opened or found.
func (i *Item) Asks() bool { return i.Scan != nil && i.Open() }

// fromPush tells whether the scan is asked for by a push, announced or found.
func (i *Item) fromPush() bool {
	return i.Scan.Origin == "push" || i.Scan.Origin == core.OriginReconcile
}

// Admit finds duplicates. A delivery that was ignored before and asks for a scan now is not a duplicate:
// an administrator sends it again after correcting the configuration.
func Admit(requests []*Request, received map[Key]Received) []*Item {
	items := make([]*Item, len(requests))
	first := map[Key]*Item{}
	for n, request := range requests {
		item := &Item{Request: request}
		items[n] = item
		if request.Scan != nil {
			scan := *request.Scan
			item.Scan = &scan
		}
		if request.Delivery == nil || request.Kept != 0 {
			continue // what is kept has proved to be no duplicate
		}
		key := KeyOf(request.Delivery)
		if item.Repeats = first[key]; item.Repeats != nil {
			continue
		}
		first[key] = item
		if before, known := received[key]; known && (!before.Ignored || request.Scan == nil) {
			item.Receipt = core.Receipt{Outcome: core.Duplicate, Reference: before.ReferenceID}
		}
	}
	return items
}

// Plan is what is saved of a batch.
type Plan struct {
	Joins     []core.Scan // what existing scans learn from requests, by ID
	Adopted   []core.Scan // existing scans that only forks or comparisons had asked for until now, by ID, and what they learn
	Changes   []Change    // of pull and merge requests
	Moves     []*Item     // with words on where refs stand
	Restarts  []Restart   // that may be due
	Opened    []core.Scan // new scans, which get a pending status
	Jobs      []core.Job
	Closings  []Closing
	FileTasks []int64 // scans whose changed files are to be counted by the platform
	Runs      []*Item // with states of pipeline runs
	Informed  []*Item // whose runs are judged again, because the changed files are known now
	Actions   []*Item // buttons that were pressed
	Audit     []core.AuditEvent
	Kept      []*Item // whose deliveries are kept
}

// Restart has jobs of a scan run again that ended too early: a newer push had superseded the scan, and its commit is where a
// ref stands again or what another ref has brought, too; or they failed before the push, when the commit was not there yet.
type Restart struct {
	ScanID     int64
	Superseded bool // the jobs that were superseded
	Failed     bool // the jobs that failed
}

// Due tells whether jobs of the scan ended too early, by the scan as it is when the plan is saved: another process may have
// superseded it meanwhile.
func (r Restart) Due(scan core.Scan) bool {
	return r.Superseded && scan.SupersededBy != "" || r.Failed && scan.SupersededBy == "" && scan.Status == core.ScanFailed
}

// Openers are the items that ask for a scan that none of them has opened, one for each reference id: the first one.
func Openers(items []*Item) (openers []*Item) {
	seen := map[string]bool{}
	for _, item := range items {
		if item.Asks() && !seen[item.Scan.ReferenceID] {
			seen[item.Scan.ReferenceID] = true
			if !item.Created {
				openers = append(openers, item)
			}
		}
	}
	return openers
}

// Reissue gives those items a reference id of their own whose commit has no scan, because a scan of another project has the
// reference id. It tells whether there are any.
func Reissue(items []*Item, existing func(*core.Scan) core.Scan, fresh func() string) bool {
	type commit struct {
		project int64
		sha     string
	}
	issued := map[commit]string{}
	for _, item := range items {
		if !item.Asks() || item.Created || existing(item.Scan).ID != 0 {
			continue
		}
		of := commit{item.Scan.ProjectID, item.Scan.CommitSHA}
		if issued[of] == "" {
			issued[of] = fresh()
		}
		item.Scan.ReferenceID = issued[of]
	}
	return len(issued) > 0
}

// Decide decides what is saved. Items that opened a scan are marked as Created; existing is the latest scan of a commit whose
// scan existed.
func Decide(items []*Item, existing func(*core.Scan) core.Scan) (p Plan) {
	for _, item := range items {
		if item.Asks() {
			p.scan(item, existing)
		}
		if item.counts() {
			p.Moves = append(p.Moves, item)
		}
	}
	for _, item := range items {
		p.keep(item)
		if item.Open() && item.Action != nil {
			p.Actions = append(p.Actions, item)
		}
		if item.Open() && item.Closing != nil {
			p.Closings = append(p.Closings, *item.Closing)
		}
	}
	return p
}

// scan plans what a request for a scan leads to.
func (p *Plan) scan(item *Item, existing func(*core.Scan) core.Scan) {
	if item.Created {
		p.open(item)
	} else {
		p.join(item, existing(item.Scan))
	}
	news := item.Created || item.Informed
	if news && item.Scan.ChangedFilesTruncated && core.IsCommitSHA(item.Scan.BeforeSHA) {
		p.FileTasks = append(p.FileTasks, item.Scan.ID)
	}
	switch {
	case item.Pipeline != nil:
		p.Runs = append(p.Runs, item)
	case item.Informed:
		p.Informed = append(p.Informed, item)
	}
}

func (p *Plan) open(item *Item) {
	item.Receipt = core.Receipt{Outcome: core.ScanCreated, Reference: item.Scan.ReferenceID}
	p.Opened = append(p.Opened, *item.Scan)
	p.Jobs = append(p.Jobs, item.jobs()...)
	if item.Actor == "" {
		return
	}
	action := core.AuditScanOpened
	if item.Scan.Origin == core.OriginRescan {
		action = core.AuditRescan
	}
	p.Audit = append(p.Audit, core.AuditOf(*item.Scan, item.Actor, action))
}

// jobs are those of the scan that the item has opened. A refused scan has none.
func (i *Item) jobs() (jobs []core.Job) {
	for _, scanner := range i.Policy.Jobs() {
		switch {
		case i.Scan.Refused != "":
		case slices.Contains(i.Foreign, core.ScannerOf(scanner)):
			jobs = append(jobs, core.ForeignJob(*i.Scan, scanner))
		default:
			jobs = append(jobs, core.Job{
				ScanID: i.Scan.ID, ProjectID: i.Scan.ProjectID, Fork: i.Scan.Fork, Scanner: scanner, State: core.JobPending,
			})
		}
	}
	return jobs
}

// join adds to the existing scan what it lacks: that another branch points at the commit, how the default branch came to it,
// and the facts of the push where the scan was opened without one.
func (p *Plan) join(item *Item, existing core.Scan) {
	news := item.Scan
	item.Receipt = core.Receipt{Outcome: core.ScanExists, Reference: existing.ReferenceID}
	elsewhere := news.Ref != existing.Ref && news.Ref != "" && existing.Ref != ""
	item.Informed = news.BeforeSHA != "" && existing.BeforeSHA == "" ||
		news.NumChangedFiles != nil && existing.NumChangedFiles == nil || news.Fork && news.Ref != "" && existing.Ref == ""
	news.ID = existing.ID
	if existing.Fork && !news.Fork && item.fromPush() || existing.ForComparison() && !news.ForComparison() {
		p.adopt(item)
		return
	}
	told := news.CommitTitle != "" && existing.CommitTitle == ""
	if item.Informed || told || elsewhere && (!existing.SharedRefs || news.OnDefaultBranch()) {
		news.SharedRefs = elsewhere || existing.SharedRefs
		p.Joins = append(p.Joins, *news)
	}
	restart := Restart{ScanID: existing.ID, Superseded: elsewhere, Failed: item.Informed}
	if (elsewhere || item.Informed) && item.fromPush() && !slices.Contains(p.Restarts, restart) {
		p.Restarts = append(p.Restarts, restart)
	}
}

// adopt makes a commit that requests from forks have brought the project's own: a push has brought it, too, so that all scanners
// look at it. The same holds of one that was only compared with, and that shows a status from now on.
func (p *Plan) adopt(item *Item) {
	item.Scan.SharedRefs = true // the request may still have it
	p.Adopted = append(p.Adopted, *item.Scan)
	item.Scan.Refused = ""
	p.Jobs = append(p.Jobs, item.jobs()...)
}

// keep completes the receipt, and plans to keep the delivery unless it is a duplicate.
func (p *Plan) keep(item *Item) {
	switch {
	case item.Repeats != nil:
		item.Receipt = core.Receipt{Outcome: core.Duplicate, Reference: item.Repeats.Receipt.Reference}
		return
	case !item.Open():
		return
	case item.Action != nil:
		item.Receipt = core.Receipt{Outcome: core.ActionTaken}
	case item.Scan == nil:
		item.Receipt = core.Receipt{Outcome: core.OutcomeIgnored, Reason: item.Ignored}
	case item.Pipeline != nil:
		item.Receipt = core.Receipt{Outcome: core.PipelineRecorded, Reference: item.Receipt.Reference}
	}
	if item.Delivery != nil {
		p.Kept = append(p.Kept, item)
	}
}
