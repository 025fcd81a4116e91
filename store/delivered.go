package store

import (
	"cmp"

	"github.com/scanhook/scanhook/core"
)

// delivered is a report on its way to become the findings of a job.
type delivered struct {
	core.Report
	examined core.Examined
	job      core.Job
	compared *core.Comparison
	decided  map[string]core.Word // what holds in the project, by fingerprint
	ids      map[int]int64        // of the findings that the job has already, by their number in the report
	told     *core.ReportTally    // of the findings that were inserted
	scratch  core.Finding
}

// examine does what can be done before a transaction begins, and with it others wait.
func examine(report core.Report) *delivered {
	return &delivered{Report: report, examined: core.Examine(report)}
}

// at is the i-th finding as it is to be stored, until the next one is asked for.
func (d *delivered) at(i int) *core.Finding {
	f := d.At(i, &d.scratch)
	f.Tool = cmp.Or(f.Tool, d.job.Scanner)
	f.ID, f.ScanID, f.JobID = d.ids[i], d.job.ScanID, d.job.ID
	d.compared.Tell(i, f)
	core.CarryTriage(f, d.decided)
	return f
}

// all tells what the report says where that is all there is to say: no finding was there before, and nobody has said
// anything about one.
func (d *delivered) all() *core.ReportTally {
	if len(d.decided) > 0 || len(d.ids) > 0 {
		return nil
	}
	return d.told
}
