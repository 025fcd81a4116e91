package growth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The shapes of pushes, which differ in what precedes a commit.
const (
	chain       = "chain"        // one branch that moves on
	newBranches = "new branches" // each push makes one
	uploads     = "uploads"      // reports of commits that no webhook announced
	projects    = "50 projects"  // in each of which a branch moves on
)

var shapes = []string{chain, newBranches, uploads, projects}

const (
	loadOrder = "SCANHOOK_GROWTH_LOAD" // a load in JSON: this process is the generator
	callers   = 32                     // at the same time
	bodySize  = 7 << 10

	reportEvery  = 50  // one of so many pushes gets its report
	checkedEvery = 500 // one of so many is scanned by the runner
)

// load is what a generator is asked to do.
type load struct {
	URL, Secret, Token string
	Shape              string
	From, To           int
	Seconds            float64  // no push begins later; 0 for no limit
	Checked            []string // commits that the platform really has, oldest first
}

// result is what a generator has done.
type result struct {
	Sent, Failed, Next int
	Seconds            float64
	Said               string // of a call that failed
}

// run calls the server from a process of its own.
func run(t *testing.T, order load) (r result) {
	t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), loadOrder+"="+string(text)), os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		t.Fatalf("the generator: %v, said %s", err, out)
	}
	return r
}

// generate runs a generator in this process.
func generate(text string) (code int) {
	var l load
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	g := generator{load: l, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: callers}, Timeout: 30 * time.Second,
	}}
	if err := json.NewEncoder(os.Stdout).Encode(g.run()); err != nil {
		return 1
	}
	return 0
}

type generator struct {
	load
	client *http.Client
	sent   atomic.Int64
	failed atomic.Int64
	said   atomic.Value
}

func (g *generator) run() result {
	var next atomic.Int64
	next.Store(int64(g.From))
	var calling sync.WaitGroup
	began := time.Now()
	for range callers {
		calling.Go(func() {
			for g.Seconds == 0 || time.Since(began).Seconds() < g.Seconds {
				n := int(next.Add(1) - 1)
				if n >= g.To {
					return
				}
				g.one(n)
			}
		})
	}
	calling.Wait()
	said, _ := g.said.Load().(string)
	return result{
		Sent: int(g.sent.Load()), Failed: int(g.failed.Load()), Next: min(int(next.Load()), g.To),
		Seconds: time.Since(began).Seconds(), Said: said,
	}
}

// one announces the n-th commit, by the report of a scanner or by a push, which some reports follow.
func (g *generator) one(n int) {
	if g.Shape == uploads {
		g.upload("acme/shop", sha(n), "main")
		return
	}
	project, branch, before := "acme/shop", "main", sha(n-1)
	switch g.Shape {
	case newBranches:
		branch, before = fmt.Sprint("feature-", n), strings.Repeat("0", 40)
	case projects:
		project, before = projectOf(n), sha(n-numProjects)
	}
	if c := n / checkedEvery; n%checkedEvery == 1 && c+1 < len(g.Checked) {
		g.push("acme/checked", "main", g.Checked[c], g.Checked[c+1], n)
	}
	g.push(project, branch, before, sha(n), n)
	if n%reportEvery == 0 {
		g.upload(project, sha(n), branch)
	}
}

// sha looks like the id of a commit: neighbours have nothing in common.
func sha(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, "commit ", n))
	return hex.EncodeToString(sum[:20])
}

func (g *generator) push(project, branch, before, after string, n int) {
	owner, name, _ := strings.Cut(project, "/")
	commit := map[string]any{
		"id": after, "message": "work", "modified": []string{"main.go"},
		"author": map[string]string{"name": "Mira Holm", "email": "mira@example.com"},
	}
	payload := map[string]any{
		"ref": "refs/heads/" + branch, "before": before, "after": after, "head_commit": commit, "commits": []any{commit},
		"repository": map[string]any{
			"id": idOf(project), "name": name, "full_name": project, "default_branch": "main",
			"owner": map[string]string{"login": owner}, "html_url": "https://github.example/" + project,
		},
		"pad": "",
	}
	bare, _ := json.Marshal(payload)
	payload["pad"] = strings.Repeat("x", max(0, bodySize-len(bare)))
	body, _ := json.Marshal(payload)
	mac := hmac.New(sha256.New, []byte(g.Secret))
	mac.Write(body)
	g.call(http.MethodPost, "/webhooks/github", body, http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Github-Hook-Id": {"1"},
		"X-Github-Delivery":   {fmt.Sprintf("%s-%d", project, n)},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	})
}

// idOf is the platform's id of a project.
func idOf(project string) int64 { return 7000 + int64(crc32.ChecksumIEEE([]byte(project))) }

// upload brings a report with two findings, which are those of the commit before.
func (g *generator) upload(project, commit, branch string) {
	query := url.Values{"platform": {"github"}, "project": {project}, "commit": {commit}, "branch": {branch}, "project_id": {fmt.Sprint(idOf(project))}}
	text := strings.Repeat("m", bodySize/2-200)
	body := fmt.Appendf(nil, `{"tool":"lint","findings":[`+
		`{"rule_id":"R1","file":"a.go","line":1,"severity":"Low","message":%q},`+
		`{"rule_id":"R2","file":"b.go","line":2,"severity":"Low","message":%q}]}`, text, text)
	g.call(http.MethodPut, "/api/v1/results/lint?"+query.Encode(), body, http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer " + g.Token},
	})
}

// call counts one call, which is repeated while the server is busy.
func (g *generator) call(method, path string, body []byte, header http.Header) {
	for {
		code, said := g.try(method, path, body, header)
		switch {
		case code/100 == 2:
			g.sent.Add(1)
			return
		case code == http.StatusServiceUnavailable:
			time.Sleep(100 * time.Millisecond)
			continue
		}
		g.failed.Add(1)
		g.said.Store(fmt.Sprintf("%d %.300s", code, said))
		return
	}
}

func (g *generator) try(method, path string, body []byte, header http.Header) (code int, said string) {
	request, err := http.NewRequest(method, g.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header = header
	response, err := g.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}
