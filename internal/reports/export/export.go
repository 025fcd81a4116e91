// Package export writes scans in the formats of other programs: SARIF, GitLab's reports, CSV.
package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
)

// Source hands out the findings of a scan, and after them those of its baseline that it fixed (with the BaselineState
// absent): of one tool, or of all tools where tool is empty. They have their details where detailed is true.
type Source func(tool string, detailed bool) iter.Seq2[core.Finding, error]

// Format is one that scans are written in.
type Format struct {
	Name, MediaType string
	Extension       string // of files, with its dot
	Says            string // what readers of it learn, as a noun
	Detailed        bool   // it has the details of findings, and what rules are about
	catalogued      bool   // tools and rules come before what they found
	write           func(*Export, *bufio.Writer) error
}

// Formats are all formats.
var Formats = []Format{SARIF, CodeQuality, SAST, CSV}

// Export is a scan that can be written in a format. It keeps no findings: the source hands them out, so that a scan of any size can be
// written.
type Export struct {
	Version string                         // of this program, which some formats name; may be empty
	Help    map[core.RuleName]details.Help // what rules are about, for a format that is detailed; may be nil

	format   Format
	scan     core.Scan
	jobs     []core.Job
	findings Source
	runs     []*toolRun // where the format begins with them
}

// New gets an export ready. For a format that tells of tools and rules first, it goes through the scan's findings to learn which they
// have. Errors are those of the source.
func New(scan core.Scan, jobs []core.Job, findings Source, format Format) (*Export, error) {
	e := &Export{format: format, scan: scan, jobs: jobs, findings: findings}
	if !format.catalogued {
		return e, nil
	}
	catalogue := newCatalogue()
	for finding, err := range findings("", false) {
		if err != nil {
			return nil, fmt.Errorf("exporting scan: %w", err)
		}
		catalogue.add(finding)
	}
	for _, job := range jobs {
		catalogue.addJob(job)
	}
	e.runs = catalogue.runs
	return e, nil
}

// Write writes the scan. On an error, w holds a part of a document, which must not be taken for a whole one.
func (e *Export) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := errors.Join(e.format.write(e, out), out.Flush()); err != nil {
		return fmt.Errorf("exporting scan: %w", err)
	}
	return nil
}

// open hands out the findings that are neither fixed nor dismissed.
func (e *Export) open() iter.Seq2[core.Finding, error] {
	return func(yield func(core.Finding, error) bool) {
		for finding, err := range e.findings("", false) {
			if err == nil && (finding.BaselineState == core.Absent || finding.Dismissed) {
				continue
			}
			if !yield(finding, err) || err != nil {
				return
			}
		}
	}
}

// hasRegion tells whether the finding has a line, without which there is no region.
func hasRegion(f core.Finding) bool { return f.File != "" && f.Line > 0 }
