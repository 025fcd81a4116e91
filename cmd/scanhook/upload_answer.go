package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/scanhook/scanhook/core"
)

const (
	mostAsked = 100 // new findings that are asked for
	mostShown = 20  // of these, to people
)

// uploadAnswer is what the API says of a stored report.
type uploadAnswer struct {
	Scan       string   `json:"scan"`
	Status     string   `json:"status"`
	Verdict    string   `json:"verdict"` // empty where it is null: while the scan goes on, and when it failed
	Summary    string   `json:"summary"`
	Error      string   `json:"error"`
	Stored     int      `json:"stored"`
	Skipped    int      `json:"skipped"`
	New        int      `json:"new"`
	Unchanged  int      `json:"unchanged"`
	WaitingFor []string `json:"waiting_for"`
}

// refusal is an answer that is no success: a problem document (RFC 9457), or whatever a proxy says.
type refusal struct {
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

var errNotScanhook = errors.New("the answer is not Scanhook's: does the address lead to it?")

func refused(response *http.Response, body []byte) error {
	if to := response.Header.Get("Location"); response.StatusCode/100 == 3 && to != "" {
		return fmt.Errorf("the server redirects to %s: give the address that does not", printable(to))
	}
	var problem refusal
	if err := json.Unmarshal(body, &problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the server answered %d %s, and not as Scanhook does: does the address lead to it?",
			response.StatusCode, http.StatusText(response.StatusCode))
	}
	details := []string{problem.Detail}
	for _, e := range problem.Errors {
		details = append(details, strings.TrimSpace(e.Message+" "+e.Location))
	}
	return fmt.Errorf("the server answered %d: %s", response.StatusCode, printable(strings.Join(details, "; ")))
}

// describe tells what was stored, and where the scan stands now.
func (a uploadAnswer) describe(scanner string) string {
	text := fmt.Sprintf("stored %s of %s (%d new, %d known)", core.Plural(a.Stored, "finding"), scanner, a.New, a.Unchanged)
	if a.Skipped > 0 {
		text += fmt.Sprintf(", left out %s without a problem", core.Plural(a.Skipped, "result"))
	}
	return oneLine(fmt.Sprintf("%s; scan %s: %s", text, a.Scan, a.state()))
}

func (a uploadAnswer) state() string {
	switch {
	case len(a.WaitingFor) > 0:
		return a.Status + ", waiting for " + strings.Join(a.WaitingFor, ", ")
	case a.Error != "":
		return a.Status + ": " + a.Error
	case a.Verdict != "":
		return fmt.Sprintf("%s, %s: %s", a.Status, a.Verdict, a.Summary)
	}
	return a.Status
}

// judge is the gate: red for a failed scan too, because what could not be scanned is not known to be fine.
func (a uploadAnswer) judge() error {
	if a.Verdict == "fail" || a.Status == "failed" {
		return fmt.Errorf("the gate is closed: %s", oneLine(cmp.Or(a.Error, a.Summary)))
	}
	return nil
}

// newFinding is a finding that the baseline does not have.
type newFinding struct {
	ID       int64  `json:"id"`
	Tool     string `json:"tool"`
	RuleID   string `json:"rule_id"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
}

func (f newFinding) place() string {
	if f.Line == 0 {
		return cmp.Or(f.File, "-")
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

type findingList struct {
	Items []struct {
		newFinding
		Suppressed     *string `json:"suppressed"`
		TriageDecision *string `json:"triage_decision"`
	} `json:"items"`
	Next string `json:"next"`
}

// undismissed leaves out what does not count: suppressed in the code, or called a false positive before.
func (l findingList) undismissed() []newFinding {
	list := []newFinding{}
	for _, item := range l.Items {
		if item.Suppressed == nil && (item.TriageDecision == nil || *item.TriageDecision != "FP") {
			list = append(list, item.newFinding)
		}
	}
	return list
}

// uploadOutcome is what the command tells.
type uploadOutcome struct {
	uploadAnswer
	URL         string       `json:"url"`          // of the scan's page
	NewFindings []newFinding `json:"new_findings"` // of all scanners, the gravest first
	More        bool         `json:"more"`         // there are further new findings
}

func (o uploadOutcome) write(out io.Writer, scanner string) error {
	lines := []string{o.describe(scanner)}
	shown := o.NewFindings[:min(len(o.NewFindings), mostShown)]
	for _, f := range shown {
		lines = append(lines, fmt.Sprintf("  %-8s  %s", oneLine(f.Severity), oneLine(f.place()+" "+f.RuleID+" "+f.Title)))
	}
	switch rest := len(o.NewFindings) - len(shown); {
	case o.More:
		lines = append(lines, fmt.Sprintf("  and more than %d more", rest))
	case rest > 0:
		lines = append(lines, fmt.Sprintf("  and %d more", rest))
	}
	_, err := fmt.Fprintln(out, strings.Join(append(lines, oneLine(o.URL)), "\n"))
	return err
}

// writeJSON writes verdict null where there is none yet.
func (o uploadOutcome) writeJSON(out io.Writer) error {
	document := struct {
		uploadOutcome
		Verdict *string `json:"verdict"`
	}{uploadOutcome: o}
	if o.Verdict != "" {
		document.Verdict = &o.Verdict
	}
	return json.NewEncoder(out).Encode(document)
}
