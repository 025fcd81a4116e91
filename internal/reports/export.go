package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/scanhook/scanhook/core"
)

// Source hands out the findings of a scan, and after them those of its baseline that it fixed (with the BaselineState
// absent): of one tool, or of all tools where tool is empty.
type Source func(tool string) iter.Seq2[core.Finding, error]

// Export is a scan on its way into a SARIF log. It keeps the rules of the scan, not its findings: those are asked for
// twice, so that a scan of any size can be written.
type Export struct {
	scan     core.Scan
	findings Source
	runs     []*exportRun
}

// NewExport goes through a scan's findings to learn which tools and rules they have. Errors are those of the source.
func NewExport(scan core.Scan, jobs []core.Job, findings Source) (*Export, error) {
	catalogue := newCatalogue()
	for finding, err := range findings("") {
		if err != nil {
			return nil, fmt.Errorf("exporting scan: %w", err)
		}
		catalogue.add(finding)
	}
	for _, job := range jobs {
		catalogue.addJob(job)
	}
	return &Export{scan: scan, findings: findings, runs: catalogue.runs}, nil
}

// WriteSARIF writes the scan as SARIF 2.1.0 with one run for each tool. On an error, w holds a part of a log that no
// reader of JSON accepts.
func (e *Export) WriteSARIF(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := e.write(out); err != nil {
		return fmt.Errorf("exporting scan: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("exporting scan: %w", err)
	}
	return nil
}

// write leaves errors of the writer to Flush, which remembers them.
func (e *Export) write(out *bufio.Writer) error {
	_, _ = out.WriteString(`{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[`)
	for i, run := range e.runs {
		if i > 0 {
			_, _ = out.WriteString(",\n")
		}
		if err := e.writeRun(out, run); err != nil {
			return err
		}
	}
	_, _ = out.WriteString("]}\n")
	return nil
}

// writeRun writes what is said of a run, and in place of its closing brace the results.
func (e *Export) writeRun(out *bufio.Writer, run *exportRun) error {
	head, err := json.Marshal(e.describe(run))
	if err != nil {
		return err
	}
	_, _ = out.Write(head[:len(head)-1])
	_, _ = out.WriteString(`,"results":[`)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if run.findings > 0 {
		err = e.writeResults(out, encoder, run)
	}
	_, _ = out.WriteString("]}")
	return err
}

func (e *Export) writeResults(out *bufio.Writer, encoder *json.Encoder, run *exportRun) error {
	separator := "\n"
	for finding, err := range e.findings(run.tool) {
		if err != nil {
			return err
		}
		if finding.Tool != run.tool {
			continue // asked for a tool without a name, the source hands out those of all tools
		}
		_, _ = out.WriteString(separator)
		separator = ","
		if err := encoder.Encode(run.result(finding)); err != nil {
			return err
		}
	}
	return nil
}
