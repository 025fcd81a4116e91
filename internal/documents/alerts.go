package documents

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/reports/export"
)

// Alert is an alert with all that a list says of it.
type Alert struct {
	alerts.Alert
	Name     string  // shop#17
	Address  string  // of its page
	EPSS     float64 // of its CVE; 0 where unknown
	KEV      bool
	Decision *core.TriageDecision // that prevails; nil where nobody has decided
}

// AlertFormat is one that the alerts of a project are written in.
type AlertFormat struct {
	Name, MediaType string
	Extension       string // of files, with its dot
	Says            string // what readers of it learn, as a noun
	write           func(*bufio.Writer, iter.Seq2[Alert, error]) error
}

// AlertFormats are all formats of alerts.
var AlertFormats = []AlertFormat{
	{Name: "csv", MediaType: export.CSV.MediaType, Extension: export.CSV.Extension, Says: "a table", write: writeAlertTable},
	{Name: "json", MediaType: "application/json", Extension: ".json", Says: "a list of objects", write: writeAlertList},
}

// writeAlerts writes alerts in a format, whatever their number. On an error, w holds a part of a document, which must not be taken for a
// whole one.
func writeAlerts(w io.Writer, format AlertFormat, list iter.Seq2[Alert, error]) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := errors.Join(format.write(out, list), out.Flush()); err != nil {
		return fmt.Errorf("exporting alerts: %w", err)
	}
	return nil
}

var alertHeader = []string{
	"alert", "state", "severity", "tool", "rule_id", "title", "file", "line", "package", "cve_id", "epss", "kev", "author", "first_seen",
	"last_seen", "triage_decision", "reason", "decided_by", "comments", "url",
}

// writeAlertTable writes a row for each alert. A table that broke off would look like a whole one, so its last row says it.
func writeAlertTable(out *bufio.Writer, list iter.Seq2[Alert, error]) error {
	table := csv.NewWriter(out)
	err := table.Write(alertHeader)
	for alert, failure := range list {
		if failure != nil {
			err = failure
		}
		if err != nil {
			return errors.Join(err, table.Write([]string{"incomplete: the export broke off; try again"}), export.Flushed(table))
		}
		err = table.Write(alert.row())
	}
	return errors.Join(err, export.Flushed(table))
}

func (a Alert) row() []string {
	v := a.view()
	row := []string{
		v.Name, v.State, v.Severity, v.Tool, v.RuleID, v.Title, v.File, strconv.Itoa(v.Line), v.Package, v.CVEID, strconv.FormatFloat(a.EPSS, 'f', -1, 64),
		strconv.FormatBool(v.KEV), v.Author, v.FirstSeen.Format(time.RFC3339), day(v.LastSeen), v.Decision, v.Reason, v.DecidedBy, v.Comments, v.URL,
	}
	for i, cell := range row {
		row[i] = export.Inert(cell)
	}
	return row
}

func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// alertView is an alert as an object of the list; its fields have the names of the API.
type alertView struct {
	Name      string     `json:"name"`
	State     string     `json:"state"`
	Severity  string     `json:"severity"`
	Tool      string     `json:"tool"`
	RuleID    string     `json:"rule_id"`
	Title     string     `json:"title"`
	File      string     `json:"file"`
	Line      int        `json:"line"`
	Package   string     `json:"package"`
	CVEID     string     `json:"cve_id"`
	EPSS      *float64   `json:"epss"`
	KEV       bool       `json:"kev"`
	Author    string     `json:"author"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  *time.Time `json:"last_seen"`
	Decision  string     `json:"triage_decision"`
	Reason    string     `json:"reason"`
	DecidedBy string     `json:"decided_by"`
	Comments  string     `json:"comments"`
	URL       string     `json:"url"`
}

func (a Alert) view() alertView {
	v := alertView{
		Name: a.Name, State: string(a.State), Severity: string(a.Severity), Tool: a.Tool, RuleID: a.RuleID, Title: a.Title, File: a.File, Line: a.Line,
		Package: a.Package, CVEID: a.CVEID, KEV: a.KEV, Author: a.Author, FirstSeen: a.FirstSeen.UTC(), LastSeen: a.LastSeen, URL: a.Address,
	}
	if a.EPSS > 0 {
		v.EPSS = &a.EPSS
	}
	if d := a.Decision; d != nil {
		v.Decision, v.Reason, v.DecidedBy, v.Comments = string(d.Decision), string(d.Reason), d.Author, d.Comment
	}
	return v
}

// writeAlertList writes an array with an alert a line. One that broke off has no end.
func writeAlertList(out *bufio.Writer, list iter.Seq2[Alert, error]) error {
	before := "["
	for alert, err := range list {
		if err != nil {
			return err
		}
		line, err := json.Marshal(alert.view())
		if err == nil {
			_, err = out.WriteString(before + "\n" + string(line))
		}
		if err != nil {
			return err
		}
		before = ","
	}
	_, err := out.WriteString(strings.TrimSuffix(before, ",") + "\n]\n")
	return err
}
