// Package intake decides what becomes of deliveries and of requests for scans. A batch is decided in three steps, between
// which the store loads and saves: Admit, Decide, Supersede.
package intake

import (
	"cmp"
	"slices"

	"github.com/scanhook/scanhook/core"
)

// Request is a delivery to keep, a commit that must have a scan, or both.
type Request struct {
	Delivery *core.Delivery // nil for uploads and requests by hand
	Scan     *core.Scan     // as it is opened; nil where nothing is to be scanned
	Policy   core.Policy
	Pipeline *core.Pipeline // nil for everything but pipeline events
	Actor    string         // who named the commit, where nobody announced it
	Ignored  string         // why nothing is to be scanned
}

// Key identifies a delivery. It includes the project: ids of deliveries are not signed, so a caller who may speak for one
// project could otherwise use up those of another.
type Key struct{ Platform, Delivery, Project string }

// Key identifies the delivery of a request that has one.
func (r *Request) Key() Key { return Key{r.Delivery.Platform, r.Delivery.Key, r.Delivery.Project} }

// Received is a delivery that was received before.
type Received struct {
	ReferenceID string // of its scan, or empty
	Ignored     bool
}

// Item is a request and what becomes of it.
type Item struct {
	*Request
	Scan     *core.Scan // a copy of the request's, with the ID of the scan that the commit has
	Refused  string     // why the call is not authorized
	Repeats  *Item      // the same delivery, earlier in the batch
	Created  bool       // the request opened the scan
	Informed bool       // the request has facts of the push that the scan was opened without
	Receipt  core.Receipt
}

// Open tells whether the request is neither refused nor a duplicate.
func (i *Item) Open() bool {
	return i.Repeats == nil && i.Refused == "" && i.Receipt.Outcome != core.Duplicate
}

// Asks tells whether the request asks for a scan that is still to be opened or found.
func (i *Item) Asks() bool { return i.Scan != nil && i.Open() }

// fromPush tells whether the scan is asked for by a push, announced or found.
func (i *Item) fromPush() bool {
	return i.Scan.Origin == "push" || i.Scan.Origin == core.OriginReconcile
}

// Admit finds refused calls and duplicates. A delivery that was ignored before and asks for a scan now is not a duplicate:
// an administrator sends it again after correcting the configuration.
func Admit(requests []*Request, refused map[*Request]string, received map[Key]Received) []*Item {
	items := make([]*Item, len(requests))
	first := map[Key]*Item{}
	for n, request := range requests {
		item := &Item{Request: request, Refused: refused[request]}
		items[n] = item
		if request.Scan != nil {
			scan := *request.Scan
			item.Scan = &scan
		}
		if request.Delivery == nil || item.Refused != "" {
			continue
		}
		key := request.Key()
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
	Moves     []*Item     // pushes whose place among those of their branch is to be found
	Restarts  []Restart   // that may be due, in the order of their scans
	Opened    []core.Scan // new scans, which get a pending status
	Jobs      []core.Job
	FileTasks []int64 // scans whose changed files are to be counted by the platform
	Runs      []*Item // with states of pipeline runs
	Informed  []*Item // whose runs are judged again, because the changed files are known now
	Audit     []core.AuditEvent
	Kept      []*Item // whose deliveries are kept
}

// Restart has jobs of a scan run again that ended too early: a newer push had superseded the scan, and a push names its
// commit again; or they failed before the push, when the commit was not there yet.
type Restart struct {
	ScanID int64
	Failed bool // also the jobs that failed
}

// Due tells whether jobs of the scan ended too early, by the scan as it is when the plan is saved: another process may have
// superseded it meanwhile.
func (r Restart) Due(scan core.Scan) bool {
	return scan.SupersededBy != "" || r.Failed && scan.Status == core.ScanFailed
}

// Decide decides what is saved. opened has the ids of the scans that the batch opened, by reference id; existing is the
// latest scan of a commit whose scan existed.
func Decide(items []*Item, opened map[string]int64, existing func(*core.Scan) core.Scan) (p Plan) {
	restarts := map[int64]Restart{}
	for _, item := range items {
		if item.Asks() {
			p.scan(item, opened, existing, restarts)
		}
	}
	for _, item := range items {
		p.keep(item)
	}
	for _, restart := range restarts {
		p.Restarts = append(p.Restarts, restart)
	}
	slices.SortFunc(p.Restarts, func(a, b Restart) int { return cmp.Compare(a.ScanID, b.ScanID) })
	return p
}

// scan plans what a request for a scan leads to.
func (p *Plan) scan(item *Item, opened map[string]int64, existing func(*core.Scan) core.Scan, restarts map[int64]Restart) {
	id, created := opened[item.Scan.ReferenceID]
	if created {
		p.open(item, id)
	} else {
		p.join(item, existing(item.Scan), restarts)
	}
	if moves(item) {
		p.Moves = append(p.Moves, item)
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

func (p *Plan) open(item *Item, id int64) {
	item.Created, item.Scan.ID = true, id
	item.Receipt = core.Receipt{Outcome: core.ScanCreated, Reference: item.Scan.ReferenceID}
	p.Opened = append(p.Opened, *item.Scan)
	for _, scanner := range item.Policy.Scanners {
		p.Jobs = append(p.Jobs, core.Job{ScanID: id, Scanner: scanner})
	}
	if item.Actor == "" {
		return
	}
	action := core.AuditScanOpened
	if item.Scan.Origin == core.OriginRescan {
		action = core.AuditRescan
	}
	p.Audit = append(p.Audit, core.AuditOf(*item.Scan, item.Actor, action))
}

// join adds to the existing scan what it lacks: that another branch points at the commit, and the facts of the push where
// the scan was opened without one.
func (p *Plan) join(item *Item, existing core.Scan, restarts map[int64]Restart) {
	news := item.Scan
	item.Receipt = core.Receipt{Outcome: core.ScanExists, Reference: existing.ReferenceID}
	elsewhere := news.Branch != existing.Branch && news.Branch != "" && existing.Branch != ""
	item.Informed = news.BeforeSHA != "" && existing.BeforeSHA == "" ||
		news.NumChangedFiles != nil && existing.NumChangedFiles == nil
	news.ID = existing.ID
	if item.Informed || elsewhere && !existing.SharedRefs {
		news.SharedRefs = elsewhere || existing.SharedRefs
		p.Joins = append(p.Joins, *news)
	}
	if item.fromPush() {
		restarts[existing.ID] = Restart{existing.ID, item.Informed || restarts[existing.ID].Failed}
	}
}

// moves tells whether the request says that a branch moved to the commit of its scan.
func moves(item *Item) bool {
	scan := item.Scan
	return scan.Branch != "" && scan.BeforeSHA != scan.CommitSHA &&
		(item.Created || scan.BeforeSHA != "" && item.fromPush())
}

// keep completes the receipt, and plans to keep the delivery unless it is refused or a duplicate.
func (p *Plan) keep(item *Item) {
	switch {
	case item.Repeats != nil:
		item.Receipt = core.Receipt{Outcome: core.Duplicate, Reference: item.Repeats.Receipt.Reference}
		return
	case !item.Open():
		return
	case item.Scan == nil:
		item.Receipt = core.Receipt{Outcome: core.OutcomeIgnored, Reason: item.Ignored}
	case item.Pipeline != nil:
		item.Receipt = core.Receipt{Outcome: core.PipelineRecorded, Reference: item.Receipt.Reference}
	}
	if item.Delivery != nil {
		p.Kept = append(p.Kept, item)
	}
}

// Superseded is a scan whose jobs end, because its branch moved on before they started.
type Superseded struct {
	ScanID int64
	By     string // the commit to which the branch moved
}

// Successors are the requests whose pushes supersede the scan of the commit where their branch stood before. A scan that
// was opened before its push, by a pipeline that was faster, counts as new when the push comes.
func Successors(items []*Item) (successors []*Item) {
	for n, item := range items {
		if item.Scan == nil || !item.Created && !item.Informed || !item.Policy.Supersede {
			continue
		}
		// Gitea's test button pushes a commit onto itself, which must not end the commit's own scan.
		ontoItself := item.Scan.BeforeSHA == item.Scan.CommitSHA
		if core.IsCommitSHA(item.Scan.BeforeSHA) && !ontoItself && !setBack(item.Scan, items[n+1:]) {
			successors = append(successors, item)
		}
	}
	return successors
}

// setBack tells whether a later request of the batch sets the branch back to where it stood before the scan.
func setBack(scan *core.Scan, later []*Item) bool {
	return slices.ContainsFunc(later, func(item *Item) bool {
		return item.Asks() && item.Scan.Branch == scan.Branch && item.Scan.CommitSHA == scan.BeforeSHA &&
			item.Scan.SourcePlatform == scan.SourcePlatform && item.Scan.ProjectName == scan.ProjectName
	})
}

// Supersede decides which scans the successors end. before is the latest scan of the commit where a successor's branch
// stood before, with ID 0 where there is none. Only this direct predecessor can end: platforms deliver out of order, and a
// late push must not end the scan of a newer one. Scans that other branches point at go on.
func Supersede(successors []*Item, before func(*core.Scan) core.Scan) (ended []Superseded) {
	decided := map[int64]bool{}
	for _, successor := range slices.Backward(successors) {
		scan := before(successor.Scan)
		if scan.ID == 0 || decided[scan.ID] || scan.Branch != successor.Scan.Branch || scan.Status.Ended() || scan.SharedRefs {
			continue
		}
		decided[scan.ID] = true
		ended = append(ended, Superseded{scan.ID, successor.Scan.CommitSHA})
	}
	slices.SortFunc(ended, func(a, b Superseded) int { return cmp.Compare(a.ScanID, b.ScanID) })
	return ended
}
