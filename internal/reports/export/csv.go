package export

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// CSV is for spreadsheets.
var CSV = Format{
	Name: "csv", MediaType: "text/csv; charset=utf-8", Extension: ".csv", Says: "a table of all findings", write: (*Export).writeCSV,
}

var csvHeader = []string{
	"alert", "state", "severity", "tool", "rule_id", "file", "line", "title", "message", "cve_id", "cwe", "epss", "kev", "dismissed", "help_uri",
}

// writeCSV writes a row for each finding. A table that broke off would look like a whole one, so its last row says it.
func (e *Export) writeCSV(out *bufio.Writer) error {
	table := csv.NewWriter(out)
	err := table.Write(csvHeader)
	for finding, failure := range e.findings("", false) {
		if failure != nil {
			err = failure
		}
		if err != nil {
			return errors.Join(err, table.Write([]string{"incomplete: the export broke off; try again"}), Flushed(table))
		}
		err = table.Write(csvRow(finding))
	}
	return errors.Join(err, Flushed(table))
}

// Flushed is what a table fails with that was written.
func Flushed(table *csv.Writer) error {
	table.Flush()
	return table.Error()
}

func csvRow(f core.Finding) []string {
	row := []string{
		number(f.AlertNumber), string(f.BaselineState), string(f.Severity), f.Tool, f.RuleID, f.File, number(f.Line), f.Title, f.Message,
		cmp.Or(f.VulnerabilityIDs, f.CVEID), f.CWE, probability(f.EPSSProbability), strconv.FormatBool(f.KEV), dismissal(f), f.HelpURI,
	}
	for i, cell := range row {
		row[i] = Inert(cell)
	}
	return row
}

// Inert is a cell that no spreadsheet takes for a formula: reports are made of strangers' code.
func Inert(cell string) string {
	if strings.TrimLeft(cell, "=+-@\t\r\n") != cell {
		return "'" + cell
	}
	return cell
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func probability(p *float64) string {
	if p == nil {
		return ""
	}
	return strconv.FormatFloat(*p, 'f', -1, 64)
}

// dismissal is why a finding does not count, or empty.
func dismissal(f core.Finding) string {
	var reasons []string
	for _, s := range suppressions(f) {
		reasons = append(reasons, cmp.Or(s.Justification, s.Kind))
	}
	return strings.Join(reasons, "; ")
}
