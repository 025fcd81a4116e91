package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	secret   = "a secret of the benchmark's own"
	bodySize = 7 << 10 // as GitHub's pushes of a few commits have
	projects = 50
	loadSpec = "SCANHOOK_BENCH_LOAD" // environment variable by which this program becomes the generator
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(loadSpec); spec != "" {
		os.Exit(generate(spec))
	}
	os.Exit(m.Run())
}

// load is a number of different pushes to send.
type load struct {
	URL         string
	From, To    int
	Connections int
	PerSecond   float64 // an open loop; 0 sends the next push when one is answered
	Guess       bool    // wrong logins instead of pushes
}

// result is what the generator measured.
type result struct {
	Seconds  float64
	P50, P99 float64 // milliseconds; of an open loop from when a push was due
	Failed   int
	Said     string // by one that failed
}

func (r result) rate(l load) float64 { return float64(l.To-l.From) / r.Seconds }

// send lets another process send the load.
func send(t *testing.T, l load) result {
	t.Helper()
	spec, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), loadSpec+"="+string(spec))
	out, err := cmd.Output()
	var r result
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil || r.Failed > 0 {
		t.Fatalf("load: %d failed, %s, %v", r.Failed, r.Said, err)
	}
	return r
}

type generator struct {
	load
	client *http.Client
	calls  []call
	took   []time.Duration
	next   atomic.Int64
	failed atomic.Int64
	said   atomic.Value
}

// call is a push, ready to be sent.
type call struct {
	body      []byte
	key       string
	signature string
}

func generate(spec string) int {
	g := &generator{}
	if json.Unmarshal([]byte(spec), &g.load) != nil {
		return 2
	}
	if g.Guess {
		return printed(guess(g.load))
	}
	g.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: g.Connections}, Timeout: 30 * time.Second}
	g.calls, g.took = make([]call, g.To-g.From), make([]time.Duration, g.To-g.From)
	for i := range g.calls {
		body := push(g.From + i)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		g.calls[i] = call{body, fmt.Sprint("call-", g.From+i), "sha256=" + hex.EncodeToString(mac.Sum(nil))}
	}
	began := time.Now()
	var sending sync.WaitGroup
	for range g.Connections {
		sending.Go(func() { g.loop(began) })
	}
	sending.Wait()
	r := result{Seconds: time.Since(began).Seconds(), Failed: int(g.failed.Load())}
	r.Said, _ = g.said.Load().(string)
	slices.Sort(g.took)
	r.P50, r.P99 = g.at(0.5), g.at(0.99)
	return printed(r)
}

// printed hands a result to the process that asked for the load.
func printed(r result) (code int) {
	if json.NewEncoder(os.Stdout).Encode(r) != nil {
		return 1
	}
	return 0
}

func (g *generator) at(q float64) float64 {
	return g.took[int(q*float64(len(g.took)-1))].Seconds() * 1000
}

func (g *generator) loop(began time.Time) {
	for {
		i := int(g.next.Add(1) - 1)
		if i >= len(g.calls) {
			return
		}
		due := time.Now()
		if g.PerSecond > 0 {
			due = began.Add(time.Duration(float64(i) / g.PerSecond * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		g.one(g.calls[i])
		g.took[i] = time.Since(due)
	}
}

func (g *generator) one(c call) {
	request, err := http.NewRequest(http.MethodPost, g.URL, bytes.NewReader(c.body))
	if err == nil {
		request.Header = http.Header{
			"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Github-Hook-Id": {"1"},
			"X-Github-Delivery": {c.key}, "X-Hub-Signature-256": {c.signature},
		}
		var response *http.Response
		if response, err = g.client.Do(request); err == nil {
			answer, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusAccepted {
				return
			}
			err = fmt.Errorf("%s: %.300s", response.Status, answer)
		}
	}
	g.failed.Add(1)
	g.said.Store(err.Error())
}

// sha looks like the id of a commit: neighbours have nothing in common.
func sha(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, "commit ", n))
	return hex.EncodeToString(sum[:20])
}

// push is the n-th push: each follows the one before of its project's main branch.
func push(n int) []byte {
	project := n % projects
	name := fmt.Sprint("acme/app-", project)
	page := "https://github.example/" + name
	before := strings.Repeat("0", 40)
	if n >= projects {
		before = sha(n - projects)
	}
	var commits []any
	for size, i := 900, 0; size < bodySize; i++ {
		id := sha(n)
		if i > 0 {
			id = sha(1_000_000*i + n)
		}
		commit := map[string]any{
			"id": id, "message": fmt.Sprintf("Handle the case %d of issue %d, which nobody had thought of", i, n),
			"timestamp": "2026-11-30T06:00:00+01:00", "url": page + "/commit/" + id, "distinct": true, "tree_id": sha(n + i + 7),
			"author":    map[string]string{"name": "Mira Holm", "email": "mira@example.com", "username": "mira"},
			"committer": map[string]string{"name": "Mira Holm", "email": "mira@example.com", "username": "mira"},
			"added":     []string{}, "removed": []string{}, "modified": []string{fmt.Sprintf("internal/part%d/file%d.go", i, n%97)},
		}
		text, _ := json.Marshal(commit)
		size += len(text) + 1
		commits = append(commits, commit)
	}
	body, _ := json.Marshal(map[string]any{
		"ref": "refs/heads/main", "before": before, "after": sha(n), "head_commit": commits[0], "commits": commits,
		"repository": map[string]any{
			"id": 7000 + project, "name": strings.TrimPrefix(name, "acme/"), "full_name": name, "default_branch": "main",
			"html_url": page, "clone_url": page + ".git", "owner": map[string]string{"login": "acme"},
		},
	})
	return body
}
