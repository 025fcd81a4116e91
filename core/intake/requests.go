package intake

import (
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/refs"
)

// RequestKey names a request of a project.
type RequestKey struct{ Project, Number int64 }

// Key names the request of an item that is about one.
func (i *Item) Key() RequestKey {
	return RequestKey{i.Delivery.ProjectID, i.About.Number}
}

// Change is what events did to a request. Was has no number where the request was not known.
type Change struct{ Was, Is core.KeptRequest }

// Closing is a commit that nobody wants scanned any more, as far as a ref goes.
type Closing struct {
	RefKey
	Commit string
}

// Receive applies what items tell of requests, in their order, to what is known of them, and changes that. An item that came too
// late is left with a reason.
func Receive(items []*Item, known map[RequestKey]core.KeptRequest) (changes []Change) {
	at := map[RequestKey]int{}
	for _, item := range items {
		if item.About == nil || !item.Open() {
			continue
		}
		key := item.Key()
		was := known[key]
		if item.About.IsBefore(was) {
			item.Scan, item.Request.Word, item.Request.Closing = nil, nil, nil
			item.Request.Ignored = item.About.Called() + " has changed since: what came later was handled before"
			continue
		}
		is := item.About.Kept(key.Project)
		if is.HeadSHA == "" { // of a closed one whose branch is gone
			is.HeadSHA = was.HeadSHA
		}
		if item.Closing != nil {
			item.Closing.Commit = is.HeadSHA
		}
		known[key] = is
		n, again := at[key]
		if !again {
			at[key], changes = len(changes), append(changes, Change{Was: was, Is: is})
			continue
		}
		changes[n].Is = is
	}
	return changes
}

// HeadOf is what an event of a request from a fork says of its head among the project's refs; nil for other requests, whose heads
// are branches.
func HeadOf(project int64, d core.Delivery, request core.Request) *Word {
	if !request.Fork {
		return nil
	}
	step := refs.Step{After: request.Head, At: d.ReceivedAt}
	if request.Action == core.RequestClosed {
		step.After = ""
	}
	return &Word{RefKey{project, request.Ref}, refs.Event{Source: refs.Ordered, Step: step}}
}

// ClosingOf is what a delivery ends; nil where it ends nothing. The branch of a request within the project stays when that is closed.
func ClosingOf(project int64, event core.Event) *Closing {
	switch event := event.(type) {
	case core.Push:
		if event.Dropped != "" {
			return &Closing{RefKey{project, event.Ref}, event.Dropped}
		}
	case core.Request:
		if event.Fork && event.Action == core.RequestClosed {
			return &Closing{RefKey{project, event.Ref}, event.Head}
		}
	}
	return nil
}

// Close decides which scans end because nobody wants their commits any more. latest is the latest scan of a commit, with ID 0
// where there is none.
func Close(closings []Closing, latest func(Closing) core.Scan) (ended []Superseded) {
	for _, closing := range closings {
		if scan := latest(closing); scan.ID != 0 && scan.Ref == closing.Name && !scan.Status.Ended() && !scan.SharedRefs {
			ended = append(ended, Superseded{ScanID: scan.ID, By: core.Closed})
		}
	}
	return ended
}

// Aim is the branch into which the commit of a scan is to go, as the open requests say.
type Aim struct {
	ScanID int64
	Target string
	Anew   bool // the scan was decided for another branch, and is decided anew
}

// Retarget decides whether a scan is aimed at another branch than it was: target is that of the open request that was updated last, or empty
// where there is none. One that was opened just now has not been decided.
func Retarget(scan core.Scan, target string, opened bool) (aim Aim, changed bool) {
	before := scan.MergeTarget()
	if scan.ID == 0 || target == "" || scan.TargetBranch == target || scan.OnDefaultBranch() {
		return Aim{}, false
	}
	scan.TargetBranch = target
	return Aim{ScanID: scan.ID, Target: target, Anew: !opened && scan.MergeTarget() != before}, true
}
