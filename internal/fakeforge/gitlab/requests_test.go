package gitlab_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

// External status checks are there where one was added, and are answered for the head of a merge request only.
func TestGitLabExternalStatusChecks(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	if _, err := p.BuildRequest(fakeforge.RequestSpec{Project: p.Project, Number: 7, Branch: "topic", Head: p.Sample.Head, Action: "opened"}); err != nil {
		t.Fatal(err)
	}
	list, responses := "/projects/77/merge_requests/7/status_checks", "/projects/77/merge_requests/7/status_check_responses"
	if response, _ := p.Call(t, http.MethodGet, list, ""); response.StatusCode != http.StatusNotFound {
		t.Errorf("the checks of a project without any: %d, want 404", response.StatusCode)
	}
	id, err := p.AddCheck(p.Project, "scanhook")
	if err != nil {
		t.Fatal(err)
	}
	of := func(sha, status string, check int64) string {
		return `{"sha":"` + sha + `","status":"` + status + `","external_status_check_id":` + strconv.FormatInt(check, 10) + `}`
	}
	for _, test := range []struct {
		body string
		want int
	}{
		{of(p.Sample.Head, "passed", id), http.StatusCreated},
		{of(p.Sample.Head, "pending", id), http.StatusCreated},
		{of(p.Sample.Head, "success", id), http.StatusBadRequest},
		{of(p.Sample.Before, "passed", id), http.StatusConflict},
		{of(p.Sample.Head, "passed", id+1), http.StatusNotFound},
		{`{"status":"passed"}`, http.StatusBadRequest},
	} {
		if response, body := p.Call(t, http.MethodPost, responses, test.body); response.StatusCode != test.want {
			t.Errorf("%s was answered %d %v, want %d", test.body, response.StatusCode, body, test.want)
		}
	}
	p.Estrange(p.Project)
	if response, _ := p.Call(t, http.MethodPost, responses, of(p.Sample.Head, "passed", id)); response.StatusCode != http.StatusForbidden {
		t.Errorf("an account that may not approve got %d, want 403", response.StatusCode)
	}
	states := ""
	for _, status := range p.Statuses(p.Project, p.Sample.Head) {
		states += status.Context + " " + status.State + " "
	}
	if strings.TrimSpace(states) != "scanhook passed scanhook pending" {
		t.Errorf("taken were %q", states)
	}
}
