package github_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func appPlatform(t *testing.T, app int64) *github.Platform {
	t.Helper()
	return newPlatform(t, platforms.Config{WebhookSecrets: []string{"the secret"}, App: &platforms.App{ID: app, PrivateKey: privateKey(t)}})
}

// Of GitHub's own examples, one has a value that its own library cannot read.
func TestRecordedButtonsAreRead(t *testing.T) {
	t.Parallel()
	const examples = "octokit__webhooks/payload-examples/api.github.com/"
	for path, want := range map[string]core.CheckAction{
		"check_run/requested_action.payload.json": {Button: "lgtm|26764", CheckID: 1494503112, Login: "codebytere", UserID: 2036040},
		"check_run/rerequested.payload.json":      {CheckID: 4, Login: "octocat", UserID: 5346},
		"check_suite/rerequested.payload.json":    {},
	} {
		body := platformtest.Recorded(t, examples+path)
		var example struct {
			Run, Suite struct {
				HeadSHA string `json:"head_sha"`
				App     struct{ ID int64 }
			}
		}
		text := strings.NewReplacer(`"check_run":`, `"run":`, `"check_suite":`, `"suite":`).Replace(string(body))
		if err := json.Unmarshal([]byte(text), &example); err != nil {
			t.Fatal(err)
		}
		event, app, sha := strings.Split(path, "/")[0], example.Run.App.ID, example.Run.HeadSHA
		if event == "check_suite" {
			app, sha = example.Suite.App.ID, example.Suite.HeadSHA
		}
		delivery, err := appPlatform(t, app).Parse(headerOf(event), body)
		got, is := delivery.Event.(core.CheckAction)
		if want.Login == "" && err == nil && ignored(delivery, "no person") {
			continue
		}
		if err != nil || !is || got.CommitSHA != sha || got.Button != want.Button || got.CheckID != want.CheckID || got.Login != want.Login ||
			got.UserID != want.UserID || got.Project.Name == "" || len(got.Digest) != 64 {
			t.Errorf("%s: %+v, %v", path, delivery.Event, err)
		}
		if other, err := appPlatform(t, app+1).Parse(headerOf(event), body); err != nil || !ignored(other, "another App") {
			t.Errorf("%s of another App: %+v, %v", path, other.Event, err)
		}
		if none, err := newPlatform(t, platforms.Config{}).Parse(headerOf(event), body); err != nil || !ignored(none, "checks are results") {
			t.Errorf("%s without an App: %+v, %v", path, none.Event, err)
		}
	}
}

func ignored(d core.Delivery, why string) bool {
	event, is := d.Event.(core.Ignored)
	return is && strings.Contains(event.Reason, why)
}

func TestButtonsThatLackSomethingAreInvalid(t *testing.T) {
	t.Parallel()
	platform := appPlatform(t, 4)
	run := fakegithub.CheckRun{ID: 71, HeadSHA: aSHA}
	parse := func(change func(map[string]any)) (core.Delivery, error) {
		payload := fakegithub.Pressed(run, "acme/widgets", 7, "scan.0.1", fakeforge.Pusher)
		change(payload)
		body, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		return platform.Parse(headerOf("check_run"), body)
	}
	if _, err := parse(func(map[string]any) {}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"no commit":     func(p map[string]any) { p["check_run"].(map[string]any)["head_sha"] = "main" },
		"no id":         func(p map[string]any) { p["check_run"].(map[string]any)["id"] = "x" },
		"no button":     func(p map[string]any) { p["requested_action"] = nil },
		"no repository": func(p map[string]any) { p["repository"] = nil },
	} {
		if _, err := parse(change); !platformtest.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, sender := range map[string]any{
		"no sender": 5, "an App": map[string]any{"id": 5, "login": "dependabot[bot]"}, "a path": map[string]any{"id": 5, "login": "../../user"},
		"no id": map[string]any{"login": "mira"},
	} {
		if delivery, err := parse(func(p map[string]any) { p["sender"] = sender }); err != nil || !ignored(delivery, "no person") {
			t.Errorf("%s: %+v, %v", name, delivery.Event, err)
		}
	}
}

func TestWhoMayWrite(t *testing.T) {
	t.Parallel()
	server := fakegithub.New(fakeforge.Config{Token: theToken})
	var faults []int
	platform := appPlatformAt(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/permission") && len(faults) > 0 {
			w.WriteHeader(faults[0])
			faults = faults[1:]
			return
		}
		server.ServeHTTP(w, r)
	}, server)
	project := core.Project{Name: "acme/widgets", Ref: "7"}
	for _, c := range []struct {
		login string
		id    int64
		may   bool
	}{
		{"mira", 501, true}, {"mira", 502, false}, {"guest", 777, false}, {"nobody", 1, false},
	} {
		if may, err := platform.MayWrite(t.Context(), project, c.login, c.id); err != nil || may != c.may {
			t.Errorf("%s %d: %v, %v", c.login, c.id, may, err)
		}
	}
	if may, err := platform.MayWrite(t.Context(), project, "../x", 1); err == nil || may {
		t.Errorf("a path: %v, %v", may, err)
	}
	for _, code := range []int{403, 500, 502} {
		faults = []int{code}
		if may, err := platform.MayWrite(t.Context(), project, "mira", 501); err == nil || may {
			t.Errorf("%d: %v, %v", code, may, err)
		}
	}
}

func appPlatformAt(t *testing.T, answer http.HandlerFunc, server *fakeforge.Server) *github.Platform {
	t.Helper()
	listening := httptest.NewServer(answer) // the recorded description lacks the call
	t.Cleanup(listening.Close)
	url := listening.URL + "/sub"
	if err := server.SetBase(url); err != nil {
		t.Fatal(err)
	}
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", ID: 7, Dir: t.TempDir()})
	return newPlatform(t, platforms.Config{URL: url, WebhookSecrets: []string{"the secret"}, App: &platforms.App{ID: 4, PrivateKey: privateKey(t)}})
}
