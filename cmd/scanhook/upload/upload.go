// Package upload is scanhook upload: it delivers a scanner's report to a running Scanhook, usually from a CI job, and prints
// what is new in it.
package upload

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	uploadTimeout = 6 * time.Minute  // for one try; the server gives the body five minutes
	askTimeout    = 20 * time.Second // for what is known of the scan by then

	mostAsked = 100 // new findings that are asked for
	mostShown = 20  // of these, to people
)

// Upload is one run of scanhook upload. Complete finds what the flags do not say, Run uploads.
type Upload struct {
	Commit  Commit
	Scanner string // its name in the server's configuration
	Scan    string // reference of the scan, or the link to its page; empty: the scan of Commit
	Server  string // base address
	Token   string
	Gate    bool // Run fails when the verdict is fail, or the scan failed
	JSON    bool
	Retry   time.Duration // after which a server that cannot be reached is given up
	Version string        // of this program
	CI      CI
}

// CI reads the commit of a CI job from the variables of its environment; false outside of one.
type CI func(getenv func(name string) string) (platforms.CICommit, bool)

// Env answers for environment variables, as os.LookupEnv does.
type Env func(name string) (value string, set bool)

func (e Env) get(name string) string {
	value, _ := e(name)
	return strings.TrimSpace(value)
}

// Complete finds what the flags do not say: in the environment, in git and, for the server, in the configuration, which
// configured reads.
func (u *Upload) Complete(ctx context.Context, env Env, configured func() (string, error)) error {
	if u.Scanner == "" || strings.Contains(u.Scanner, "/") {
		return cli.WrongUse("--scanner is missing or a path: give the scanner's name in the server's configuration, " +
			"such as trivy")
	}
	if u.Token = cmp.Or(strings.TrimSpace(u.Token), env.get("SCANHOOK_API_TOKEN")); u.Token == "" {
		return cli.WrongUse("no token: set SCANHOOK_API_TOKEN to one of api.tokens with the role scanner")
	}
	var err error
	if u.Server, err = u.findServer(env, configured); err != nil {
		return err
	}
	if u.Scan == "" {
		return u.Commit.complete(ctx, env, u.CI)
	}
	return nil
}

// findServer looks into the configuration last: in CI jobs there is none.
func (u *Upload) findServer(env Env, configured func() (string, error)) (string, error) {
	if server := cmp.Or(u.Server, env.get("SCANHOOK_URL")); server != "" {
		return checkServer(server)
	}
	server, err := configured()
	if errors.Is(err, fs.ErrNotExist) {
		return "", cli.WrongUse("no server: give Scanhook's address with --server or in SCANHOOK_URL")
	}
	return server, err
}

func checkServer(address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return "", cli.WrongUse("--server or SCANHOOK_URL must be an address that starts with https:// or http:// and a host")
	}
	return strings.TrimRight(address, "/"), nil
}

// Run stores the report and prints what is known of the scan then, usually the verdict.
func (u *Upload) Run(ctx context.Context, out, errs io.Writer, report *Report) error {
	api := &client{server: u.Server, token: u.Token, version: u.Version, until: time.Now().Add(u.Retry), say: errs}
	stored, err := u.put(ctx, api, report)
	if err != nil {
		return fmt.Errorf("uploading the report: %w", err)
	}
	known, err := u.ask(ctx, api, stored)
	if err != nil {
		fmt.Fprintln(errs, "the report was stored, but what it says cannot be shown:", err)
	}
	if u.JSON {
		err = known.writeJSON(out)
	} else {
		err = known.write(out, u.Scanner)
	}
	if err == nil && u.Gate {
		return stored.judge()
	}
	return err
}

func (u *Upload) put(ctx context.Context, api *client, report *Report) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, u.Retry+uploadTimeout)
	defer cancel()
	var stored answer
	if err := api.put(ctx, u.path(), report.open, &stored); err != nil {
		return stored, err
	}
	if stored.Scan == "" {
		return stored, errNotScanhook
	}
	return stored, nil
}

// path is that of the report below /api/v1.
func (u *Upload) path() string {
	scanner := "/results/" + url.PathEscape(u.Scanner)
	if u.Scan != "" {
		return "/scans/" + url.PathEscape(path.Base(u.Scan)) + scanner
	}
	query := url.Values{
		"platform": {u.Commit.Platform}, "project": {u.Commit.Project}, "commit": {u.Commit.SHA}, "branch": {u.Commit.Branch},
	}
	if u.Commit.ProjectID != "" {
		query.Set("project_id", u.Commit.ProjectID)
	}
	return scanner + "?" + query.Encode()
}

// ask completes the outcome with the scan's page and its new findings. With an error, the outcome has what is known without.
func (u *Upload) ask(ctx context.Context, api *client, stored answer) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	scan := "/scans/" + url.PathEscape(stored.Scan)
	known := outcome{answer: stored, URL: u.Server + scan, NewFindings: []newFinding{}}
	var detail struct {
		Statuses []struct {
			TargetURL string `json:"target_url"`
		} `json:"statuses"`
	}
	if err := api.get(ctx, scan, &detail); err != nil {
		return known, err
	}
	if len(detail.Statuses) > 0 { // the server may have another address for people
		known.URL = cmp.Or(detail.Statuses[0].TargetURL, known.URL)
	}
	var list findingList
	if err := api.get(ctx, fmt.Sprintf("%s/findings?baseline_state=new&limit=%d", scan, mostAsked), &list); err != nil {
		return known, err
	}
	known.NewFindings, known.More = list.undismissed(), list.Next != ""
	return known, nil
}

// answer is what the API says of a stored report.
type answer struct {
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

// describe says what was stored, and the state of the scan.
func (a answer) describe(scanner string) string {
	text := fmt.Sprintf("stored %s of %s (%d new, %d known)", core.Plural(a.Stored, "finding"), scanner, a.New, a.Unchanged)
	if a.Skipped > 0 {
		text += fmt.Sprintf(", left out %s without a problem", core.Plural(a.Skipped, "result"))
	}
	return cli.OneLine(fmt.Sprintf("%s; scan %s: %s", text, a.Scan, a.state()))
}

func (a answer) state() string {
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
func (a answer) judge() error {
	if a.Verdict == "fail" || a.Status == "failed" {
		return fmt.Errorf("the gate is closed: %s", cli.OneLine(cmp.Or(a.Error, a.Summary)))
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

// outcome is what the command prints.
type outcome struct {
	answer
	URL         string       `json:"url"`          // of the scan's page
	NewFindings []newFinding `json:"new_findings"` // of all scanners, the gravest first
	More        bool         `json:"more"`         // there are further new findings
}

func (o outcome) write(out io.Writer, scanner string) error {
	lines := []string{o.describe(scanner)}
	shown := o.NewFindings[:min(len(o.NewFindings), mostShown)]
	for _, f := range shown {
		lines = append(lines, fmt.Sprintf("  %-8s  %s", cli.OneLine(f.Severity), cli.OneLine(f.place()+" "+f.RuleID+" "+f.Title)))
	}
	switch rest := len(o.NewFindings) - len(shown); {
	case o.More:
		lines = append(lines, fmt.Sprintf("  and more than %d more", rest))
	case rest > 0:
		lines = append(lines, fmt.Sprintf("  and %d more", rest))
	}
	_, err := fmt.Fprintln(out, strings.Join(append(lines, cli.OneLine(o.URL)), "\n"))
	return err
}

// writeJSON writes verdict null where there is none yet.
func (o outcome) writeJSON(out io.Writer) error {
	document := struct {
		outcome
		Verdict *string `json:"verdict"`
	}{outcome: o}
	if o.Verdict != "" {
		document.Verdict = &o.Verdict
	}
	return json.NewEncoder(out).Encode(document)
}
