package gitlab_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/gitlab"
)

func TestGitLabTransitions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		states []string // posted in order; all but the last must be accepted
		reason string   // why the last is refused, or empty
	}{
		"pending, running, success":   {[]string{"pending", "running", "success"}, ""},
		"running once, then final":    {[]string{"running", "failed"}, ""},
		"final at once":               {[]string{"success"}, ""},
		"pending straight to final":   {[]string{"pending", "canceled"}, ""},
		"final again is a new job":    {[]string{"failed", "success"}, ""},
		"running after final":         {[]string{"success", "running"}, ""},
		"pending twice":               {[]string{"pending", "pending"}, "via :enqueue from :pending"},
		"pending after running":       {[]string{"running", "pending"}, "via :enqueue from :running"},
		"running twice":               {[]string{"running", "running"}, "via :run from :running"},
		"skipped while it is running": {[]string{"running", "skipped"}, "via :skip from :running"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
			for i, state := range test.states {
				want := http.StatusCreated
				if i == len(test.states)-1 && test.reason != "" {
					want = http.StatusBadRequest
				}
				post := `{"state":"` + state + `","name":"scanhook"}`
				response, body := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), post)
				if response.StatusCode != want {
					t.Fatalf("post %d: status = %d, want %d: %v", i+1, response.StatusCode, want, body)
				}
				if want == http.StatusBadRequest && !strings.Contains(fmt.Sprint(body["message"]), test.reason) {
					t.Errorf("message = %v, want %q in it", body["message"], test.reason)
				}
			}
		})
	}
}

func TestGitLabRules(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	other, err := p.AddPipeline(p.Project, p.Sample.Before, "main", "lint")
	if err != nil {
		t.Fatal(err)
	}
	pipelineOf := strconv.FormatInt(other, 10)
	head, first, unknown := p.StatusPath(p.Sample.Head), p.StatusPath(p.Sample.Before), strings.Repeat("a", 40)
	long := strings.Repeat("x", 256)
	tests := map[string]struct {
		path, body string
		status     int
		reason     string
	}{
		"by id":              {"/projects/77/statuses/" + p.Sample.Head, `{"state":"success","name":"a"}`, 201, ""},
		"context for name":   {head, `{"state":"success","context":"b"}`, 201, ""},
		"255 characters":     {head, `{"state":"success","name":"c","description":"` + long[1:] + `"}`, 201, ""},
		"long description":   {head, `{"state":"success","description":"` + long + `"}`, 400, "description"},
		"long ref":           {head, `{"state":"success","ref":"` + long + `"}`, 400, "ref"},
		"long address":       {head, `{"state":"success","target_url":"http://x.example/` + long + `"}`, 400, "target_url"},
		"relative address":   {head, `{"state":"success","target_url":"/scans/1"}`, 400, "is blocked"},
		"GitHub's word":      {head, `{"state":"failure"}`, 400, "state does not have a valid value"},
		"no state":           {head, `{}`, 400, "state is missing"},
		"not JSON":           {head, `state`, 400, "not valid JSON"},
		"unknown project":    {"/projects/acme%2Fnone/statuses/" + unknown, `{"state":"success"}`, 404, "404 Project"},
		"unknown commit":     {p.StatusPath(unknown), `{"state":"success"}`, 404, "404 Commit Not Found"},
		"foreign pipeline":   {head, `{"state":"success","pipeline_id":` + pipelineOf + `}`, 404, "404 Pipeline for"},
		"own pipeline":       {first, `{"state":"success","pipeline_id":` + pipelineOf + `}`, 201, ""},
		"name of a CI job":   {first, `{"state":"success","name":"lint"}`, 400, "has already been taken"},
		"pipeline as a text": {first, `{"state":"success","name":"t","pipeline_id":"` + pipelineOf + `"}`, 201, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// Not parallel: several posts to one commit at once break a rule of their own.
			response, body := p.Call(t, http.MethodPost, test.path, test.body)
			if response.StatusCode != test.status || !strings.Contains(fmt.Sprint(body), test.reason) {
				t.Fatalf("answer = %d %v, want %d with %q", response.StatusCode, body, test.status, test.reason)
			}
		})
	}
}

func TestGitLabCommitWithoutBranch(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	orphan := forgetest.Git(t, p.Sample.Dir, "commit-tree", "-m", "lost", p.Sample.Head+"^{tree}")
	for _, test := range []struct {
		post string
		want int
	}{
		{`{"state":"success"}`, http.StatusNotFound},
		{`{"state":"success","ref":"x"}`, http.StatusCreated},
	} {
		if response, body := p.Call(t, http.MethodPost, p.StatusPath(orphan), test.post); response.StatusCode != test.want {
			t.Errorf("%s was answered %d %v, want %d", test.post, response.StatusCode, body, test.want)
		}
	}
}

func TestGitLabRefusesParallelPosts(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan bool), make(chan bool)
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token, Faults: func(*http.Request) *fakeforge.Fault {
		entered <- true
		<-leave
		return nil
	}})
	done := make(chan int)
	go func() {
		response, _ := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running"}`)
		done <- response.StatusCode
	}()
	<-entered
	response, body := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success"}`)
	if response.StatusCode != http.StatusConflict {
		t.Errorf("the second post: %d %v, want 409", response.StatusCode, body)
	}
	close(leave)
	select {
	case got := <-done:
		if got != http.StatusCreated {
			t.Errorf("the first post: %d, want 201", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("the first post never ended")
	}
	if refused := p.Refused(); len(refused) != 1 || refused[0].Status != http.StatusConflict {
		t.Errorf("refused = %v, want the 409 alone", refused)
	}
}

func TestGitLabPipelines(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	commit := "/projects/77/repository/commits/" + p.Sample.Head
	if _, body := p.Call(t, http.MethodGet, commit, ""); body["last_pipeline"] != nil || body["id"] != p.Sample.Head {
		t.Fatalf("commit = %v, want one without a pipeline", body)
	}
	_, first := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running","ref":"main"}`)
	_, body := p.Call(t, http.MethodGet, commit, "")
	external, _ := body["last_pipeline"].(map[string]any)
	if external["id"] != first["pipeline_id"] || external["source"] != "external" || external["status"] != "running" {
		t.Errorf("last_pipeline = %v, want the external one of %v", external, first)
	}
	ci, err := p.AddPipeline(p.Project, p.Sample.Head, "main")
	if err != nil {
		t.Fatal(err)
	}
	_, second := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running","ref":"main"}`)
	if second["pipeline_id"] != float64(ci) {
		t.Errorf("the second status went to %v, want the newest pipeline %d", second["pipeline_id"], ci)
	}
	_, third := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running","ref":"other"}`)
	if third["pipeline_id"] == second["pipeline_id"] || third["pipeline_id"] == first["pipeline_id"] {
		t.Errorf("a status for another ref went to %v, want a pipeline of its own", third["pipeline_id"])
	}
}

// A pipeline of a merge request takes statuses by its number, and none that names the branch: that gets another one.
func TestGitLabMergeRequestPipelines(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	merge, err := p.AddPipeline(p.Project, p.Sample.Head, gitlab.MergeRequestRef(1, false))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		post  string
		code  int
		merge bool
	}{
		{fmt.Sprintf(`{"state":"running","ref":"main","pipeline_id":%d}`, merge), http.StatusNotFound, false},
		{fmt.Sprintf(`{"state":"running","pipeline_id":%d}`, merge), http.StatusCreated, true},
		{`{"state":"success"}`, http.StatusCreated, true},
		{`{"state":"running","ref":"main"}`, http.StatusCreated, false},
	} {
		response, body := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), test.post)
		if response.StatusCode != test.code || (body["pipeline_id"] == float64(merge)) != test.merge {
			t.Errorf("%s was answered %d %v, want %d, in the merge request's: %t", test.post, response.StatusCode, body,
				test.code, test.merge)
		}
	}
}
