package main

import (
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
	"github.com/scanhook/scanhook/store/storetest"
)

// Serving goes on after a move: what waited to be posted is posted, who was logged in still is, what was dismissed stays so,
// and the next push gets its status.
func TestServingGoesOnAfterAMove(t *testing.T) {
	t.Parallel()
	target := storetest.PostgresURL(t)
	w, sample := setup(t, sandboxConfig{kind: "github"})
	w.release(t)
	first := process(t, w)
	pushTo(t, w, "main", "", sample.Before)
	finalOf(t, w, sample.Before)
	delivery := pushTo(t, w, "main", sample.Before, sample.Head)
	finalOf(t, w, sample.Head)
	browser := loggedIn(t, w)
	grave := newGrave(t, w, delivery)
	for _, finding := range grave[1:] {
		mark(t, w, finding, "FP")
	}
	file := w.file(t)
	command(t, "move", "--config", file, target).expect(t, exitFailed, "another scanhook serves")
	stops(t, first)
	markOffline(t, w, grave[0])
	moved := time.Now()
	command(t, "move", "--config", file, target).expect(t, 0, "are equal")

	w.yaml = strings.Replace(w.yaml, w.config.Database.URL.Reveal(), target, 1)
	process(t, w)
	if green := stateAfter(t, w, sample.Head, moved, "success"); !strings.Contains(green.Description, "4 dismissed") {
		t.Errorf("the status that waited: %q", green.Description)
	}
	if answer, err := browser.Get(w.scanhook + "/audit"); err != nil || answer.StatusCode != http.StatusOK || answer.Request.URL.Path != "/audit" {
		t.Errorf("who was logged in gets %+v, %v", answer, err)
	}
	again := likeHead(t, sample)
	pushTo(t, w, "topic", sample.Before, again)
	if status := finalOf(t, w, again); status.State != "success" || !strings.Contains(status.Description, "4 dismissed") {
		t.Errorf("the next push: %s %q", status.State, status.Description)
	}
	if refused := w.platform.Refused(); len(refused) > 0 {
		t.Errorf("the platform refused %+v", refused)
	}
}

// markOffline gives feedback to a Scanhook whose loops do not run, so that the status waits.
func markOffline(t *testing.T, w *sandbox, finding int64) {
	t.Helper()
	app, err := newApp(t.Context(), w.config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app.handler)
	served := w.scanhook
	w.scanhook = server.URL
	mark(t, w, finding, "FP")
	w.scanhook = served
	server.Close()
	if err := app.close(); err != nil {
		t.Fatal(err)
	}
}

// loggedIn is a browser that has logged in with the API token.
func loggedIn(t *testing.T, w *sandbox) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	answer, err := browser.PostForm(w.scanhook+"/login", url.Values{"token": {w.apiToken}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("logging in: %s", answer.Status)
	}
	return browser
}

// likeHead is a commit of a branch of its own that adds what the sample's head adds.
func likeHead(t *testing.T, sample gitrepo.Checkout) string {
	t.Helper()
	forgetest.Git(t, sample.Dir, "checkout", "--quiet", "-b", "topic", sample.Before)
	forgetest.Git(t, sample.Dir, "checkout", "--quiet", sample.Head, "--", ".")
	forgetest.Git(t, sample.Dir, "commit", "--quiet", "-m", "The same once more")
	return forgetest.Git(t, sample.Dir, "rev-parse", "HEAD")
}
