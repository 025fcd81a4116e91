package core

import (
	"cmp"
	"slices"
	"time"
)

// RecordRun adds what an event says to the runs of its pipeline, which stand in the order of their attempts, and
// returns them in that order; runs that are new have no ID. The result is the same for any order of the same events,
// however often each of them comes. changed is false when the event says nothing new.
//
// GitHub counts attempts. GitLab does not: a pipeline that is retried keeps its id, goes on with the end of the last
// run, and gets a later one when it ends again. There a run that ended is known by when it did, its attempt is its
// place among them, and at most one run after them is open.
func RecordRun(runs []PipelineRun, p Pipeline) (after []PipelineRun, changed bool) {
	event := runOf(p)
	after = slices.Clone(runs)
	if p.Attempt == 0 {
		return recordUncounted(after, event, p.AskArtifacts)
	}
	place, known := slices.BinarySearchFunc(after, event.Attempt, func(r PipelineRun, attempt int) int {
		return cmp.Compare(r.Attempt, attempt)
	})
	if known {
		return after, after[place].learn(event, p.AskArtifacts)
	}
	return slices.Insert(after, place, event), true
}

func recordUncounted(runs []PipelineRun, event PipelineRun, ask bool) (after []PipelineRun, changed bool) {
	if event.Phase == PhaseFinished && event.FinishedAt != nil {
		runs, changed = recordEnd(runs, event, ask)
	} else {
		event.RestartedAfter, event.FinishedAt = event.FinishedAt, nil
		runs, changed = recordOpen(runs, event, ask)
	}
	for i := range runs {
		runs[i].Attempt = i + 1
	}
	return runs, changed
}

// recordEnd puts the end of a run in its place. It takes over the open run unless that one started later.
func recordEnd(runs []PipelineRun, end PipelineRun, ask bool) (after []PipelineRun, changed bool) {
	ended := endedRuns(runs)
	place, known := slices.BinarySearchFunc(runs[:ended], end, func(r, target PipelineRun) int {
		return compareTimes(r.FinishedAt, target.FinishedAt)
	})
	if known {
		return runs, runs[place].learn(end, ask)
	}
	if ended < len(runs) && compareTimes(runs[ended].RestartedAfter, end.FinishedAt) < 0 {
		taken := runs[ended]
		taken.replace(end, ask)
		end, runs = taken, runs[:ended]
	}
	return slices.Insert(runs, place, end), true
}

// recordOpen keeps a state before the end, unless a later end has come already.
func recordOpen(runs []PipelineRun, event PipelineRun, ask bool) (after []PipelineRun, changed bool) {
	ended := endedRuns(runs)
	switch {
	case ended > 0 && compareTimes(event.RestartedAfter, runs[ended-1].FinishedAt) < 0:
		return runs, false
	case ended == len(runs):
		return append(runs, event), true
	}
	open := &runs[ended]
	switch order := compareTimes(event.RestartedAfter, open.RestartedAfter); {
	case order < 0:
		return runs, false
	case order > 0:
		open.replace(event, ask)
		return runs, true
	}
	return runs, open.learn(event, ask)
}

// endedRuns counts the runs that ended at a known time; one more may follow them.
func endedRuns(runs []PipelineRun) int {
	if n := len(runs); n > 0 && (runs[n-1].Phase != PhaseFinished || runs[n-1].FinishedAt == nil) {
		return n - 1
	}
	return len(runs)
}

// learn takes over what the event says when it is later than what is known.
func (r *PipelineRun) learn(event PipelineRun, ask bool) (changed bool) {
	if event.compare(*r, ask) <= 0 {
		return false
	}
	r.replace(event, ask)
	return true
}

// replace keeps of the run what events do not tell. ask: the sizes of artifacts are not in the event.
func (r *PipelineRun) replace(event PipelineRun, ask bool) {
	event.ID, event.ScanID, event.RecordedAt, event.SourcePlatform = r.ID, r.ScanID, r.RecordedAt, r.SourcePlatform
	event.NumChangedFiles, event.Expected, event.ExpectedBy = r.NumChangedFiles, r.Expected, r.ExpectedBy
	event.AnomalyScore, event.AnomalyReason = r.AnomalyScore, r.AnomalyReason
	if ask {
		event.ArtifactSizeBytes = r.ArtifactSizeBytes
	}
	*r = event
}

// compare orders states of one run by phase and time. The rest only makes sure that of two different states always the
// same one stays, whichever comes first.
func (r PipelineRun) compare(other PipelineRun, ask bool) int {
	order := cmp.Or(
		cmp.Compare(r.Phase, other.Phase),
		compareTimes(r.UpdatedAt, other.UpdatedAt),
		compareTimes(r.FinishedAt, other.FinishedAt),
		comparePointers(r.BuildDurationSeconds, other.BuildDurationSeconds),
		comparePointers(r.QueuedSeconds, other.QueuedSeconds),
		cmp.Compare(r.Status, other.Status),
		cmp.Compare(r.Name, other.Name),
		cmp.Compare(r.Branch, other.Branch),
		cmp.Compare(r.Source, other.Source),
		cmp.Compare(r.URL, other.URL),
	)
	if order == 0 && !ask {
		order = comparePointers(r.ArtifactSizeBytes, other.ArtifactSizeBytes)
	}
	return order
}

// compareTimes orders nil before any moment.
func compareTimes(a, b *time.Time) int {
	if a == nil || b == nil {
		return compareNil(a == nil, b == nil)
	}
	return a.Compare(*b)
}

func comparePointers[T cmp.Ordered](a, b *T) int {
	if a == nil || b == nil {
		return compareNil(a == nil, b == nil)
	}
	return cmp.Compare(*a, *b)
}

func compareNil(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
