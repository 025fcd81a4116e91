package gitlab_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// fake is a GitLab that holds one commit; nil handlers answer well.
type fake struct {
	pipeline string // JSON of the commit's last pipeline
	post     func(w http.ResponseWriter, sent map[string]any)
	sent     []map[string]any
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(`{"id":"x","last_pipeline":` + f.pipeline + `}`))
		return
	}
	sent := make(map[string]any)
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.Header.Get("Private-Token") != "the-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.sent = append(f.sent, sent)
	if f.post != nil {
		f.post(w, sent)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"id":1,"status":"running","pipeline_id":77,"coverage":null}`))
}

// start makes a platform for the fake, below a sub-path.
func (f *fake) start(t testing.TB) (*gitlab.Platform, *platformtest.Server) {
	if f.pipeline == "" {
		f.pipeline = "null"
	}
	description := platformtest.Describe(t, "openapi/gitlab/gitlab-api-v4.subset.json", "/sub")
	server := description.Serve(t, f.ServeHTTP)
	return newPlatform(t, gitlab.Config{URL: server.URL + "/sub", Token: "the-token"}), server
}

func TestPostStatusStates(t *testing.T) {
	t.Parallel()
	for state, want := range map[core.StatusState]string{
		core.StatusPending: "running", core.StatusSuccess: "success", core.StatusFailure: "failed",
		core.StatusError: "failed", core.StatusCancelled: "canceled",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			gitlab := &fake{}
			platform, server := gitlab.start(t)
			status := platformtest.Status(state)
			status.ProjectRef = "15"
			posted, err := platform.PostStatus(t.Context(), status)
			want77 := platforms.Posted{PipelinePin: "77", ID: 1, Code: http.StatusCreated}
			if err != nil || posted != want77 {
				t.Fatalf("want %+v, got %+v, %v", want77, posted, err)
			}
			wantSent := []map[string]any{{
				"state": want, "name": "scanhook", "ref": "main", "target_url": status.TargetURL,
				"description": status.Description,
			}}
			if diff := cmp.Diff(wantSent, gitlab.sent); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			wantCalls := []string{
				"GET /sub/api/v4/projects/15/repository/commits/" + platformtest.SHA,
				"POST /sub/api/v4/projects/15/statuses/" + platformtest.SHA,
			}
			if diff := cmp.Diff(wantCalls, server.Calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPostStatusSendsRunningOnce(t *testing.T) {
	t.Parallel()
	platform, server := (&fake{}).start(t)
	status := platformtest.Status(core.StatusPending)
	status.PostedState, status.PipelinePin = core.StatusPending, "31"
	if posted, err := platform.PostStatus(t.Context(), status); err != nil || posted.PipelinePin != "31" || len(server.Calls()) != 0 {
		t.Errorf("want no call and pipeline 31, got %v, %+v, %v", server.Calls(), posted, err)
	}
}

func TestPostStatusPinsThePipeline(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		last, pin string
		want      []any // pipeline_id of each post
		refuse    bool  // 404 for a pinned post
	}{
		"none known":         {"null", "", []any{nil}, false},
		"last of the commit": {`{"id":42}`, "", []any{42.0}, false},
		"of its branch":      {`{"id":42,"ref":"main"}`, "", []any{42.0}, false},
		"of another branch":  {`{"id":42,"ref":"side"}`, "", []any{nil}, false},
		"of a merge request": {`{"id":42,"ref":"refs/merge-requests/1/head"}`, "", []any{42.0}, false},
		"known one":          {`{"id":42}`, "31", []any{31.0}, false},
		"unreadable pin":     {"null", "x", []any{nil}, false},
		"gone":               {"null", "31", []any{31.0, nil}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gitlab := &fake{pipeline: test.last}
			if test.refuse {
				gitlab.post = func(w http.ResponseWriter, sent map[string]any) {
					if sent["pipeline_id"] != nil {
						w.WriteHeader(http.StatusNotFound)
					}
				}
			}
			platform, _ := gitlab.start(t)
			status := platformtest.Status(core.StatusSuccess)
			status.ProjectName, status.PipelinePin = "acme/sub.group/widgets", test.pin
			if _, err := platform.PostStatus(t.Context(), status); err != nil {
				t.Fatal(err)
			}
			var got []any
			for _, sent := range gitlab.sent {
				got = append(got, sent["pipeline_id"])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("pipeline_id (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPostStatusTellsRefusalsApart(t *testing.T) {
	t.Parallel()
	const taken = `{"message":{"name":["has already been taken"]}}`
	const transition = `{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot)"}`
	tests := map[string]struct {
		state core.StatusState
		code  int
		body  string
		want  error // nil is success
	}{
		"already running":   {core.StatusPending, 400, transition, nil},
		"already finished":  {core.StatusSuccess, 400, transition, platforms.ErrRefused},
		"name of a job":     {core.StatusPending, 400, taken, platforms.ErrRefused},
		"unknown commit":    {core.StatusSuccess, 404, `{"message":"404 Commit Not Found"}`, platforms.ErrUnknownCommit},
		"created, odd json": {core.StatusSuccess, 201, `{"id":"no number"}`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform, _ := (&fake{post: func(w http.ResponseWriter, _ map[string]any) {
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			}}).start(t)
			status := platformtest.Status(test.state)
			status.PipelinePin = "31"
			posted, err := platform.PostStatus(t.Context(), status)
			if !errors.Is(err, test.want) {
				t.Errorf("want %v, got %v", test.want, err)
			}
			if err == nil && posted.PipelinePin != "31" {
				t.Errorf("want the pin to be kept, got %q", posted.PipelinePin)
			}
		})
	}
}

func TestNewRefusesAddresses(t *testing.T) {
	t.Parallel()
	for _, config := range []gitlab.Config{
		{URL: "ftp://git.example.com"}, {URL: "https://ada:hunter2@git.example.com"}, {APIURL: "/api/v4"},
	} {
		if _, err := gitlab.New(config); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("want an error without the password, got %v", err)
		}
	}
}

// CI's pipeline is made just after the push hook is sent: the first status waits for it a moment, and not for ever.
func TestPostStatusWaitsForThePipeline(t *testing.T) {
	t.Parallel()
	wanted := core.Status{
		ProjectName: "group/shop", CommitSHA: strings.Repeat("a1", 20), Context: "scanhook", State: core.StatusPending,
	}
	for name, c := range map[string]struct {
		age      time.Duration
		posted   core.StatusState
		pipeline string
		want     error
	}{
		"fresh, no pipeline":  {time.Second, "", "null", platforms.ErrTooEarly},
		"fresh, pipeline":     {time.Second, "", `{"id":77}`, nil},
		"old, no pipeline":    {time.Minute, "", "null", nil},
		"second, no pipeline": {time.Second, core.StatusSuccess, "null", nil},
	} {
		f := &fake{pipeline: c.pipeline}
		platform, _ := f.start(t)
		status := wanted
		status.WantedAt, status.PostedState = noon.Add(-c.age), c.posted
		if _, err := platform.PostStatus(t.Context(), status); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
