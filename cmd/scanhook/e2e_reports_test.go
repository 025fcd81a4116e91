package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// reportCase is one file of testdata/reports: the life of a project whose scanner is uploaded, and what each step must come to.
// No git server knows the commits, so that the reports alone decide.
type reportCase struct {
	Why   string          `json:"why"`
	Gate  json.RawMessage `json:"gate"`  // of the repository; fail_on high, new_only true without
	Entry string          `json:"entry"` // more keys of the repository, in YAML's flow style

	Scanner string `json:"scanner"` // whose reports they are; probe without, or parts, of whose categories scans wait for go and js

	KEV   []string     `json:"kev"` // vulnerabilities that are known to be exploited before it begins
	Steps []reportStep `json:"steps"`
}

// reportStep is a push with the upload that follows, another upload to a commit (Again), or a person's decision (Triage).
type reportStep struct {
	Commit string          `json:"commit"`
	Branch string          `json:"branch"`
	Before string          `json:"before"`
	Push   pushedFiles     `json:"push"`
	Again  bool            `json:"again"`
	Query  string          `json:"query"`  // of the upload: category, partial, paths
	Report json.RawMessage `json:"report"` // a text stands for itself, anything else for a document
	Expect reportOutcome   `json:"expect"`
	Triage *struct {
		Commit   string `json:"commit"`
		File     string `json:"file"` // only findings in it; all when empty
		Decision string `json:"decision"`
	} `json:"triage"`
}

type pushedFiles struct {
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	Modified []string `json:"modified"`
}

// reportOutcome is what must be; what is left out may be anything.
type reportOutcome struct {
	Verdict       string   `json:"verdict"`
	New           *int     `json:"new"`
	Known         *int     `json:"known"`
	Fixed         *int     `json:"fixed"`
	Dismissed     *int     `json:"dismissed"`
	NotSearched   *int     `json:"not_searched"`
	Files         []string `json:"files"` // of the findings, each once
	DistinctFiles *int     `json:"distinct_files"`
	Severities    []string `json:"severities"` // of the findings, sorted
	MatchedBy     []string `json:"matched_by"` // of the findings, sorted
	NoMessages    []string `json:"no_messages"`
	Refused       string   `json:"refused"` // what the answer with a 4xx says
	NotPass       bool     `json:"not_pass"`
}

// Every report of testdata/reports, uploaded as CI jobs do after the push was announced, gets the right verdict.
func TestReportsGetTheRightVerdict(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/reports/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	cases := map[string]reportCase{}
	for _, file := range files {
		cases[strings.TrimSuffix(filepath.Base(file), ".json")] = readReportCase(t, file)
	}
	w, _ := setup(t, sandboxConfig{kind: "github", extra: repositoriesOf(cases)})
	startSandbox(t, w)
	importExploited(t, w, cases)
	t.Run("cases", func(t *testing.T) {
		for id, c := range cases {
			t.Run(id, func(t *testing.T) {
				t.Parallel()
				(&reportPlay{t: t, w: w, project: "acme/" + id, scanner: cmp.Or(c.Scanner, probe), scans: map[string]string{}}).play(c)
			})
		}
	})
}

func readReportCase(t *testing.T, file string) (c reportCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c
}

// repositoriesOf configures a repository for each case. A flow mapping of YAML takes JSON as it is.
func repositoriesOf(cases map[string]reportCase) string {
	var text strings.Builder
	text.WriteString("\nscanners: {probe: {upload: true}, parts: {upload: true, categories: [go, js]}}\nrepositories:\n")
	for id, c := range cases {
		gate := cmp.Or(string(c.Gate), `{"fail_on": "high", "new_only": true}`)
		entry := strings.TrimSuffix("scanners: ["+cmp.Or(c.Scanner, probe)+"], "+c.Entry, ", ")
		fmt.Fprintf(&text, "  - {match: github/acme/%s, %s, gate: %s}\n", id, entry, gate)
	}
	return text.String()
}

func importExploited(t *testing.T, w *sandbox, cases map[string]reportCase) {
	t.Helper()
	feed := core.Feed{Kind: core.FeedKEV, Source: "kev.json"}
	for _, c := range cases {
		for _, id := range c.KEV {
			feed.Scores = append(feed.Scores, core.Score{CVEID: id})
		}
	}
	if _, err := w.look(t).PutFeed(t.Context(), feed, store.FeedOptions{}); err != nil {
		t.Fatal(err)
	}
}

// reportPlay plays one case.
type reportPlay struct {
	t       *testing.T
	w       *sandbox
	project string
	scanner string
	scans   map[string]string // reference ids, by the names of commits
}

// probe is the scanner of cases that name none.
const probe = "probe"

func (p *reportPlay) play(c reportCase) {
	for n, step := range c.Steps {
		switch {
		case step.Triage != nil:
			p.triage(step.Triage.Commit, step.Triage.File, step.Triage.Decision)
			continue
		case !step.Again:
			p.push(step)
		}
		answer := p.upload(step)
		if problems := p.compare(step, answer); len(problems) > 0 {
			p.t.Errorf("%s\nstep %d, commit %s: %s", c.Why, n+1, step.Commit, strings.Join(problems, "; "))
		}
	}
}

// sha is the id of a commit; of none, the one that stands for none.
func (p *reportPlay) sha(commit string) string {
	if commit == "" {
		return strings.Repeat("0", sha1.Size*2)
	}
	sum := sha1.Sum([]byte(p.project + "@" + commit))
	return hex.EncodeToString(sum[:])
}

func (p *reportPlay) projectID() uint32 {
	sum := sha1.Sum([]byte(p.project))
	return uint32(sum[0])<<16 | uint32(sum[1])<<8 | uint32(sum[2])
}

// push announces a commit by a webhook, as GitHub does.
func (p *reportPlay) push(step reportStep) {
	p.t.Helper()
	head := map[string]any{
		"id": p.sha(step.Commit), "message": "Commit " + step.Commit, "timestamp": "2026-01-02T03:04:05Z",
		"author":    map[string]any{"name": "Ada", "email": "ada@example.com"},
		"committer": map[string]any{"name": "Ada", "email": "ada@example.com"},
		"added":     orEmpty(step.Push.Added), "removed": orEmpty(step.Push.Removed), "modified": orEmpty(step.Push.Modified),
	}
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/" + step.Branch, "before": p.sha(step.Before), "after": p.sha(step.Commit),
		"created": step.Before == "", "deleted": false, "forced": false,
		"commits": []any{head}, "head_commit": head,
		"repository": map[string]any{
			"id": p.projectID(), "name": filepath.Base(p.project), "full_name": p.project, "default_branch": "main",
			"html_url": p.w.platform.Base() + "/" + p.project, "clone_url": p.w.platform.Base() + "/" + p.project + ".git",
			"owner": map[string]any{"login": "acme"},
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	delivery, err := p.w.platform.Seal("push", body)
	if err == nil {
		delivery, err = p.w.platform.Send(p.t.Context(), p.w.hookURL(), delivery)
	}
	var answer struct{ Outcome, Scan string }
	if err != nil || json.Unmarshal(delivery.Answer, &answer) != nil || answer.Scan == "" {
		p.t.Fatalf("the push of %s was answered %d %s, %v", step.Commit, delivery.Status, delivery.Answer, err)
	}
	p.scans[step.Commit] = answer.Scan
}

func orEmpty(list []string) []string { return append([]string{}, list...) }

// uploadAnswer is how a report was answered.
type uploadAnswer struct {
	status int
	body   string
}

func (p *reportPlay) upload(step reportStep) uploadAnswer {
	p.t.Helper()
	report := []byte(step.Report)
	var text string
	if json.Unmarshal(report, &text) == nil {
		report = []byte(text)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	url := p.w.scanhook + "/api/v1/scans/" + p.scans[step.Commit] + "/results/" + p.scanner + "?" + step.Query
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(report))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.w.apiToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return uploadAnswer{response.StatusCode, string(body)}
}

// playedFinding is a finding, as far as cases look at it.
type playedFinding struct {
	ID       int64
	File     string
	Message  string
	Severity string
	Evidence string `json:"matched_by"`
}

func (p *reportPlay) findings(commit string) []playedFinding {
	p.t.Helper()
	var list struct{ Items []playedFinding }
	ask(p.t, p.w, "GET", "/api/v1/scans/"+p.scans[commit]+"/findings?limit=100", "", &list)
	return list.Items
}

func (p *reportPlay) triage(commit, file, decision string) {
	p.t.Helper()
	judged := 0
	for _, finding := range p.findings(commit) {
		if file == "" || finding.File == file {
			mark(p.t, p.w, finding.ID, decision)
			judged++
		}
	}
	if judged == 0 {
		p.t.Fatalf("%s has no finding to judge", commit)
	}
}

// compare lists what is not as expected.
func (p *reportPlay) compare(step reportStep, answer uploadAnswer) (problems []string) {
	p.t.Helper()
	want := step.Expect
	if refused := answer.status/100 == 4; refused || want.Refused != "" {
		if !refused || want.Refused == "" || !strings.Contains(answer.body, want.Refused) {
			return []string{fmt.Sprintf("the upload was answered %d %s, want a refusal with %q", answer.status, answer.body, want.Refused)}
		}
		return nil
	}
	if answer.status/100 != 2 {
		return []string{fmt.Sprintf("the upload was answered %d %s", answer.status, answer.body)}
	}
	return append(p.compareScan(step.Commit, want), compareFindings(p.findings(step.Commit), want)...)
}

func (p *reportPlay) compareScan(commit string, want reportOutcome) (problems []string) {
	p.t.Helper()
	var scan struct{ Status, Verdict, Summary string }
	ask(p.t, p.w, "GET", "/api/v1/scans/"+p.scans[commit], "", &scan)
	if want.Verdict != "" && scan.Verdict != want.Verdict || want.NotPass && scan.Verdict == "pass" {
		problems = append(problems, fmt.Sprintf("verdict %q of the %s scan, want %q, not pass %t", scan.Verdict, scan.Status, want.Verdict, want.NotPass))
	}
	for word, n := range map[string]*int{
		"new": want.New, "known": want.Known, "fixed": want.Fixed, "dismissed": want.Dismissed, "not searched": want.NotSearched,
	} {
		if n != nil && numberIn(scan.Summary, word) != *n {
			problems = append(problems, fmt.Sprintf("the status says %q, want %d %s", scan.Summary, *n, word))
		}
	}
	return problems
}

// numberIn is the number before a word of a status text; 0 where the word is not in it.
func numberIn(summary, word string) int {
	found := regexp.MustCompile(`(\d+) ` + word + `\b`).FindStringSubmatch(summary)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1]) // digits
	return n
}

func compareFindings(findings []playedFinding, want reportOutcome) (problems []string) {
	var files, severities, evidence []string
	for _, finding := range findings {
		files, severities = append(files, finding.File), append(severities, finding.Severity)
		evidence = append(evidence, finding.Evidence)
		if slices.Contains(want.NoMessages, finding.Message) {
			problems = append(problems, fmt.Sprintf("%q is a finding", finding.Message))
		}
	}
	slices.Sort(severities)
	slices.Sort(files)
	files = slices.Compact(files)
	if wanted := slices.Sorted(slices.Values(want.Files)); want.Files != nil && !slices.Equal(files, wanted) {
		problems = append(problems, fmt.Sprintf("findings in %q, want %q", files, wanted))
	}
	if want.DistinctFiles != nil && len(files) != *want.DistinctFiles {
		problems = append(problems, fmt.Sprintf("findings in %q, want %d files", files, *want.DistinctFiles))
	}
	slices.Sort(evidence)
	if want.MatchedBy != nil && !slices.Equal(evidence, want.MatchedBy) {
		problems = append(problems, fmt.Sprintf("matched by %q, want %q", evidence, want.MatchedBy))
	}
	if want.Severities != nil && !slices.Equal(severities, want.Severities) {
		problems = append(problems, fmt.Sprintf("severities %q, want %q", severities, want.Severities))
	}
	return problems
}
