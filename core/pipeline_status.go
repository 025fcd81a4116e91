package core

import (
	"fmt"

	"github.com/scanhook/scanhook/core/anomaly"
)

// AnomalyMode is what an unusual pipeline run does to the commit status of pipelines.
type AnomalyMode string

// The modes. Anything else, and nothing, means AnomaliesReport.
const (
	AnomaliesReport AnomalyMode = "report" // tell
	AnomaliesFail   AnomalyMode = "fail"   // turn it red
	AnomaliesOff    AnomalyMode = "off"    // no status at all; runs are judged all the same
)

// PipelineContext is the name of the commit status for pipelines beside that of the scan.
func PipelineContext(context string) string { return context + "/pipeline" }

// PipelineStatus is what the commit should show for the runs of its pipelines; ok is false while there is nothing to
// say.
//
// Of each pipeline the latest run that was judged decides: one that still runs or that failed says nothing about
// sizes, and on GitLab our own red status makes its pipeline end once more. waiting means that a measure of a run is
// still being asked for. In the mode fail every commit with a finished pipeline gets a status, so that the check can
// be required.
func PipelineStatus(mode AnomalyMode, runs []PipelineRun, waiting bool) (state StatusState, text string, ok bool) {
	if mode == AnomaliesOff {
		return "", "", false
	}
	judged := LatestRuns(runs, PipelineRun.Succeeded)
	unusual, expected := worstRun(judged, false), worstRun(judged, true)
	switch {
	case unusual != nil && mode == AnomaliesFail:
		return StatusFailure, Truncate(unusual.describe(len(judged))), true
	case unusual != nil:
		return StatusSuccess, Truncate(unusual.describe(len(judged))), true
	case expected != nil:
		return StatusSuccess, Truncate("expected: " + expected.AnomalyReason), true
	case mode != AnomaliesFail || waiting:
		return "", "", false
	}
	text = ordinaryText(runs, judged)
	return StatusSuccess, text, text != ""
}

// worstRun is the unusual run with the highest score among those that were, or were not, marked as expected.
func worstRun(runs []PipelineRun, expected bool) *PipelineRun {
	var worst *PipelineRun
	for i, run := range runs {
		candidate := run.Unusual() && run.Expected == expected
		if candidate && (worst == nil || comparePointers(run.AnomalyScore, worst.AnomalyScore) > 0) {
			worst = &runs[i]
		}
	}
	return worst
}

// describe names the pipeline where the commit has several.
func (r PipelineRun) describe(pipelines int) string {
	if pipelines < 2 || r.Name == "" {
		return "unusual: " + r.AnomalyReason
	}
	return fmt.Sprintf("unusual %s: %s", r.Name, r.AnomalyReason)
}

// ordinaryText is empty while no pipeline has finished.
func ordinaryText(runs, judged []PipelineRun) string {
	for _, run := range judged {
		if run.AnomalyScore != nil {
			return "pipeline as usual"
		}
	}
	if len(judged) > 0 {
		return fmt.Sprintf("pipeline not judged: that takes %d earlier runs to compare with", anomaly.MinSamples)
	}
	finished := LatestRuns(runs, func(r PipelineRun) bool { return r.Phase == PhaseFinished })
	if len(finished) == 0 {
		return ""
	}
	return "pipeline not judged: it ended as " + finished[0].Status
}
