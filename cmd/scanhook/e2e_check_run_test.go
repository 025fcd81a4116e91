package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/config"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// An App shows what is new on the lines of the change, and the check run follows later decisions and reports.
func TestCheckRunOfAnApp(t *testing.T) {
	t.Parallel()
	w, sample := appSandbox(t)
	startSandbox(t, w)
	sha := sample.Head
	upload := func(rules ...string) outcome { return uploadTo(t, w, sha, rules...) }
	upload("a", "b").expect(t, 0, "completed, fail: 2 new (2 high)")
	run := checkRunOf(t, w, sha, func(run fakegithub.CheckRun) bool { return run.Status == "completed" })
	if run.Name != "scanhook/check" || *run.Conclusion != "failure" || len(run.Output.Annotations) != 2 ||
		run.Output.Annotations[0].Path != "main.go" || !strings.Contains(run.Output.Summary, "2 new") {
		t.Errorf("the check run is %+v", run)
	}
	var scans struct {
		Items []struct {
			Ref string `json:"reference_id"`
		}
	}
	ask(t, w, "GET", "/api/v1/scans?commit="+sha, "", &scans)
	var findings struct {
		Items []struct {
			ID     int64
			RuleID string `json:"rule_id"`
		}
	}
	ask(t, w, "GET", "/api/v1/scans/"+scans.Items[0].Ref+"/findings", "", &findings)
	for _, finding := range findings.Items {
		if finding.RuleID == "a" {
			mark(t, w, finding.ID, "FP")
		}
	}
	judged := checkRunOf(t, w, sha, func(run fakegithub.CheckRun) bool { return run.Output.Title == "1 new (1 high), 1 dismissed" })
	if *judged.Conclusion != "failure" || strings.Contains(judged.Output.Summary, "`a`") || !strings.Contains(judged.Output.Summary, "`b`") {
		t.Errorf("after a dismissal the check run is %+v", judged)
	}
	upload().expect(t, 0, "completed, pass")
	again := checkRunOf(t, w, sha, func(run fakegithub.CheckRun) bool { return run.Status == "completed" && *run.Conclusion == "success" })
	if again.ID != run.ID {
		t.Errorf("check run %d became %d", run.ID, again.ID)
	}
}

// checkRunOf waits until the newest check run of a commit is as wanted.
func checkRunOf(t *testing.T, w *sandbox, sha string, wanted func(fakegithub.CheckRun) bool) fakegithub.CheckRun {
	t.Helper()
	return eventually(t, "the check run of "+sha, func() (newest fakegithub.CheckRun, ok bool) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			w.platform.Base()+"/api/v3/repos/acme/shop/commits/"+sha+"/check-runs", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "token "+w.platform.AccessToken())
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var list struct {
			Runs []fakegithub.CheckRun `json:"check_runs"`
		}
		if err := json.NewDecoder(response.Body).Decode(&list); err != nil || len(list.Runs) == 0 {
			return newest, false
		}
		return list.Runs[0], wanted(list.Runs[0])
	})
}

// appSandbox is a sandbox whose Scanhook acts as an App, and whose only scanner is elsewhere.
func appSandbox(t *testing.T) (*sandbox, gitrepo.Checkout) {
	t.Helper()
	w, sample := setup(t, sandboxConfig{kind: "github", extra: `
defaults: {publish: both, buttons: dismiss}
scanners: {trivy: {upload: true}}
repositories: [{match: "github/acme/*", scanners: [trivy]}]`})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "app.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	app := w.config.Platforms["github"]
	app.Token, app.App = "", &config.App{ID: 4, PrivateKeyFile: file}
	w.config.Platforms["github"] = app
	return w, sample
}

// shopID is the platform's number of acme/shop.
func shopID(t *testing.T, w *sandbox) int64 {
	t.Helper()
	shop, err := w.platform.Find("acme/shop")
	if err != nil {
		t.Fatal(err)
	}
	return shop.ID
}

// uploadTo brings a report of findings by rule for a commit of main.
func uploadTo(t *testing.T, w *sandbox, sha string, rules ...string) outcome {
	t.Helper()
	env := environment(map[string]string{"SCANHOOK_URL": w.scanhook, "SCANHOOK_API_TOKEN": w.apiToken})
	return uploadWith(t, env, reportOf(rules...), "-", "--scanner", "trivy", "--platform", "github", "--project", "acme/shop",
		"--project-id", fmt.Sprint(shopID(t, w)), "--commit", sha, "--branch", "main")
}
