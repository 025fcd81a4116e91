package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
)

// Verdict is pass or fail; empty where there is none, and null in JSON.
type Verdict string

// MarshalJSON writes null where there is none.
func (v Verdict) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(v))
}

// State is how far a scan is, and what it came to.
type State struct {
	Scan       string   `json:"scan"`
	Status     string   `json:"status"`
	Verdict    Verdict  `json:"verdict"` // none while the scan goes on, and when it failed
	Summary    string   `json:"summary"`
	Error      string   `json:"error"`
	WaitingFor []string `json:"waiting_for"`
	Overridden string   `json:"overridden,omitempty"` // who turned the commit's status green all the same, and why
}

func (s State) String() string {
	switch {
	case len(s.WaitingFor) > 0:
		return s.Status + ", waiting for " + strings.Join(s.WaitingFor, ", ")
	case s.Overridden != "":
		return fmt.Sprintf("%s, overridden by %s (%s)", s.Status, s.Overridden, cmp.Or(s.Error, s.Summary))
	case s.Error != "":
		return s.Status + ": " + s.Error
	case s.Verdict != "":
		return fmt.Sprintf("%s, %s: %s", s.Status, s.Verdict, s.Summary)
	}
	return s.Status
}

// Ended tells whether there will be no other state without a new event.
func (s State) Ended() bool { return s.Status == "completed" || s.Status == "failed" }

// Judge is the gate: red for a failed scan too, because what could not be scanned is not known to be fine. Of a scan that goes on
// it knows nothing.
func (s State) Judge() error {
	switch {
	case s.Overridden != "" && s.Ended():
		return nil
	case s.Verdict == "fail" || s.Status == "failed":
		return fmt.Errorf("the gate is closed: %s", cli.OneLine(cmp.Or(s.Error, s.Summary)))
	case s.Ended() && s.Verdict != "pass":
		return &cli.NoAnswer{Err: fmt.Errorf("scan %s has ended without a verdict", cli.OneLine(s.Scan))}
	}
	return nil
}

// detail is the API's answer about a scan.
type detail struct {
	Ref     string  `json:"reference_id"`
	Status  string  `json:"status"`
	Verdict Verdict `json:"verdict"`
	Summary string  `json:"summary"`
	Error   string  `json:"error"`
	Jobs    []struct {
		Scanner string `json:"scanner"`
		State   string `json:"state"`
	} `json:"jobs"`
	Statuses []struct {
		TargetURL string `json:"target_url"`
	} `json:"statuses"`
	Override *struct {
		By      string     `json:"by"`
		Reason  string     `json:"reason"`
		EndedAt *time.Time `json:"ended_at"`
	} `json:"override"` // none from older servers
}

func (d *detail) state() State {
	s := State{Scan: d.Ref, Status: d.Status, Verdict: d.Verdict, Summary: d.Summary, Error: d.Error, WaitingFor: []string{}}
	for _, job := range d.Jobs {
		if job.State == "pending" || job.State == "running" {
			s.WaitingFor = append(s.WaitingFor, job.Scanner)
		}
	}
	if o := d.Override; o != nil && o.EndedAt == nil && d.Verdict != "pass" {
		s.Overridden = o.By + ": " + o.Reason
	}
	return s
}

func scanPath(ref string) string { return "/scans/" + url.PathEscape(ref) }

// Find returns the state of the target's scan, the newest of its commit. Without an error and without a scan none is known yet.
func (t *Target) Find(ctx context.Context, api *Client) (State, error) {
	ref := t.Scan
	if ref == "" {
		query := url.Values{
			"platform": {t.Commit.Platform}, "project": {t.Commit.Project}, "commit": {t.Commit.SHA}, "limit": {"1"},
		}
		var list struct {
			Items []struct {
				Ref string `json:"reference_id"`
			} `json:"items"`
		}
		if err := api.Get(ctx, "/scans?"+query.Encode(), &list); err != nil || len(list.Items) == 0 {
			return State{}, err
		}
		ref = list.Items[0].Ref
	}
	var found detail
	err := api.Get(ctx, scanPath(ref), &found)
	return found.state(), err
}

const (
	firstLook = time.Second
	lastLook  = 5 * time.Second // apart, once a scan takes longer
)

// WaitFor looks until the target's scan has ended, and tells say what it waits for. Its error is a NoAnswer when the time is up.
func (t *Target) WaitFor(ctx context.Context, limit time.Duration, say io.Writer) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	api := t.Client(say)
	api.until = time.Now().Add(limit)
	told := ""
	for apart := firstLook; ; apart = min(apart*3/2, lastLook) {
		state, err := t.Find(ctx, api)
		if err != nil || state.Ended() {
			return state, timeIsUp(ctx, err, state)
		}
		if text := state.progress(); text != told {
			fmt.Fprintln(api.say, cli.OneLine(text))
			told = text
		}
		select {
		case <-ctx.Done():
			return state, timeIsUp(ctx, ctx.Err(), state)
		case <-time.After(apart):
		}
	}
}

func (s State) progress() string {
	if s.Scan == "" {
		return "no scan of the commit is known yet"
	}
	return "scan " + s.Scan + ": " + s.String()
}

// timeIsUp says what was waited for in place of how the waiting ended.
func timeIsUp(ctx context.Context, err error, last State) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &cli.NoAnswer{Err: fmt.Errorf("no verdict in time: %s", cli.OneLine(last.progress()))}
	}
	return err
}

const (
	askTimeout = 20 * time.Second // for what is known of a scan
	mostAsked  = 100              // new findings that are asked for
	mostShown  = 20               // of these, to people
)

// News are the new findings of a scan.
type News struct {
	URL         string    `json:"url"`          // of the scan's page
	NewFindings []Finding `json:"new_findings"` // of all scanners, the gravest first
	More        bool      `json:"more"`         // there are further new findings
}

// Finding is one that the baseline does not have.
type Finding struct {
	ID       int64  `json:"id"`
	Tool     string `json:"tool"`
	RuleID   string `json:"rule_id"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
}

func (f Finding) place() string {
	if f.Line == 0 {
		return cmp.Or(f.File, "-")
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

type findingList struct {
	Items []struct {
		Finding
		Dismissed bool `json:"dismissed"`
	} `json:"items"`
	Next string `json:"next"`
}

// undismissed leaves out what does not count.
func (l findingList) undismissed() []Finding {
	list := []Finding{}
	for _, item := range l.Items {
		if !item.Dismissed {
			list = append(list, item.Finding)
		}
	}
	return list
}

// Ask returns a scan's page and new findings. With an error, it has what is known without.
func (t *Target) Ask(ctx context.Context, api *Client, scan string) (News, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	news := News{URL: t.Server + scanPath(scan), NewFindings: []Finding{}}
	var known detail
	if err := api.Get(ctx, scanPath(scan), &known); err != nil {
		return news, err
	}
	if len(known.Statuses) > 0 { // the server may have another address for people
		news.URL = cmp.Or(known.Statuses[0].TargetURL, news.URL)
	}
	var list findingList
	if err := api.Get(ctx, fmt.Sprintf("%s/findings?baseline_state=new&limit=%d", scanPath(scan), mostAsked), &list); err != nil {
		return news, err
	}
	news.NewFindings, news.More = list.undismissed(), list.Next != ""
	return news, nil
}

// Write prints a sentence, the new findings below it, and the link to the scan's page.
func (n News) Write(out io.Writer, sentence string) error {
	lines := []string{sentence}
	shown := n.NewFindings[:min(len(n.NewFindings), mostShown)]
	for _, f := range shown {
		lines = append(lines, fmt.Sprintf("  %-8s  %s", cli.OneLine(f.Severity), cli.OneLine(f.place()+" "+f.RuleID+" "+f.Title)))
	}
	switch rest := len(n.NewFindings) - len(shown); {
	case n.More:
		lines = append(lines, fmt.Sprintf("  and more than %d more", rest))
	case rest > 0:
		lines = append(lines, fmt.Sprintf("  and %d more", rest))
	}
	_, err := fmt.Fprintln(out, strings.Join(append(lines, cli.OneLine(n.URL)), "\n"))
	return err
}

// Result is what a command says of a scan.
type Result struct {
	State
	News
}
