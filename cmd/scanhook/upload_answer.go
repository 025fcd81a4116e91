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

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

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

func readAnswer(response *http.Response) (uploadAnswer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return uploadAnswer{}, fmt.Errorf("reading the answer: %w", err)
	}
	var answer uploadAnswer
	if response.StatusCode/100 != 2 {
		return answer, refused(response, body)
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Scan == "" {
		return answer, errors.New("the answer is not Scanhook's: does the address lead to it?")
	}
	return answer, nil
}

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
	return printable(fmt.Sprintf("%s; scan %s: %s", text, a.Scan, a.state()))
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
		return fmt.Errorf("the gate is closed: %s", printable(cmp.Or(a.Error, a.Summary)))
	}
	return nil
}
