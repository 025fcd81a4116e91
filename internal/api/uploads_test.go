package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestUpload(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy", "semgrep")
	path := "/api/v1/scans/" + b.push(t, 1) + "/results/"
	var got results
	b.call(t, "uploader", "PUT", path+"trivy", report, &got)
	if got.Results != 2 || got.Stored != 2 || got.New != 2 || got.Status != "processing" || len(got.WaitingFor) != 1 {
		t.Errorf("first of two reports: %+v", got)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	fmt.Fprint(zip, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"semgrep"}},"results":[]}]}`)
	_ = zip.Close()
	b.call(t, "uploader", "PUT", path+"semgrep", packed.String(), &got, "Content-Encoding", "gzip")
	if got.Status != "completed" || got.Verdict == nil || *got.Verdict != "fail" || got.Summary != "2 new (1 high, 1 low)" {
		t.Errorf("both reports: %+v", got)
	}
	for name, c := range map[string]struct {
		scanner, body string
		header        []string
		want          int
	}{
		"malformed":        {"trivy", `{"findings":[{"rule_id":`, nil, 422},
		"not gzip":         {"trivy", report, []string{"Content-Encoding", "gzip"}, 422},
		"unknown encoding": {"trivy", report, []string{"Content-Encoding", "br"}, 422},
		"empty":            {"trivy", "", nil, 422},
		"scanner's name":   {".hidden", report, nil, 422},
	} {
		if answer := b.call(t, "uploader", "PUT", path+c.scanner, c.body, &got, c.header...); answer.Code != c.want || detail(t, answer) == "" {
			t.Errorf("%s: %d %s, want %d", name, answer.Code, answer.Body, c.want)
		}
	}
	b.call(t, "triager", "GET", strings.TrimSuffix(path, "/results/"), "", &got)
	if got.Status != "completed" || got.Summary != "2 new (1 high, 1 low)" || len(got.Jobs) != 2 || len(got.Statuses) != 1 {
		t.Errorf("malformed reports changed the scan: %+v", got)
	}
}

func TestUploadByCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	query := "?platform=github&branch=main&project=acme/shop&commit="
	var got results
	unknown := b.call(t, "uploader", "PUT", "/api/v1/results/trivy"+query+storetest.SHA(7), report, nil)
	if text := detail(t, unknown); unknown.Code != 404 || !strings.Contains(text, "no webhook of this project came yet") {
		t.Errorf("a project of which nothing but the name is known: %d %s", unknown.Code, text)
	}
	query = "?project_id=42" + strings.Replace(query, "?", "&", 1)
	b.call(t, "uploader", "PUT", "/api/v1/results/trivy"+query+storetest.SHA(7), report, &got)
	if got.Scan == "" || got.Status != "completed" || got.Stored != 2 {
		t.Errorf("a commit that no webhook announced: %+v", got)
	}
	first := got.Scan
	b.call(t, "uploader", "PUT", "/api/v1/results/trivy"+query+storetest.SHA(7), report, &got)
	if got.Scan != first || got.Stored != 2 {
		t.Errorf("the same again: %+v, want scan %s", got, first)
	}
	b.push(t, 1) // which proves the id that the job stated
	if named := b.call(t, "uploader", "PUT", "/api/v1/results/trivy"+strings.Replace(query, "42", "43", 1)+storetest.SHA(7), report, nil); named.Code != 409 {
		t.Errorf("a name that is another project's: %d %s", named.Code, named.Body)
	}
	for name, path := range map[string]string{
		"short commit":       "/api/v1/results/trivy" + query + "abc",
		"no platform":        "/api/v1/results/trivy?project=acme/shop&commit=" + storetest.SHA(7),
		"unknown parameter":  "/api/v1/results/trivy" + query + storetest.SHA(7) + "&brunch=x",
		"unknown platform":   "/api/v1/results/trivy?platform=nope&project=acme/shop&commit=" + storetest.SHA(7),
		"unknown repository": "/api/v1/results/trivy?platform=github&project=else/where&commit=" + storetest.SHA(7),
	} {
		answer := b.call(t, "uploader", "PUT", path, report, &got)
		if answer.Code != 422 && answer.Code != 404 || detail(t, answer) == "" {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
}

func TestUploadsOfScannersThatRunHereAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, "gitleaks", "trivy")
	ref := b.push(t, 1)
	byCommit := "?platform=github&branch=main&project=acme/shop&commit=" + storetest.SHA(2)
	for scanner, want := range map[string]struct {
		code     int
		sentence string
	}{
		"gitleaks": {409, "gitleaks runs here"},
		"semgrep":  {422, "there are: trivy"}, // configured, but not listed
		"trify":    {422, "there are: trivy"},
		".hidden":  {422, "there are: trivy"},
	} {
		for _, call := range [][3]string{
			{"PUT", "/api/v1/scans/" + ref + "/results/" + scanner, report},
			{"PUT", "/api/v1/scans/" + ref + "/results/" + scanner, "not read at all"},
			{"PUT", "/api/v1/results/" + scanner + byCommit, report},
			{"POST", "/api/v1/scans/" + ref + "/fail", fmt.Sprintf(`{"scanner":%q,"reason":"no"}`, scanner)},
		} {
			answer := b.call(t, "admin", call[0], call[1], call[2], nil)
			if answer.Code != want.code || !strings.Contains(detail(t, answer), want.sentence) {
				t.Errorf("%s %s: %d %s, want %d %s", call[0], call[1], answer.Code, answer.Body, want.code, want.sentence)
			}
		}
	}
	var got results
	b.call(t, "triager", "GET", "/api/v1/scans", "", &got)
	if len(got.Items) != 1 || got.Items[0]["status"] != "pending" {
		t.Errorf("refused reports left %v", got.Items)
	}
	if got := b.audit(t); len(got) != 0 {
		t.Errorf("refused reports are in the audit: %v", got)
	}
}

// pack compresses a head, and then a filling a number of times.
func pack(t *testing.T, head, filling string, times int) string {
	t.Helper()
	member := func(text string) []byte {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		if _, err := writer.Write([]byte(text)); err != nil || writer.Close() != nil {
			t.Fatal(err)
		}
		return packed.Bytes()
	}
	return string(slices.Concat(member(head), bytes.Repeat(member(filling), times)))
}

func TestBombsEndEarly(t *testing.T) {
	t.Parallel()
	const head = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"bomb"}},"results":[`
	const megabyte = 1 << 20
	tests := map[string]struct{ body, want string }{
		"blanks":      {pack(t, head, strings.Repeat(" ", megabyte), 1000), "800 times"},
		"one text":    {pack(t, head+`{"message":{"text":"`, strings.Repeat("x", megabyte), 1000), "800 times"},
		"empty":       {pack(t, head, strings.Repeat("{},\n", megabyte/4), 1000), "more than 250000 results"},
		"open arrays": {pack(t, head, strings.Repeat("[", megabyte), 1000), "max depth"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "trivy")
			answer := b.call(t, "uploader", http.MethodPut, "/api/v1/scans/"+b.push(t, 1)+"/results/trivy", test.body, nil,
				"Content-Encoding", "gzip")
			if text := detail(t, answer); answer.Code/100 != 4 || !strings.Contains(text, test.want) {
				t.Errorf("%d %q, want %q", answer.Code, text, test.want)
			}
		})
	}
}

// Reports can be very uniform: the same long text again and again, with another line each time.
func TestUniformReportsAreNoBombs(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	var results strings.Builder
	for line := range 5000 {
		fmt.Fprintf(&results, `{"ruleId":"r","message":{"text":%q},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"},`+
			`"region":{"startLine":%d}}}]},`, strings.Repeat("advice ", 200), line+1)
	}
	head := `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"dull"}},"results":[`
	body := pack(t, head, strings.TrimSuffix(results.String(), ",")+`]}]}`, 1)
	answer := b.call(t, "uploader", http.MethodPut, "/api/v1/scans/"+b.push(t, 1)+"/results/trivy", body, nil,
		"Content-Encoding", "gzip")
	if answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// One large report is parsed at a time. A second one is busy, while small ones pass.
func TestLargeUploadsGoOneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy", "semgrep")
	path := "/api/v1/scans/" + b.push(t, 1) + "/results/"
	arriving, rest := io.Pipe()
	first := make(chan int)
	go func() { first <- b.deliver(t, path+"trivy", arriving).Code }()
	blanks := strings.Repeat(" ", 9<<20)
	if _, err := io.WriteString(rest, `{"version":"2.1.0","runs":[`+blanks); err != nil {
		t.Fatal(err)
	}
	if answer := b.deliver(t, path+"semgrep", strings.NewReader(`{"findings": []}`)); answer.Code != http.StatusOK {
		t.Errorf("a small one: %d %s", answer.Code, answer.Body)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	request := httptest.NewRequestWithContext(ctx, http.MethodPut, path+"semgrep", strings.NewReader(`{"findings": [`+blanks+`]}`))
	if answer := b.serve(request); answer.Code == http.StatusOK {
		t.Errorf("a second large one was taken meanwhile: %s", answer.Body)
	}
	if _, err := io.WriteString(rest, `{"results":[]}]}`); err != nil || rest.Close() != nil || <-first != http.StatusOK {
		t.Error("the first large one was not taken")
	}
}

// A report with text that cannot be stored unchanged is refused with the position of the text, on both engines.
func TestUploadsAreTakenVerbatimOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setupOn(t, e, "trivy")
		path := "/api/v1/scans/" + b.push(t, 1) + "/results/trivy"
		for _, template := range []string{
			`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[{"ruleId":"a","message":{"text":TEXT}}]}]}`,
			`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":TEXT}},"results":[]}]}`,
			`{"version":"2.1.0","runs":[{"results":[{"locations":[{"physicalLocation":{"artifactLocation":{"uri":TEXT}}}]}]}]}`,
			`{"findings":[{"rule_id":TEXT,"severity":"low"}]}`,
			`{"findings":[{"rule_id":"a","severity":"low","file":TEXT}]}`,
			`{"findings":[{"rule_id":"a","severity":"low","snippet":TEXT}]}`,
			`{"findings":[],"nobody":{TEXT:[]}}`,
		} {
			for what, text := range unstorable {
				answer := b.call(t, "uploader", "PUT", path, strings.ReplaceAll(template, "TEXT", text.quoted), nil)
				if answer.Code != http.StatusUnprocessableEntity || !strings.Contains(detail(t, answer), "line 1, column ") {
					t.Errorf("%s in %s: %d %s", what, template, answer.Code, answer.Body)
				}
			}
			for _, text := range odd() {
				quoted, _ := json.Marshal(text)
				if answer := b.call(t, "uploader", "PUT", path, strings.ReplaceAll(template, "TEXT", string(quoted)), nil); answer.Code >= 500 {
					t.Errorf("%.40q in %s: %d %s", text, template, answer.Code, answer.Body)
				}
			}
		}
		for _, number := range []string{"-1", "1e400", "2147483648", "9223372036854775808", "1.5", "1e9"} {
			body := `{"findings":[{"rule_id":"a","severity":"low","file":"x.go","line":` + number + `,"end_line":` + number + `}]}`
			if answer := b.call(t, "uploader", "PUT", path, body, nil); answer.Code >= 500 {
				t.Errorf("line %s: %d %s", number, answer.Code, answer.Body)
			}
		}
	})
}

// An upload is compared with the commit where its branch left the default branch, also if no scanner runs here.
func TestUploadIsComparedWithItsMergeBase(t *testing.T) {
	t.Parallel()
	const report = `{"findings":[{"rule_id":"r","file":"a.go","line":3,"severity":"High","message":"m"}]}`
	for name, test := range map[string]struct {
		known     bool
		unchanged int
	}{
		"where it is known":            {known: true, unchanged: 1},
		"else with the default branch": {known: false, unchanged: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "trivy")
			deliver := func(reference, report string) {
				b.call(t, "uploader", http.MethodPut, "/api/v1/scans/"+reference+"/results/trivy", report, nil)
			}
			deliver(b.push(t, 1), report)
			deliver(b.push(t, 2), `{"findings":[]}`)
			if test.known {
				_, push := storetest.PushOf(1)
				b.platforms["github"] = mergeBases{base: push.CommitSHA}
			}
			var got struct{ New, Unchanged int }
			b.call(t, "uploader", http.MethodPut, "/api/v1/results/trivy?platform=github&project=acme/shop&branch=feature&commit="+
				fmt.Sprintf("%040x", 77), report, &got)
			if got.Unchanged != test.unchanged || got.New != 1-test.unchanged {
				t.Errorf("want %d known, got %+v", test.unchanged, got)
			}
		})
	}
}

// A platform that fails when a report comes may tell later what it is to be compared with.
func TestUploadIsComparedAgainWhenItsMergeBaseIsTold(t *testing.T) {
	t.Parallel()
	const report = `{"findings":[{"rule_id":"r","file":"a.go","line":3,"severity":"High","message":"m"}]}`
	b := setup(t, "trivy")
	deliver := func(reference, report string) {
		b.call(t, "uploader", http.MethodPut, "/api/v1/scans/"+reference+"/results/trivy", report, nil)
	}
	deliver(b.push(t, 1), report)
	deliver(b.push(t, 2), `{"findings":[]}`)
	b.platforms["github"] = mergeBases{err: errors.New("502")}
	var got struct {
		New         int
		ReferenceID string `json:"reference_id"`
	}
	b.call(t, "uploader", http.MethodPut, "/api/v1/results/trivy?platform=github&project=acme/shop&branch=feature&commit="+
		fmt.Sprintf("%040x", 77), report, &got)
	if got.New != 1 {
		t.Errorf("want it new beside main, got %+v", got)
	}
	task, err := b.store.ClaimEnrichment(t.Context(), "github", time.Minute)
	if err != nil || task.Kind != store.EnrichMergeBase {
		t.Fatalf("want the merge base asked for again, got %+v, %v", task, err)
	}
	scan, err := b.store.GetScanByID(t.Context(), task.ScanID)
	if err != nil {
		t.Fatal(err)
	}
	_, push := storetest.PushOf(1)
	answer := store.EnrichmentResult{Base: store.MergeBase{Scan: scan, SHA: push.CommitSHA}}
	if err := b.store.FinishEnrichment(t.Context(), task, answer); err != nil {
		t.Fatal(err)
	}
	if scan, err = b.store.GetScanByID(t.Context(), scan.ID); err != nil || scan.Verdict == nil || *scan.Verdict != core.Pass {
		t.Errorf("want it known at the merge base, got %+v, %v", scan, err)
	}
}

// What was found in a file that the tool could not read the next time is not fixed.
func TestUploadsFixNothingInFilesThatWereNotRead(t *testing.T) {
	t.Parallel()
	const before, after = `{"generated_at":"","metrics":{},"errors":[],"results":[{"test_id":"B602","test_name":"popen","filename":"./app.py",
		"line_number":9,"issue_severity":"HIGH","issue_text":"shell","code":"9 run(x, shell=True)\n"}]}`,
		`{"generated_at":"","metrics":{},"errors":[{"filename":"./app.py","reason":"syntax error while parsing AST from file"}],"results":[]}`
	const checks, unparsed = `{"check_type":"terraform","results":{"failed_checks":[{"check_id":"CKV_X_1","check_name":"Bucket is private",
		"file_path":"/main.tf","repo_file_path":"/main.tf","file_line_range":[1,2],"severity":"HIGH"}],"parsing_errors":[]}}`,
		`{"check_type":"terraform","results":{"failed_checks":[],"parsing_errors":["/main.tf"]}}`
	for name, reports := range map[string][]string{"bandit": {before, after}, "checkov": {checks, unparsed}} {
		b := setup(t, "linter")
		for n, want := range []string{"1 new (1 high)", "0 new, 1 unresolved, 1 known, 1 not searched"} {
			ref := b.push(t, n+1)
			answer := b.deliver(t, "/api/v1/scans/"+ref+"/results/linter", strings.NewReader(reports[n]))
			var scan results
			b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref, "", &scan)
			if answer.Code != http.StatusOK || scan.Summary != want {
				t.Errorf("%s, commit %d: %d, %q, want %q", name, n+1, answer.Code, scan.Summary, want)
			}
		}
	}
}

// A dummy whose mask was made to be that of a secret stands for nothing, and what tells secrets apart is never shown.
func TestUploadedSecretsAreToldApart(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	dummy := ""
	for n := 0; secrets.Keyless.Mask(dummy) != secrets.Keyless.Mask(secret); n++ {
		dummy = fmt.Sprint("dummy-", n)
	}
	b := setup(t, "linter")
	key := b.store.SecretKey()
	for n, step := range []struct{ secret, want string }{
		{dummy, "1 new (1 high)"}, {dummy, "0 new, 1 unresolved, 1 known"}, {secret, "1 new (1 high), 1 fixed"}, {secret, "0 new, 1 unresolved, 1 known"},
	} {
		ref := b.push(t, n+1)
		report := fmt.Sprintf(`[{"RuleID":"r","Description":"A secret","File":"a","StartLine":1,"Secret":"%s"}]`, step.secret)
		b.deliver(t, "/api/v1/scans/"+ref+"/results/linter", strings.NewReader(report))
		var scan results
		b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref, "", &scan)
		if scan.Summary != step.want {
			t.Errorf("commit %d: %q, want %q", n+1, scan.Summary, step.want)
		}
		for _, path := range []string{"/findings", "/sarif", ""} {
			answer := b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+path, "", nil)
			if body := answer.Body.String(); strings.Contains(body, key.Hash(step.secret)[1:]) || strings.Contains(body, key.HashLines(step.secret)[1:]) {
				t.Errorf("the hash of a secret is in %s: %s", path, body)
			}
		}
	}
}

// A report says by its own words or by the query of which part of the commit it is.
func TestUploadOfAPart(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	path := "/api/v1/scans/" + b.push(t, 1) + "/results/trivy?"
	var got results
	b.call(t, "uploader", "PUT", path+"category=/api/", report, &got)
	if got.New != 2 || got.Status != "completed" {
		t.Errorf("the first category: %+v", got)
	}
	const log = `{"version":"2.1.0","runs":[{"automationDetails":{"id":"web/1"},"results":[{"ruleId":"a","level":"error"}]},
		{"automationDetails":{"id":"doc/1"},"results":[]}]}`
	b.call(t, "uploader", "PUT", path+"paths=web/**&paths=a,b", log, &got)
	if got.Stored != 1 || got.New != 1 || got.Summary != "3 new (2 high, 1 low), 2 not searched" {
		t.Errorf("two more: %+v", got)
	}
	if want := [][]string{{"trivy/api"}, {"trivy/doc", "trivy/web"}}; !slices.EqualFunc(want, b.asked.calls, slices.Equal) {
		t.Errorf("git was asked about %q, want %q", b.asked.calls, want)
	}
	var scan struct {
		Jobs []struct {
			Scanner  string
			Coverage *struct {
				Partial bool
				Paths   []string
			}
		}
	}
	b.call(t, "triager", "GET", strings.TrimSuffix(path, "/results/trivy?"), "", &scan)
	var jobs []string
	for _, job := range scan.Jobs {
		text := job.Scanner
		if job.Coverage != nil {
			text += fmt.Sprint(" ", job.Coverage.Partial, " ", job.Coverage.Paths)
		}
		jobs = append(jobs, text)
	}
	slices.Sort(jobs)
	if want := []string{"trivy/api", "trivy/doc true [web/** a,b]", "trivy/web true [web/** a,b]"}; !slices.Equal(jobs, want) {
		t.Errorf("want %q, got %q", want, jobs)
	}
	for _, query := range []string{"paths=%5B", "paths=%00", "partial=maybe", "category=" + strings.Repeat("x", 201)} {
		if answer := b.call(t, "uploader", "PUT", path+query, report, nil); answer.Code != 422 {
			t.Errorf("%.20s: %d %s", query, answer.Code, answer.Body)
		}
	}
	long := strings.Repeat("é", 101) // 202 bytes
	if answer := b.call(t, "uploader", "PUT", path+"category="+url.QueryEscape(long), report, nil); answer.Code != 413 {
		t.Errorf("a category that is too long: %d %s", answer.Code, answer.Body)
	}
	failed := `{"scanner":"trivy","reason":"r","category":"` + long + `"}`
	if answer := b.call(t, "uploader", "POST", strings.Replace(path, "/results/trivy?", "/fail", 1), failed, nil); answer.Code != 413 {
		t.Errorf("it fails: %d %s", answer.Code, answer.Body)
	}
}
