package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
)

// checkForge is a GitHub with an App, whose calls the official description judges where it knows them.
func checkForge(t *testing.T) (*fakeforge.Server, *github.Platform, func() []fakegithub.CheckRun) {
	t.Helper()
	server := fakegithub.New(fakeforge.Config{Token: theToken, Now: time.Now})
	url := describe(t).Serve(t, server.ServeHTTP).URL + "/sub"
	if err := server.SetBase(url); err != nil {
		t.Fatal(err)
	}
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", ID: 7, Dir: t.TempDir()})
	if err := server.Declare("acme/widgets", aSHA); err != nil {
		t.Fatal(err)
	}
	platform := newPlatform(t, platforms.Config{
		URL: url, WebhookSecrets: []string{"the secret"}, App: &platforms.App{ID: 4, PrivateKey: privateKey(t)},
	})
	return server, platform, func() []fakegithub.CheckRun { return listedRuns(t, server) }
}

var aSHA = strings.Repeat("a1", 20)

func listedRuns(t *testing.T, server http.Handler) []fakegithub.CheckRun {
	t.Helper()
	var list struct {
		Runs []fakegithub.CheckRun `json:"check_runs"`
	}
	r := httptest.NewRequest(http.MethodGet, "/sub/api/v3/repos/acme/widgets/commits/"+aSHA+"/check-runs", http.NoBody)
	r.Header.Set("Authorization", "token "+theToken)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	return list.Runs
}

func reportOf(annotations int) (report platforms.CheckReport) {
	report.Summary = "a summary"
	for i := range annotations {
		report.Annotations = append(report.Annotations, platforms.Annotation{
			File: "main.go", Line: i, Severity: core.High, Title: fmt.Sprint("finding ", i), Message: "m",
		})
	}
	return report
}

func TestCheckRunsAreCreatedAndUpdated(t *testing.T) {
	t.Parallel()
	server, platform, runs := checkForge(t)
	status := core.Status{
		ProjectName: "acme/widgets", ProjectRef: "7", CommitSHA: aSHA, Context: "scanhook/check", Kind: core.KindCheck, ScanID: 3,
		State: core.StatusPending, Description: "Scan in progress", TargetURL: "https://scanhook.example/scans/r",
	}
	post := func(report platforms.CheckReport) core.Status {
		t.Helper()
		posted, err := platform.PostCheck(t.Context(), status, report)
		if err != nil {
			t.Fatal(err)
		}
		status.PostedID, status.PostedState = posted.ID, status.State
		return status
	}
	post(platforms.CheckReport{Summary: "soon"})
	first := status.PostedID
	status.State, status.Description = core.StatusFailure, "120 new (120 high)"
	post(reportOf(120))
	list := runs()
	if len(list) != 1 || list[0].ID != first || list[0].Status != "completed" || *list[0].Conclusion != "failure" ||
		len(list[0].Output.Annotations) != 120 || list[0].ExternalID != "3" || list[0].Output.Title != "120 new (120 high)" {
		t.Errorf("the runs are %.400v", list)
	}
	status.State, status.Description = core.StatusSuccess, "120 dismissed"
	post(reportOf(120))
	if list := runs(); len(list) != 1 || *list[0].Conclusion != "success" || len(list[0].Output.Annotations) != 120 {
		t.Errorf("a decision makes of the runs %.400v", list)
	}
	status.State, status.Description = core.StatusPending, "Scan in progress"
	post(platforms.CheckReport{Summary: "soon"})
	if list := runs(); len(list) != 2 || list[0].Status != "in_progress" {
		t.Errorf("another scan of the commit makes of the runs %.400v", list)
	}
	status.PostedID, status.State, status.PostedState = 4711, core.StatusSuccess, core.StatusPending
	post(platforms.CheckReport{Summary: "done"})
	if list := runs(); len(list) != 3 || *list[0].Conclusion != "success" {
		t.Errorf("a lost run makes of the runs %.400v", list)
	}
	if refused := server.Refused(); len(refused) != 1 || refused[0].Status != http.StatusNotFound {
		t.Errorf("refused are %v", refused)
	}
}

func TestCheckRunsThatAreForbiddenHoldNothing(t *testing.T) {
	t.Parallel()
	server, platform, _ := checkForge(t)
	status := core.Status{ProjectName: "acme/widgets", ProjectRef: "7", CommitSHA: aSHA, Context: "scanhook/check", State: core.StatusSuccess,
		Description: "No findings"}
	server.RefuseStatuses(http.StatusForbidden)
	_, err := platform.PostCheck(t.Context(), status, platforms.CheckReport{Summary: "s"})
	denied := new(platforms.Denied)
	if !errors.Is(err, platforms.ErrRefused) || errors.As(err, &denied) || !strings.Contains(err.Error(), "Checks: read and write") {
		t.Errorf("got %v", err)
	}
	_, withToken := forge(t, false)
	if _, able := platforms.CheckRunnerOf(withToken); able {
		t.Error("a token makes check runs")
	}
}
