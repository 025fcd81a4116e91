package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/auth/ci/citest"
	"github.com/scanhook/scanhook/store/storetest"
)

const ciConfiguration = `
server: {public_url: "https://scanhook.example"}
database: {url: %q}
platforms:
  github: {webhook_secrets: [a-secret-of-webhooks], ci: {tokens: true, issuer: %q, scanners: [trivy]}}
  gitlab: {webhook_secrets: [a-secret-of-webhooks], ci: {tokens: true, issuer: %q}}
scanners: {trivy: {upload: true}, semgrep: {upload: true}}
defaults: {scanners: [trivy, semgrep], approval: {medium: 2}}
repositories: [{match: "**"}]
`

const ciAudience = "https://scanhook.example"

// jobs are CI jobs, and Scanhook that takes their tokens.
type jobs struct {
	*world
	github, gitlab *citest.Issuer
	sent           int
}

func newJobs(t *testing.T) *jobs {
	address, github, gitlab := storetest.SQLiteURL(t), citest.NewIssuer(t), citest.NewIssuer(t)
	return &jobs{world: worldOf(t, address, fmt.Sprintf(ciConfiguration, address, github.URL, gitlab.URL)), github: github, gitlab: gitlab}
}

// tell has a request announced by a webhook.
func (j *jobs) tell(platform, project string, request core.Request) {
	j.Helper()
	j.n += 10
	request.Project = core.Project{Name: project, Ref: numbersOf[project], URL: "https://git.example/" + project, DefaultBranch: "main"}
	request.Action, request.Target = core.RequestOpened, "main"
	_, err := j.app.store.Accept(j.Context(), core.Delivery{
		Platform: platform, Key: fmt.Sprintf("request-%d", j.n), Name: "pull_request", Project: project, Event: request,
	})
	j.must(err)
}

// push has a commit announced by a webhook.
func (j *jobs) push(platform, project string) (sha string) {
	j.Helper()
	j.n += 10
	_, err := j.app.store.Accept(j.Context(), storetest.With(storetest.PushOf(j.n, func(d *core.Delivery, p *core.Push) {
		d.Platform, d.Project = platform, project
		p.Project = core.Project{Name: project, Ref: numbersOf[project], URL: "https://git.example/" + project, DefaultBranch: "main"}
	})))
	j.must(err)
	return storetest.SHA(j.n)
}

// ask sends a request from an address of its own: many wrong tokens of one are slowed down.
func (j *jobs) ask(token, method, path, body string) *httptest.ResponseRecorder {
	j.Helper()
	j.sent++
	request := httptest.NewRequestWithContext(j.Context(), method, path, strings.NewReader(body))
	request.RemoteAddr = fmt.Sprintf("10.0.%d.1:1", j.sent%250)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	j.app.handler.ServeHTTP(answer, request)
	return answer
}

// bring uploads a report for a commit.
func (j *jobs) bring(token, platform, project, commit string, change url.Values) *httptest.ResponseRecorder {
	j.Helper()
	query := url.Values{"platform": {platform}, "project": {project}, "commit": {commit}}
	scanner := "trivy"
	for name, values := range change {
		if name == "scanner" {
			scanner = values[0]
			continue
		}
		query[name] = values
	}
	return j.ask(token, http.MethodPut, "/api/v1/results/"+scanner+"?"+query.Encode(), `{"findings":[]}`)
}

// taken fails the test where a report was not taken. It returns the scan.
func (j *jobs) taken(answer *httptest.ResponseRecorder) core.Scan {
	j.Helper()
	var body struct{ Scan string }
	if answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &body) != nil {
		j.Fatalf("%d %s", answer.Code, answer.Body)
	}
	scan, err := j.app.store.GetScan(j.Context(), body.Scan)
	j.must(err)
	return scan
}

func TestCIJobsBringReportsForTheirCommit(t *testing.T) {
	t.Parallel()
	j := newJobs(t)
	pushed, fresh := j.push("github", own), storetest.SHA(1)
	j.push("gitlab", own)

	github := j.github.GitHub(ciAudience, own, "1001", pushed)
	scan := j.taken(j.bring(j.github.Sign(t, github), "github", own, pushed, url.Values{"project_id": {"1001"}}))
	if report := j.reportOf(scan); report != "CI job of github/acme/own, run 4711 of ada" {
		t.Errorf("the report is by %q", report)
	}
	token := j.github.Sign(t, github)
	for range 2 { // a token is good until it ends, for its own commit
		j.taken(j.bring(token, "github", strings.ToUpper(own), pushed, nil))
	}
	// What the job says of itself does not count beside what its token says.
	scan = j.taken(j.bring(j.github.Sign(t, github.With(citest.Claims{"sha": fresh, "ref": "refs/heads/feature"})), "github", own, fresh,
		url.Values{"branch": {"main"}}))
	if scan.Branch != "feature" || scan.CommitSHA != fresh {
		t.Errorf("the scan is of %s on %q", scan.CommitSHA, scan.Branch)
	}
	lab := j.gitlab.GitLab(ciAudience, own, "1001", fresh)
	scan = j.taken(j.bring(j.gitlab.Sign(t, lab), "gitlab", own, fresh, url.Values{"scanner": {"semgrep"}}))
	if scan.SourcePlatform != "gitlab" || scan.Branch != "main" {
		t.Errorf("the scan is of %s on %q", scan.SourcePlatform, scan.Branch)
	}
	before18 := lab.With(citest.Claims{"job_project_id": nil, "job_project_path": nil})
	j.taken(j.bring(j.gitlab.Sign(t, before18), "gitlab", own, fresh, nil))
}

// reportOf is who brought the last report of a scan, as the audit has it.
func (j *jobs) reportOf(scan core.Scan) string {
	j.Helper()
	by := j.rows(fmt.Sprintf(`SELECT actor FROM audit_events WHERE reference_id = '%s' ORDER BY id DESC LIMIT 1`, scan.ReferenceID))
	return strings.Join(by, "")
}

// The commit of a request's job can be a merge that CI made: its reports are for the head that was pushed.
func TestCIJobsOfRequestsBringReportsForTheHead(t *testing.T) {
	t.Parallel()
	j := newJobs(t)
	j.push("github", own)
	j.push("gitlab", own)
	head, later, merge, merge2 := storetest.SHA(1), storetest.SHA(2), storetest.SHA(3), storetest.SHA(4)
	request := core.Request{Number: 7, Head: head, Ref: "refs/pull/7/head", Branch: "feature", UpdatedAt: time.Now().Add(-time.Hour)}
	j.tell("github", own, request)
	j.tell("gitlab", own, request)

	claims := j.github.GitHub(ciAudience, own, "1001", merge).With(citest.Claims{
		"event_name": "pull_request", "ref": "refs/pull/7/merge", "head_ref": "feature", "base_ref": "main",
	})
	token := j.github.Sign(t, claims)
	if scan := j.taken(j.bring(token, "github", own, head, url.Values{"branch": {"main"}})); scan.CommitSHA != head || scan.Branch != "feature" {
		t.Errorf("the scan is of %s on %q", scan.CommitSHA, scan.Branch)
	}
	j.refuses(j.bring(token, "github", own, merge, nil), http.StatusForbidden, "is the merge that CI made of a request")

	lab := j.gitlab.GitLab(ciAudience, own, "1001", merge).With(citest.Claims{"pipeline_source": "merge_request_event", "ref": "feature"})
	labToken := j.gitlab.Sign(t, lab)
	j.taken(j.bring(labToken, "gitlab", own, head, nil))
	detached := lab.With(citest.Claims{"sha": head, "jti": "detached"})
	j.taken(j.bring(j.gitlab.Sign(t, detached), "gitlab", own, head, nil))

	// The request moves on. A token that was used for its former head is not good for the new one.
	request.Head, request.Before, request.UpdatedAt = later, head, time.Now()
	j.tell("github", own, request)
	j.tell("gitlab", own, request)
	j.refuses(j.bring(token, "github", own, later, nil), http.StatusForbidden, "the token was used for the commit "+head)
	j.refuses(j.bring(labToken, "gitlab", own, later, nil), http.StatusForbidden, "the token was used for the commit "+head)
	j.refuses(j.bring(j.gitlab.Sign(t, detached), "gitlab", own, later, nil), http.StatusForbidden, "for the commit "+head)
	fresh := claims.With(citest.Claims{"sha": merge2, "jti": "fresh"})
	j.taken(j.bring(j.github.Sign(t, fresh), "github", own, later, nil))
}

// refuses fails the test where an answer is another refusal.
func (j *jobs) refuses(answer *httptest.ResponseRecorder, code int, text string) {
	j.Helper()
	if answer.Code != code || !strings.Contains(answer.Body.String(), text) {
		j.Errorf("%d %s, want %d with %q", answer.Code, answer.Body, code, text)
	}
}

// forged are tokens that must not be taken, and requests that good ones are not good for.
func (j *jobs) forged(sha, foreign string) map[string]forgery {
	good := j.github.GitHub(ciAudience, own, "1001", sha)
	sign := func(change citest.Claims) string { return j.github.Sign(j, good.With(change)) }
	key, now := j.github.Key(), time.Now()
	stranger := citest.NewIssuer(j)
	public, err := json.Marshal(key.Public())
	j.must(err)
	parts := strings.Split(sign(nil), ".")
	other64 := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload(parts[1]), sha, foreign, 1)))
	plain := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	lab := j.gitlab.GitLab(ciAudience, own, "1001", sha)
	named := func(names ...string) url.Values {
		values := url.Values{}
		for i := 0; i < len(names); i += 2 {
			values.Set(names[i], names[i+1])
		}
		return values
	}
	request := citest.Claims{"event_name": "pull_request", "ref": "refs/pull/7/merge"}
	return map[string]forgery{
		"no signature":                    {plain + "." + parts[1] + ".", nil, 401, "no JSON Web Token with a signature by RS256"},
		"no signature, an odd one":        {plain + "." + parts[1] + "." + parts[2], nil, 401, "no JSON Web Token with a signature by RS256"},
		"the public key as a shared one":  {citest.SignWith(j, jose.HS256, public, good), nil, 401, "no JSON Web Token with a signature by RS256"},
		"another algorithm":               {citest.SignWith(j, jose.RS512, key, good), nil, 401, "no JSON Web Token with a signature by RS256"},
		"another key of the same id":      {citest.SignWith(j, jose.RS256, citest.NewKey(j, key.KeyID), good), nil, 401, "the signature of the token is not that of"},
		"a key that the issuer lacks":     {citest.SignWith(j, jose.RS256, citest.NewKey(j, "mine"), good), nil, 401, "signed with a key that"},
		"no key named":                    {citest.SignWith(j, jose.RS256, key.Key, good), nil, 401, "signed with a key that"},
		"other claims under a signature":  {parts[0] + "." + other64 + "." + parts[2], named("commit", foreign), 401, "the signature of the token is not that of"},
		"a stranger's issuer":             {stranger.Sign(j, stranger.GitHub(ciAudience, own, "1001", sha)), nil, 401, "is of the issuer"},
		"a stranger in the issuer's name": {stranger.Sign(j, good), nil, 401, "signature of the token is not that of"},
		"an issuer with a slash":          {sign(citest.Claims{"iss": j.github.URL + "/"}), nil, 401, "is of the issuer"},
		"no issuer":                       {sign(citest.Claims{"iss": nil}), nil, 401, "is of the issuer"},
		"another platform's issuer":       {j.gitlab.Sign(j, good.With(citest.Claims{"iss": j.gitlab.URL})), nil, 403, "names no project with its id"},
		"the default audience":            {sign(citest.Claims{"aud": "https://github.com/acme"}), nil, 401, `must be for \"https://scanhook.example\" alone`},
		"the audience and another":        {sign(citest.Claims{"aud": []string{ciAudience, "https://other.example"}}), nil, 401, "alone: ask for it with that audience"},
		"no audience":                     {sign(citest.Claims{"aud": nil}), nil, 401, "alone: ask for it with that audience"},
		"an audience below ours":          {sign(citest.Claims{"aud": ciAudience + "/x"}), nil, 401, "alone: ask for it with that audience"},
		"expired":                         {sign(citest.Claims{"exp": now.Add(-time.Second).Unix()}), nil, 401, "expired at"},
		"without an end":                  {sign(citest.Claims{"exp": nil}), nil, 401, "expired at"},
		"of the future":                   {sign(citest.Claims{"nbf": now.Add(time.Hour).Unix()}), nil, 401, "the token is not valid"},
		"issued in the future":            {sign(citest.Claims{"iat": now.Add(time.Hour).Unix()}), nil, 401, "do the clocks agree?"},
		"without a beginning":             {sign(citest.Claims{"iat": nil}), nil, 401, "do the clocks agree?"},
		"issued long ago":                 {sign(citest.Claims{"iat": now.Add(-4 * time.Hour).Unix()}), nil, 401, "more than 3h0m0s ago"},
		"without an id":                   {sign(citest.Claims{"jti": ""}), nil, 401, "no id (jti)"},
		"enormous":                        {sign(citest.Claims{"x": strings.Repeat("x", 20_000)}), nil, 401, "more than 16384 bytes"},
		"no claims":                       {j.github.Sign(j, citest.Claims{}), nil, 401, "is of the issuer"},

		"for another commit":                {sign(nil), named("commit", foreign), 403, "brings reports for that one only"},
		"of another commit":                 {sign(citest.Claims{"sha": foreign}), nil, 403, "brings reports for that one only"},
		"for another project":               {sign(nil), named("project", other), 403, "brings reports for that project only"},
		"for another project's number":      {sign(nil), named("project_id", "1002"), 403, "brings reports for that project only"},
		"for another platform":              {sign(nil), named("platform", "gitlab"), 403, "brings reports for that project only"},
		"for a commit that is none":         {sign(nil), named("commit", "main"), 403, "brings reports for that one only"},
		"of the same name, another number":  {sign(citest.Claims{"repository_id": "666"}), nil, 403, "no webhook of acme/own (id 666) came yet"},
		"of another name, the same number":  {sign(citest.Claims{"repository": "acme/new"}), named("project", "acme/new"), 403, "is acme/own here"},
		"of another project, and its name":  {sign(citest.Claims{"repository_id": "1002"}), nil, 403, "is acme/other here"},
		"of a project that nobody knows":    {sign(citest.Claims{"repository": "eve/x", "repository_id": "99"}), named("project", "eve/x"), 403, "no webhook of eve/x (id 99) came yet"},
		"ours by its subject only":          {sign(citest.Claims{"repository": "eve/x", "repository_id": "99"}), nil, 403, "no webhook of eve/x (id 99) came yet"},
		"without a number":                  {sign(citest.Claims{"repository_id": nil}), nil, 403, "names no repository with its id"},
		"with a number that is none":        {sign(citest.Claims{"repository_id": "1001 OR 1"}), nil, 403, "names no repository with its id"},
		"without a commit":                  {sign(citest.Claims{"sha": nil}), nil, 403, "names no commit and ref"},
		"without a ref":                     {sign(citest.Claims{"ref": nil}), nil, 403, "names no commit and ref"},
		"of a strangers' event":             {sign(citest.Claims{"event_name": "pull_request_target"}), nil, 403, "may run code that is not the commit's"},
		"of a workflow after another":       {sign(citest.Claims{"event_name": "workflow_run"}), nil, 403, "may run code that is not the commit's"},
		"without an event":                  {sign(citest.Claims{"event_name": nil}), nil, 403, "may run code that is not the commit's"},
		"of a request by a branch":          {sign(citest.Claims{"event_name": "pull_request"}), nil, 403, "is not one of the event pull_request"},
		"of a push to a request":            {sign(citest.Claims{"ref": "refs/pull/7/merge"}), nil, 403, "is not one of the event push"},
		"of a request that nobody told of":  {sign(request.With(citest.Claims{"ref": "refs/pull/8/merge"})), nil, 403, "no webhook told of the request"},
		"of a request from a fork":          {sign(request), nil, 403, "code of a fork"},
		"of a scanner that jobs lack":       {sign(nil), named("scanner", "semgrep"), 403, "add it to platforms.github.ci.scanners"},
		"of a fork run by the project":      {j.gitlab.Sign(j, lab.With(citest.Claims{"project_id": "99", "project_path": "eve/own", "pipeline_source": "merge_request_event"})), named("platform", "gitlab"), 403, "code of a fork"},
		"of a fork run after a push":        {j.gitlab.Sign(j, lab.With(citest.Claims{"project_id": "99", "project_path": "eve/own"})), named("platform", "gitlab"), 403, "code of a fork"},
		"of a fork, before GitLab 18":       {j.gitlab.Sign(j, lab.With(citest.Claims{"project_id": "99", "project_path": "eve/own", "job_project_id": nil, "job_project_path": nil})), named("platform", "gitlab"), 403, "no webhook of eve/own (id 99) came yet"},
		"of a source that GitLab invents":   {j.gitlab.Sign(j, lab.With(citest.Claims{"pipeline_source": "external_pull_request_event"})), named("platform", "gitlab"), 403, "bring it in a job of"},
		"of GitLab, for GitHub's namesake":  {j.gitlab.Sign(j, lab), nil, 403, "brings reports for that project only"},
		"of GitLab, with half of a project": {j.gitlab.Sign(j, lab.With(citest.Claims{"job_project_path": nil})), named("platform", "gitlab"), 403, "names no project with its id"},
	}
}

// forgery is a token with what is asked with it, and the answer.
type forgery struct {
	token  string
	change url.Values
	code   int
	text   string
}

func payload(part string) string {
	text, _ := base64.RawURLEncoding.DecodeString(part)
	return string(text)
}

// What is forged, foreign or stale is refused with what to do, and writes nothing.
func TestForgedTokensOfCIJobsAreRefused(t *testing.T) {
	t.Parallel()
	j := newJobs(t)
	sha, foreign := j.push("github", own), j.push("github", other)
	j.push("gitlab", own)
	j.tell("github", own, core.Request{Number: 7, Head: sha, Ref: "refs/pull/7/head", Branch: "main", Fork: true, UpdatedAt: time.Now()})
	before := j.tables()
	list := j.forged(sha, foreign)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		f := list[name]
		answer := j.bring(f.token, "github", own, sha, f.change)
		if answer.Code != f.code || !strings.Contains(answer.Body.String(), f.text) {
			t.Errorf("%s: %d %s, want %d with %q", name, answer.Code, answer.Body, f.code, f.text)
		}
		if kept := j.tables(); !maps.Equal(before, kept) {
			t.Fatalf("%s: something was written", name)
		}
	}
	t.Logf("%d forgeries", len(list))
	j.taken(j.bring(j.github.Sign(t, j.github.GitHub(ciAudience, own, "1001", sha)), "github", own, sha, nil))
}

// A job's token opens no route but those that bring its reports and read its scan.
func TestTokensOfCIJobsOpenNothingElse(t *testing.T) {
	t.Parallel()
	j := newJobs(t)
	mine, theirs := j.seed(own), j.seed(other)
	token := j.github.Sign(t, j.github.GitHub(ciAudience, own, "1001", mine["sha"]))
	elsewhere := j.github.Sign(t, j.github.GitHub(ciAudience, own, "1001", storetest.SHA(1)))
	open := []string{
		"PUT /api/v1/results/:scanner", "PUT /api/v1/scans/:ref/results/:scanner", "POST /api/v1/scans/:ref/fail",
	}
	routes := slices.DeleteFunc(j.routes(), func(r route) bool { return r.page })
	slices.SortFunc(routes, func(a, b route) int { return strings.Compare(a.method, b.method) }) // an empty report has no findings to read
	for _, r := range routes {
		before := j.tables()
		for _, try := range []struct {
			token string
			of    things
		}{{token, theirs}, {elsewhere, mine}, {elsewhere, theirs}} {
			answer := j.tries(try.token, r, try.of)
			shown := !r.names() && r.method == http.MethodGet && answer.Code == http.StatusOK // a list, without what is hidden
			if !refused(answer) && !shown {
				t.Errorf("%s for %s: %d %s", r, try.of["project"], answer.Code, answer.Body)
			}
			for _, secret := range []string{mine["mark"], theirs["mark"], mine["ref"]} {
				listed := try.token == token && secret == mine["ref"] // a list shows it
				if strings.Contains(answer.Body.String(), secret) && !listed && !strings.Contains(j.address(r, try.of), secret) {
					t.Errorf("%s tells %q", r, secret)
				}
			}
		}
		ofCommit := strings.HasPrefix(r.path, "/api/v1/scans/:ref") || strings.HasPrefix(r.path, "/api/v1/findings/:id")
		mayRead := r.method == http.MethodGet && ofCommit
		if answer := j.tries(token, r, mine); (slices.Contains(open, r.String()) || mayRead) != (answer.Code < 400) && (r.names() || r.method != http.MethodGet) {
			t.Errorf("%s for its own commit: %d %s", r, answer.Code, answer.Body)
		}
		if kept := j.tables(); !slices.Contains(open, r.String()) && !maps.Equal(before, kept) {
			t.Errorf("%s has written", r)
		}
	}
}

func (j *jobs) tries(token string, r route, of things) *httptest.ResponseRecorder {
	j.Helper()
	body, _ := j.content(r, of)
	return j.ask(token, r.method, j.address(r, of), body)
}

// A job of GitHub Actions asks for its token itself, one of GitLab CI finds it in a variable.
func TestUploadTakesTheTokenOfItsJob(t *testing.T) {
	t.Parallel()
	j := newJobs(t)
	sha := j.push("github", own)
	lab := j.push("gitlab", own)
	server := httptest.NewServer(j.app.handler)
	t.Cleanup(server.Close)
	runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-runner's" || r.URL.Query().Get("api-version") != "2" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		token := j.github.Sign(t, j.github.GitHub(r.URL.Query().Get("audience"), own, "1001", sha))
		_ = json.NewEncoder(w).Encode(map[string]string{"value": token})
	}))
	t.Cleanup(runner.Close)
	actions := map[string]string{
		"SCANHOOK_URL": server.URL, "SCANHOOK_AUDIENCE": ciAudience + "/", "ACTIONS_ID_TOKEN_REQUEST_URL": runner.URL + "/token?api-version=2",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the-runner's", "GITHUB_REPOSITORY": own, "GITHUB_REPOSITORY_ID": "1001", "GITHUB_SHA": sha,
		"GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
	}
	upload := func(variables, changed map[string]string, args ...string) outcome {
		all := maps.Clone(variables)
		maps.Copy(all, changed)
		return uploadWith(t, environment(all), reportOf("a"), append([]string{"-"}, args...)...)
	}
	upload(actions, nil, "--scanner", "trivy").expect(t, 0, "stored 1 finding of trivy", "main.go:1 a")
	wait := func(variables map[string]string) outcome {
		return commandWith(t, newWaitWith, environment(variables), "", "--timeout", "2s")
	}
	wait(actions).expect(t, 3, "waiting for semgrep")
	upload(actions, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "no"}, "--scanner", "trivy").
		expect(t, 1, "asking GitHub Actions for the job's token: the answer is 401: who are you?")
	upload(actions, map[string]string{"SCANHOOK_AUDIENCE": ""}, "--scanner", "trivy").expect(t, 1, "must be for", ciAudience)
	upload(actions, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, "--scanner", "trivy").
		expect(t, 2, "no token", "id-token: write", "id_tokens")
	upload(actions, nil, "--scanner", "trivy", "--commit", flagSHA).expect(t, 1, "brings reports for that one only")

	gitlab := map[string]string{
		"SCANHOOK_URL": server.URL, "CI_PROJECT_PATH": own, "CI_PROJECT_ID": "1001", "CI_COMMIT_SHA": lab, "CI_COMMIT_BRANCH": "main",
		"SCANHOOK_ID_TOKEN": j.gitlab.Sign(t, j.gitlab.GitLab(ciAudience, own, "1001", lab)),
	}
	upload(gitlab, nil, "--scanner", "semgrep").expect(t, 0, "stored 1 finding of semgrep")
	wait(gitlab).expect(t, 3, "waiting for trivy")
}
