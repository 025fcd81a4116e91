package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// openToAll are the routes that need no role. Nothing of a project may be in their answers.
var openToAll = []string{
	"GET /healthz", "GET /readyz", "GET /metrics", "GET /docs", "GET /docs/try.js", "GET /openapi.json", "GET /openapi.yaml", "GET /openapi-3.0.json",
	"GET /openapi-3.0.yaml", "GET /static/:file", "GET /login", "POST /login", "GET /login/once/:code", "GET /login/provider", "GET /login/callback",
	"GET /login/github", "GET /login/github/callback", "POST /logout", "POST /logout/everywhere",
	"POST /webhooks/:platform", "GET /badge/:platform/*project", // only where the policy says so
}

const (
	everyRole = "reader triager uploader admin"
	readers   = "reader triager admin"
	judges    = "triager admin"
	ofAll     = "everywhere" // only those whose role is not for some projects
)

// rolesOfPages are the roles that pages take. Those of the API are in its description.
var rolesOfPages = map[string]string{
	"GET /": everyRole, "GET /scans": everyRole, "GET /scans/:ref": everyRole, "GET /scans/:ref/events": everyRole,
	"GET /scans/:ref/reports/:report": everyRole,
	"POST /scans/:ref/rescan":         "triager uploader admin", "POST /scans/:ref/override": "admin", "POST /scans/:ref/override/end": "admin", "GET /findings/:id": everyRole, "GET /findings/:id/patch": everyRole,
	"POST /findings/:id/feedback": judges, "POST /findings/:id/undo": judges, "POST /findings/:id/approve": judges, "POST /findings/:id/refuse": judges, "GET /approvals": readers, "GET /alerts": readers,
	"POST /alerts/decide": judges, "POST /alerts/undo": judges, "POST /comments/:platform/*alert": judges,
	"GET /alerts/:platform/*alert": readers, "GET /projects": readers, "GET /projects/:platform/*project": readers,
	"POST /projects/:platform/*project": "admin", "GET /downloads/:platform/*project": readers, "GET /scans/:ref/download/:format": everyRole,
	"POST /metrics/:id/expected": judges, "GET /deliveries": readers, "GET /explain": readers, "GET /explain/:sha": readers,
	"GET /audit": "admin", "GET /sessions": everyRole, "POST /sessions/end": "admin " + ofAll,
}

const accessConfiguration = `
server: {public_url: "https://scanhook.example"}
web:
  oidc: {issuer: "http://127.0.0.1:1", client_id: scanhook, people: [{who: ["*"], role: admin}]}
  github: {url: "http://127.0.0.1:1", client_id: scanhook, client_secret: the-secret-of-an-app, people: [{who: ["*"], role: admin}]}
database: {url: %q}
platforms: {github: {webhook_secrets: [a-secret-of-webhooks]}}
scanners: {trivy: {upload: true}, semgrep: {upload: true}}
defaults: {scanners: [trivy], approval: {medium: 2}}
repositories: [{match: "**"}]
api:
  tokens:
%s`

// caller is a token of the matrix; the zero value sends none.
type caller struct {
	role, scope string // scope is own or all
	cookie      string
}

func (c caller) token() string { return "token-of-the-" + c.role + "-" + c.scope }

// world is Scanhook without its loops, and what two projects have in it.
type world struct {
	*testing.T
	app *app
	db  *sql.DB
	n   int // of the last commit

	kept map[string]string // tables, before the next call that must write nothing
}

// things are what addresses and bodies name of a project, by the name of the parameter.
type things map[string]string

const own, other = "acme/own", "acme/other"

var numbersOf = map[string]string{own: "1001", other: "1002"}

func newWorld(t *testing.T, callers []caller) *world {
	var tokens strings.Builder
	for _, c := range callers {
		scope := ""
		if c.scope == "own" {
			scope = `, projects: ["github/acme/own"]`
		}
		fmt.Fprintf(&tokens, "    - {name: %[1]s-%[2]s, token: %[3]s, role: %[1]s%[4]s}\n", c.role, c.scope, c.token(), scope)
	}
	address := storetest.SQLiteURL(t)
	return worldOf(t, address, fmt.Sprintf(accessConfiguration, address, tokens.String()))
}

// worldOf is a world with a configuration, whose database is at an address.
func worldOf(t *testing.T, address, configuration string) *world {
	cfg, err := config.Parse("access", []byte(configuration), platformTypes(), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	app, err := newApp(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.close() })
	return &world{T: t, app: app, db: storetest.Connect(t, address)}
}

// seed gives a project one more of everything.
func (w *world) seed(project string) things {
	w.Helper()
	w.n += 10
	ctx, s := w.Context(), w.app.store
	mark := "mark of " + project
	of := core.Project{Name: project, Ref: numbersOf[project], URL: "https://git.example/" + project, DefaultBranch: "main"}
	named := func(d *core.Delivery, p *core.Push) { d.Project, p.Project = project, of }
	receipt, err := s.Accept(ctx, storetest.With(storetest.PushOf(w.n, named)))
	w.must(err)
	finding := core.Finding{
		Tool: "trivy", RuleID: "r" + strconv.Itoa(w.n), File: "a.go", Line: 1, Severity: core.High, Title: mark, Message: mark,
	}
	second := finding
	second.RuleID += "b"
	third := finding
	third.RuleID, third.Severity = third.RuleID+"c", core.Medium
	scan, err := s.PutReport(ctx, receipt.Reference, "trivy", core.Report{By: "seed", Findings: []core.Finding{finding, second, third}})
	w.must(err)
	findings, err := s.ListFindings(ctx, scan, store.FindingFilter{Limit: 3})
	w.must(err)
	reports, err := s.ListRevisions(ctx, scan, 1)
	w.must(err)
	batch := fmt.Sprintf("batch %d", w.n)
	_, err = s.DecideAlerts(ctx, store.Batch{Key: batch, Alerts: []int64{findings[1].AlertID}, Verdict: core.TruePositive, Author: "seed"})
	w.must(err)
	patch := "--- a/a.go\n+++ b/a.go\n@@ -1 +1 @@\n-" + mark + "\n+nothing\n"
	_, err = s.PatchFinding(ctx, findings[0].ID, core.TriageUpdate{
		Source: core.ByAI, Author: "seed", RemediationPatch: core.Change[string]{Set: true, Value: &patch},
	})
	w.must(err)
	judged, err := s.RecordFeedback(ctx, core.Feedback{
		FindingID: findings[0].ID, UserVerdict: core.FalsePositive, Author: "seed", Comments: mark,
	})
	w.must(err)
	waits, err := s.RecordFeedback(ctx, core.Feedback{FindingID: findings[2].ID, UserVerdict: core.FalsePositive, Author: "seed", Comments: mark})
	w.must(err)
	took := time.Minute
	_, err = s.Accept(ctx, core.Delivery{
		Platform: "github", Key: fmt.Sprintf("run-%d", w.n), Name: "workflow_run", Project: project, Event: core.Pipeline{
			Project: of, ID: int64(w.n), Attempt: 1, Name: "CI", Branch: "main", CommitSHA: scan.CommitSHA, Status: "completed",
			Conclusion: "success", Duration: &took, FinishedAt: s.Now(),
		}})
	w.must(err)
	runs, err := s.ListMetrics(ctx, store.MetricFilter{Platform: "github", Project: project, Limit: 1})
	w.must(err)
	return things{
		"ref": scan.ReferenceID, "sha": scan.CommitSHA, "finding": fmt.Sprint(findings[0].ID), "run": fmt.Sprint(runs[0].ID),
		"number": fmt.Sprint(findings[0].AlertNumber), "delivery": w.setAside(named), "decision": fmt.Sprint(judged.Decision.ID),
		"project": project, "platform": "github", "scanner": "trivy", "commit": scan.CommitSHA, "reason": "no", "mark": mark,
		"user_verdict": "FP", "comments": "seen", "cve": "CVE-2024-3094", "batch": batch, "report": fmt.Sprint(reports[0].ID), "alerts": fmt.Sprint(findings[1].AlertID),
		"waiting": fmt.Sprint(findings[2].ID), "proposal": fmt.Sprint(waits.Waiting.ID),
	}
}

// setAside keeps a call that cannot be derived.
func (w *world) setAside(named func(*core.Delivery, *core.Push)) string {
	d, _ := storetest.PushOf(w.n+1, named)
	receipt, err := w.app.store.Keep(w.Context(), core.Call{Delivery: d, Raw: []byte("x"), Unread: true})
	w.must(err)
	_, err = w.app.store.Derive(w.Context(), store.Deriver{Version: "1", Most: 9, Read: func(core.KeptCall) (core.Delivery, error) {
		return d, errors.New("the parser is out of order")
	}})
	w.must(err)
	return fmt.Sprint(receipt.Delivery)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// tables is a digest of each table's rows.
func (w *world) tables() map[string]string {
	w.Helper()
	names := w.rows(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'`)
	digests := map[string]string{}
	for _, name := range names {
		columns := "*"
		if name == "sessions" {
			columns = "key, person" // a session that is used ends later, which a slow machine sees
		}
		digests[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(w.rows(`SELECT `+columns+` FROM "`+name+`"`), "\n"))))
	}
	return digests
}

func (w *world) rows(query string) (list []string) {
	w.Helper()
	rows, err := w.db.QueryContext(w.Context(), query)
	w.must(err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	w.must(err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		w.must(rows.Scan(into...))
		list = append(list, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(values...), "["), "]"))
	}
	w.must(rows.Err())
	return list
}

// route is one of the program, with what the description of the API says of it.
type route struct {
	method, path string
	page         bool
	roles        []string
	query        []string // that must be sent
	body         []string // properties that must be sent; nil without a body
	report       bool     // the body is a scanner's report
}

func (r route) String() string { return r.method + " " + r.path }

// isFor tells whether a caller may use the route for their projects.
func (r route) isFor(c caller) bool {
	return slices.Contains(r.roles, c.role) && (c.scope == "all" || !slices.Contains(r.roles, ofAll))
}

// routes are all that the program has, apart from those that are open to all.
func (w *world) routes() (list []route) {
	w.Helper()
	described := w.described()
	for _, found := range w.app.router.Routes() {
		r := route{method: found.Method, path: found.Path}
		if slices.Contains(openToAll, r.String()) {
			continue
		}
		if op, known := described[r.String()]; known {
			r = op
		} else if r.roles, r.page = strings.Fields(rolesOfPages[r.String()]), true; len(r.roles) == 0 {
			w.Errorf("%s: say in this test who may open it", r)
		}
		if r.method != http.MethodGet && slices.Contains(r.roles, "reader") {
			w.Errorf("%s: a reader may do this", r)
		}
		list = append(list, r)
	}
	return list
}

// described are the operations of the API, as it describes itself.
func (w *world) described() map[string]route {
	w.Helper()
	type schema struct {
		Ref        string `json:"$ref"`
		Required   []string
		Properties map[string]any
	}
	var document struct {
		Paths map[string]map[string]struct {
			Security   []map[string][]string
			Parameters []struct {
				Name, In string
				Required bool
			}
			RequestBody *struct {
				Content map[string]struct{ Schema *schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	answer := w.call(caller{}, route{method: http.MethodGet, path: "/openapi.json"}, things{})
	w.must(json.Unmarshal(answer.Body.Bytes(), &document))
	operations := map[string]route{}
	for path, methods := range document.Paths {
		for method, op := range methods {
			r := route{method: strings.ToUpper(method), path: strings.NewReplacer("{", ":", "}", "").Replace(path)}
			r.roles = op.Security[0]["bearer"]
			for _, p := range op.Parameters {
				if p.In == "query" && p.Required {
					r.query = append(r.query, p.Name)
				}
			}
			if op.RequestBody != nil {
				s := op.RequestBody.Content["application/json"].Schema
				if r.report = s == nil; s != nil {
					named := document.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
					r.body = append(append([]string{}, s.Required...), named.Required...)
					if named.Properties["alerts"] != nil { // without, they are what a filter selects
						r.body = append(r.body, "alerts")
					}
				}
			}
			operations[r.String()] = r
		}
	}
	return operations
}

// names tells whether a request on the route is about one project.
func (r route) names() bool {
	return strings.ContainsAny(r.path, ":*") && !strings.Contains(r.path, ":cve") || slices.Contains(r.query, "project") ||
		slices.Contains(r.body, "project")
}

// address fills the parameters of a route.
func (w *world) address(r route, of things) string {
	w.Helper()
	parts := strings.Split(r.path, "/")
	first := strings.TrimSuffix(parts[1], "s")
	if parts[1] == "api" {
		first = strings.TrimSuffix(parts[3], "s")
	}
	for i, part := range parts {
		name := strings.Trim(part, ":*")
		switch {
		case name == part:
			continue
		case part == "*alert":
			parts[i] = of["project"] + "/" + of["number"]
		case part == "*project":
			parts[i] = of["project"]
		case name == "format":
			parts[i] = "csv"
		case name == "id":
			name = map[string]string{"finding": "finding", "metric": "run", "deliverie": "delivery"}[first]
			if last := parts[len(parts)-1]; last == "approval" || last == "approve" || last == "refuse" {
				name = "waiting"
			}
			parts[i] = of[name]
		default:
			parts[i] = url.PathEscape(of[name])
		}
		if parts[i] == "" && len(of) > 0 {
			w.Fatalf("%s: say in this test what %s names", r, part)
		}
	}
	query := url.Values{}
	for _, name := range r.query {
		query.Set(name, w.value(r, of, name))
	}
	return strings.Join(parts, "/") + "?" + query.Encode()
}

func (w *world) value(r route, of things, name string) string {
	w.Helper()
	if of[name] == "" {
		w.Fatalf("%s: say in this test what %s is", r, name)
	}
	return of[name]
}

// content is the body of a request on the route.
func (w *world) content(r route, of things) (body, kind string) {
	w.Helper()
	switch {
	case r.page && r.method == http.MethodPost:
		form := url.Values{
			"verdict": {"FP"}, "decision": {of["decision"]}, "expected": {"yes"}, "back": {"/"}, "alert": {of["alerts"]}, "proposal": {of["proposal"]},
			"comments": {"seen"}, "subject": {"token nobody"},
		}
		if r.path == "/alerts/undo" {
			form.Set("batch", of["batch"])
		}
		return form.Encode(), "application/x-www-form-urlencoded"
	case r.report:
		return `{"findings":[]}`, "application/json"
	case r.body == nil:
		return "", ""
	}
	document := map[string]any{}
	for _, name := range r.body {
		switch name {
		case "expected":
			document[name] = true
		case "proposal":
			document[name] = json.RawMessage(w.value(r, of, name))
		case "alerts":
			document[name] = []json.RawMessage{json.RawMessage(w.value(r, of, name))}
		default:
			document[name] = w.value(r, of, name)
		}
	}
	encoded, err := json.Marshal(document)
	w.must(err)
	return string(encoded), "application/json"
}

func (w *world) call(c caller, r route, of things) *httptest.ResponseRecorder {
	w.Helper()
	body, kind := w.content(r, of)
	lasts := time.Minute
	if strings.HasSuffix(r.path, "/events") {
		lasts = 50 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(w.Context(), lasts)
	defer cancel()
	request := httptest.NewRequestWithContext(ctx, r.method, w.address(r, of), strings.NewReader(body))
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	if c.role != "" && !r.page {
		request.Header.Set("Authorization", "Bearer "+c.token())
	}
	if c.cookie != "" {
		request.Header.Set("Cookie", c.cookie)
	}
	answer := httptest.NewRecorder()
	w.app.handler.ServeHTTP(answer, request)
	return answer
}

func (w *world) login(c caller) string {
	w.Helper()
	request := httptest.NewRequestWithContext(w.Context(), http.MethodPost, "/login",
		strings.NewReader(url.Values{"token": {c.token()}}.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	w.app.handler.ServeHTTP(answer, request)
	cookies := answer.Result().Cookies()
	if len(cookies) != 1 {
		w.Fatalf("login of %v: %d %s", c, answer.Code, answer.Body)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

// refused tells whether an answer says no. Pages lead those to the login who have not logged in.
func refused(answer *httptest.ResponseRecorder) bool {
	toLogin := answer.Code == http.StatusSeeOther && strings.HasPrefix(answer.Header().Get("Location"), "/login")
	return toLogin || slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, answer.Code)
}

// Every route is tried with every role, for a project that it is for and for another: what is not allowed is refused and writes
// nothing, and what is of another project is in no answer. A new route is tried too, or fails the test.
func TestEveryRouteAdmitsOnlyWhoMay(t *testing.T) {
	t.Parallel()
	var callers []caller
	for _, role := range strings.Fields(everyRole) {
		callers = append(callers, caller{role: role, scope: "own"}, caller{role: role, scope: "all"})
	}
	w := newWorld(t, callers)
	for i, c := range callers {
		callers[i].cookie = w.login(c)
	}
	mine, theirs := w.seed(own), w.seed(other)
	_, err := w.app.store.PutFeed(t.Context(), core.Feed{
		Kind: core.FeedKEV, Source: "a", Scores: []core.Score{{CVEID: mine["cve"]}},
	}, store.FeedOptions{})
	w.must(err)
	routes := w.routes()
	w.kept = w.tables()
	for _, c := range append(callers, caller{}) {
		for _, r := range routes {
			w.refuses(c, r, mine, theirs)
		}
	}
	deletes := func(r route) bool { return r.String() == "DELETE /api/v1/projects/:platform/:project" }
	slices.SortStableFunc(routes, func(a, b route) int { return cmp.Compare(bool2int(deletes(a)), bool2int(deletes(b))) })
	for _, c := range callers {
		for _, r := range routes {
			w.allows(c, r, mine)
			if deletes(r) && slices.Contains(r.roles, c.role) { // what was seen by all is another project now
				known := mine["cve"]
				mine = w.seed(own)
				mine["cve"] = known
			}
		}
	}
	t.Logf("%d routes, %d callers", len(routes), len(callers)+1)
}

func bool2int(is bool) int {
	if is {
		return 1
	}
	return 0
}

// refuses tries what a caller may not do.
func (w *world) refuses(c caller, r route, mine, theirs things) {
	w.Helper()
	may := r.isFor(c)
	for _, of := range []things{mine, theirs} {
		foreign := c.scope == "own" && of["project"] == other
		if may && !foreign {
			continue
		}
		before := w.kept
		answer := w.call(c, r, of)
		shown := answer.Code < 400 && may && r.method == http.MethodGet // a list, of which everybody sees their part
		if !refused(answer) && !shown {
			w.Errorf("%s by %s of %s for %s: %d %s", r, c.role, c.scope, of["project"], answer.Code, answer.Body)
		}
		if w.kept = w.tables(); !maps.Equal(before, w.kept) {
			w.Errorf("%s by %s of %s for %s was answered %d, and wrote", r, c.role, c.scope, of["project"], answer.Code)
		}
		w.hides(c, r, of, answer.Body.String(), theirs)
	}
	if lists := !r.names() && r.method == http.MethodGet; lists && c.scope == "own" {
		r.query = []string{"platform", "project"} // filters of most lists
		w.hides(c, r, theirs, w.call(c, r, theirs).Body.String(), theirs)
	}
}

// hides looks for what is of another project in an answer. What was asked may be repeated.
func (w *world) hides(c caller, r route, of things, body string, theirs things) {
	w.Helper()
	asked, err := url.PathUnescape(w.address(r, of))
	w.must(err)
	for _, secret := range []string{theirs["mark"], theirs["ref"], theirs["sha"], other} {
		if strings.Contains(body, secret) && !strings.Contains(asked, secret) && !strings.Contains(asked, url.QueryEscape(secret)) {
			w.Errorf("%s tells %s of %s: %q", r, c.role, c.scope, secret)
		}
	}
}

// allows tries what a caller may do, each time to something new.
func (w *world) allows(c caller, r route, mine things) {
	w.Helper()
	if !r.isFor(c) {
		return
	}
	of := mine
	if r.method != http.MethodGet {
		of = w.seed(own)
	}
	answer := w.call(c, r, of)
	if refused(answer) || answer.Code >= 500 {
		w.Errorf("%s by %s of %s: %d %s", r, c.role, c.scope, answer.Code, answer.Body)
	}
	if lists := !r.names() && r.method == http.MethodGet; lists && c.scope == "own" {
		all := w.call(caller{role: c.role, scope: "all", cookie: w.login(caller{role: c.role, scope: "all"})}, r, of).Body.String()
		if strings.Contains(all, own) && !strings.Contains(answer.Body.String(), own) {
			w.Errorf("%s does not show %s their own project", r, c.role)
		}
	}
}
