package gitlab_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

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

// The old name of a project keeps redirecting to it: where only the name is known, the status must not follow.
func TestPostStatusFollowsAProjectByItsNumberOnly(t *testing.T) {
	t.Parallel()
	for ref, follows := range map[string]bool{"": false, "15": true} {
		gitlab := &fake{post: func(w http.ResponseWriter, _ map[string]any) {
			w.Header().Set("Location", "/sub/api/v4/projects/7/statuses/"+platformtest.SHA)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}}
		platform, _ := gitlab.start(t)
		status := platformtest.Status(core.StatusSuccess)
		status.ProjectRef = ref
		if _, err := platform.PostStatus(t.Context(), status); err == nil || (len(gitlab.sent) > 1) != follows {
			t.Errorf("number %q: want redirects followed %t, got %d calls, %v", ref, follows, len(gitlab.sent), err)
		}
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

// CI's pipeline is made just after the push hook is sent: the first status waits a moment for it, but not longer.
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
		status.DesiredAt, status.PostedState = noon.Add(-c.age), c.posted
		if _, err := platform.PostStatus(t.Context(), status); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Both states of a status land in the pipeline that the merge request shows, in whichever order pipelines were made.
func TestPostStatusFindsTheMergeRequest(t *testing.T) {
	t.Parallel()
	head, merged := fakegitlab.MergeRequestRef(1, false), fakegitlab.MergeRequestRef(1, true)
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		refs []string // of the commit's pipelines
		told int      // which of them events told of as a merge request's, from 1 on; 0: none
		gone bool     // events told of one that was deleted
		want int
	}{
		"only a merge request's": {refs: []string{head}, want: 1},
		"of merged results":      {refs: []string{merged}, want: 1},
		"before a branch's":      {refs: []string{head, "main"}, want: 1},
		"after a branch's":       {refs: []string{"main", head}, want: 2},
		"the newer of two":       {refs: []string{head, head, "main"}, want: 2},
		"only a branch's":        {refs: []string{"side", "main"}, want: 2},
		"told of":                {refs: []string{head, "main"}, told: 1, want: 1},
		"told of, gone":          {refs: []string{head, "main"}, gone: true, want: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startMergeWorld(t, sample, test.refs...)
			status := platformtest.Status(core.StatusPending)
			status.CommitSHA, status.MergePipeline = w.sha, w.ids[test.told]
			if test.gone {
				status.MergePipeline = 999
			}
			posted, err := w.PostStatus(t.Context(), status)
			if want := strconv.FormatInt(w.ids[test.want], 10); err != nil || posted.PipelinePin != want {
				t.Fatalf("posted to %s, %v; want %s", posted.PipelinePin, err, want)
			}
			status.PostedState, status.PipelinePin, status.State = status.State, posted.PipelinePin, core.StatusFailure
			seen, err := w.LatestStatus(t.Context(), status)
			if err != nil || seen.ID != posted.ID {
				t.Errorf("seen %+v, %v; want number %d", seen, err, posted.ID)
			}
			if final, err := w.PostStatus(t.Context(), status); err != nil || final != posted {
				t.Errorf("the final state: %+v, %v; want it to end %+v", final, err, posted)
			}
		})
	}
}

// A note that stands as the status follows it also after requests got comments that are kept; no other is written beside those, and an answer
// that cannot be read makes no second one.
func TestPostStatusChangesItsNoteBesideComments(t *testing.T) {
	t.Parallel()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var unreadable string // the end of a path
	w := startFaultyWorld(t, sample, func(r *http.Request) *fakeforge.Fault {
		switch {
		case strings.HasSuffix(r.URL.Path, "/status_check_responses"):
			return &fakeforge.Fault{Status: http.StatusForbidden}
		case unreadable != "" && strings.HasSuffix(r.URL.Path, unreadable):
			return &fakeforge.Fault{Status: http.StatusOK, Body: "<html>", Late: true}
		}
		return nil
	})
	w.openFromFork(t, sample.Dir, w.sha)
	status := platformtest.Status(core.StatusFailure)
	status.CommitSHA, status.Branch = w.sha, fakegitlab.MergeRequestRef(7, false)
	post := func(state core.StatusState, want ...string) {
		t.Helper()
		status.State = state
		posted, err := w.PostStatus(t.Context(), status)
		if err != nil {
			t.Fatal(err)
		}
		status.PipelinePin, status.PostedState = posted.PipelinePin, state
		var says []string
		for _, note := range w.Comments("acme/widgets", 7) {
			says = append(says, note.Body)
		}
		if len(says) != len(want) || len(want) == 1 && !strings.Contains(says[0], want[0]) {
			t.Errorf("the notes are %q, want %q", says, want)
		}
	}
	post(core.StatusFailure, "failure")
	status.Commented = true
	post(core.StatusSuccess, "success")
	w.EditComment(w.Comments("acme/widgets", 7)[0].ID, "")
	post(core.StatusFailure)
	post(core.StatusSuccess)
	status.Commented, unreadable = false, "/notes"
	post(core.StatusSuccess, "success")
	unreadable = "/merge_requests/7"
	if _, err := w.PostStatus(t.Context(), status); err == nil || errors.Is(err, platforms.ErrRefused) {
		t.Errorf("a merge request that cannot be read: want an error that is worth a retry, got %v", err)
	}
}

// A merge request from a fork is read only where a step needs more of it than its number, and then once.
func TestPostStatusReadsForksWhereNeeded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pipeline int64 // of the merge request, as events told
		want     []string
	}{
		"a pipeline that events told of": {42, nil},
		"nothing told": {0, []string{
			"/sub/api/v4/projects/7/pipelines", "/sub/api/v4/projects/7/merge_requests/5",
			"/sub/api/v4/projects/8/repository/commits/" + sha, "/sub/api/v4/projects/8/pipelines",
		}},
	} {
		f := &fake{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pipelines"):
				f.read = append(f.read, r.URL.Path)
				_, _ = io.WriteString(w, "[]")
			case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/merge_requests/"):
				f.read = append(f.read, r.URL.Path)
				_, _ = io.WriteString(w, `{"iid":5,"source_project_id":8,"target_project_id":7,"source_branch":"topic","sha":"`+sha+`"}`)
			default:
				f.ServeHTTP(w, r)
			}
		}))
		defer server.Close()
		f.pipeline = `{"id":77,"ref":"topic"}`
		status := platformtest.Status(core.StatusSuccess)
		status.ProjectRef, status.CommitSHA, status.Branch, status.MergePipeline = "7", sha, "refs/merge-requests/5/head", test.pipeline
		_, err := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"}).PostStatus(t.Context(), status)
		if err != nil || len(f.sent) != 1 || !slices.Equal(f.read, test.want) {
			t.Errorf("%s: %v, %d posts, read %q, want %q", name, err, len(f.sent), f.read, test.want)
		}
	}
}

// An external status check of the status's name is answered where no pipeline takes the status. What GitLab refuses of it leads to a note, or
// is right as it is: a check of an older head, and one that waits where GitLab knows no such state yet.
func TestPostStatusAnswersChecks(t *testing.T) {
	t.Parallel()
	const asCheck, asNote = "as an external status check", "as a note"
	old := fakeforge.Fault{Status: http.StatusBadRequest, Body: `{"error":"status does not have a valid value"}`}
	for name, test := range map[string]struct {
		state  core.StatusState
		behind bool             // the commit is not the head any more
		fault  *fakeforge.Fault // instead of an answer to the check
		pin    string           // how it begins
		where  string
		shown  string // what the merge request shows last
	}{
		"waits":                    {state: core.StatusPending, pin: "check:", where: asCheck, shown: "pending"},
		"passes":                   {state: core.StatusSuccess, pin: "check:", where: asCheck, shown: "passed"},
		"fails":                    {state: core.StatusFailure, pin: "check:", where: asCheck, shown: "failed"},
		"fails by an error":        {state: core.StatusError, pin: "check:", where: asCheck, shown: "failed"},
		"of an older head":         {state: core.StatusSuccess, behind: true, pin: "check:", where: "nowhere"},
		"waits, before 16.5":       {state: core.StatusPending, fault: &old, pin: "check:", where: asCheck},
		"of one who cannot answer": {state: core.StatusFailure, fault: &fakeforge.Fault{Status: http.StatusForbidden}, pin: "note:", where: asNote, shown: "note"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sample, err := gitrepo.Sample(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			w := startFaultyWorld(t, sample, func(r *http.Request) *fakeforge.Fault {
				if strings.HasSuffix(r.URL.Path, "/status_check_responses") {
					return test.fault
				}
				return nil
			})
			status := platformtest.Status(test.state)
			status.CommitSHA, status.Branch = w.sha, fakegitlab.MergeRequestRef(7, false)
			w.openFromFork(t, sample.Dir, map[bool]string{false: w.sha, true: sample.Before}[test.behind])
			posted, err := w.PostStatus(t.Context(), status)
			if err != nil || !strings.HasPrefix(posted.PipelinePin, test.pin) || !strings.HasPrefix(posted.ShownIn, test.where) {
				t.Fatalf("posted %+v, %v; want it %s", posted, err, test.where)
			}
			shown := ""
			for _, s := range w.Statuses("acme/widgets", w.sha) {
				shown = s.State
			}
			if len(w.Comments("acme/widgets", 7)) > 0 {
				shown = "note"
			}
			if shown != test.shown {
				t.Errorf("the merge request shows %q, want %q", shown, test.shown)
			}
		})
	}
}

// A status that began in the branch's pipeline ends there, where it would stay running otherwise; the next may move.
func TestPostStatusEndsBeforeItMoves(t *testing.T) {
	t.Parallel()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := startMergeWorld(t, sample, "main")
	status := platformtest.Status(core.StatusPending)
	status.CommitSHA = w.sha
	posted, err := w.PostStatus(t.Context(), status)
	if err != nil {
		t.Fatal(err)
	}
	if status.MergePipeline, err = w.AddPipeline("acme/widgets", w.sha, fakegitlab.MergeRequestRef(1, false)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{posted.PipelinePin, strconv.FormatInt(status.MergePipeline, 10)} {
		status.PostedState, status.PipelinePin, status.State = status.State, posted.PipelinePin, core.StatusSuccess
		if posted, err = w.PostStatus(t.Context(), status); err != nil || posted.PipelinePin != want {
			t.Errorf("posted to %s, %v; want %s", posted.PipelinePin, err, want)
		}
	}
}

func TestLatestStatus(t *testing.T) {
	t.Parallel()
	description := platformtest.Describe(t, "openapi/gitlab/gitlab-api-v4.subset.json", "/sub")
	tests := map[string]struct {
		answer string
		state  core.StatusState // empty: there is none
	}{
		"the greatest number": {`[{"id":3,"name":"scanhook","status":"success","author":{"username":"scanhook-bot"}},` +
			`{"id":5,"name":"scanhook","status":"canceled","description":"no","author":{"username":"ci-bot"}},` +
			`{"id":6,"name":"scanhook2","status":"success"}]`, core.StatusCancelled},
		"a word of its own": {`[{"id":5,"name":"scanhook","status":"skipped","description":"no","author":{"username":"ci-bot"}}]`, "skipped"},
		"none":              {`[]`, ""},
		"odd entries":       {`[null,{}]`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := description.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.Query().Encode(); got != "name=scanhook&per_page=100&ref=main" {
					t.Errorf("asked for %q", got)
				}
				_, _ = w.Write([]byte(test.answer))
			})
			platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
			status := platformtest.Status(core.StatusSuccess)
			status.ProjectRef = "15"
			got, err := platform.LatestStatus(t.Context(), status)
			if test.state == "" {
				if !errors.Is(err, platforms.ErrUnknownCommit) {
					t.Errorf("want ErrUnknownCommit, got %+v, %v", got, err)
				}
				return
			}
			want := core.ObservedStatus{
				Project: core.Project{Name: status.ProjectName, Ref: "15"}, CommitSHA: platformtest.SHA, Context: "scanhook", ID: 5,
				State: test.state, Description: "no", Creator: "ci-bot",
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("seen, %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
