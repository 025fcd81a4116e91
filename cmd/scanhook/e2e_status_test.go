package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/internal/statuses"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// atRest waits until all that is wanted for a commit is posted and settled, and returns it.
func atRest(t *testing.T, db *store.Store, sha string) core.Status {
	t.Helper()
	return eventually(t, "the status of "+sha+" to be posted", func() (core.Status, bool) {
		facts, err := db.ExplainCommit(t.Context(), sha)
		if err != nil || len(facts) == 0 || len(facts[0].Statuses) == 0 {
			return core.Status{}, false
		}
		status := facts[0].Statuses[0]
		return status, status.State != core.StatusPending && status.PostedRevision == status.Revision
	})
}

// scansEnd waits until so many scans are completed.
func scansEnd(t *testing.T, db *store.Store, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d scans to end", want), func() (any, bool) {
		scans, err := db.ListScans(t.Context(), store.ScanFilter{Status: core.ScanCompleted, Limit: 9})
		return nil, err == nil && len(scans) == want
	})
}

// While a token is broken, its project is flagged and hardly called; after the mend everything wanted is posted, the
// latest wish of each commit only.
func TestTokenIsBrokenAndMended(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				t.Parallel()
				w, sample := setup(t, sandboxConfig{kind: kind})
				w.platform.RefuseStatuses(code)
				startSandbox(t, w)
				db := w.look(t)
				pushTo(t, w, "main", "", sample.Before)
				trouble := eventually(t, "the project to be flagged", func() (core.Hold, bool) {
					list, err := db.ListHolds(t.Context(), kind, "acme/shop")
					return append(list, core.Hold{})[0], err == nil && len(list) == 1
				})
				if trouble.Code != code || !strings.Contains(trouble.Reason, "token") {
					t.Errorf("trouble = %+v", trouble)
				}
				scansEnd(t, db, 1) // the second push would supersede it
				pushTo(t, w, "main", sample.Before, sample.Head)
				scansEnd(t, db, 2)
				eventually(t, "the next probe to be far away", func() (any, bool) { // it would find the mend before the check
					list, err := db.ListHolds(t.Context(), kind, "acme/shop")
					return nil, err == nil && len(list) == 1 && time.Until(list[0].NextProbeAt) > 20*time.Second
				})
				calls := len(w.platform.Calls())
				w.platform.RefuseStatuses(0)
				checked := w.checked(t, 1)
				if !strings.Contains(checked, "fail  statuses of "+kind+"/acme/shop") {
					t.Errorf("scanhook check says:\n%s", checked)
				}
				w.allPosted(t, db, calls, sample.Before, sample.Head)
			})
		}
	}
}

// A link or text that a platform refuses keeps no state from arriving, and what was left out is told.
func TestStateArrivesWithoutWhatIsRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind, extra: `
scanners: {lint: {command: ["no-such-program-\U0001F525", "{source}"]}}
repositories: [{match: "**", scanners: [lint], context: "scan \U0001F512"}]`})
			w.platform.BlockLinks()
			startSandbox(t, w)
			pushTo(t, w, "main", "", sample.Head)
			status := finalOf(t, w, sample.Head)
			if status.Context != "scan ?" || !strings.HasPrefix(status.Description, "Scan failed: lint: ") || status.TargetURL != "" ||
				core.OnlyBMP(status.Description) != status.Description {
				t.Errorf("status = %+v, want an error without a link and without wide characters", status)
			}
			kept := atRest(t, w.look(t), sample.Head)
			if !strings.HasPrefix(kept.LeftOut, "link left out: ") || !strings.Contains(kept.LeftOut, "target_url") {
				t.Errorf("the row tells of what was left out: %q", kept.LeftOut)
			}
			var out, errs bytes.Buffer
			args := []string{"explain", sample.Head, "--config", w.file(t)}
			if code := run(t.Context(), args, &out, &errs); code != 0 || !strings.Contains(out.String(), "link left out: ") {
				t.Errorf("exit %d, %s: explain says\n%s", code, errs.String(), out.String())
			}
		})
	}
}

// People are not told to give permissions that they gave: the platform's own reason stands wherever they look.
func TestPlatformsReasonIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  func(base string) fakeforge.Fault
		reason string
	}{
		"single sign-on": {
			func(base string) fakeforge.Fault { return fakegithub.SingleSignOn(base, "acme") },
			"Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this " +
				"organization.\": authorise the token for single sign-on to the organisation, in the list of your tokens or at http://",
		},
		"allow list": {
			func(string) fakeforge.Fault { return fakegithub.AddressNotAllowed("acme") },
			"your IP address is not permitted to access this resource.\": add the address of this server to the list",
		},
		"archived": {
			func(string) fakeforge.Fault { return fakegithub.Archived() },
			"github answered 403, \"Repository was archived so is read-only.\": the project is archived",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: "github"})
			w.platform.RefuseStatusesWith(test.fault(w.platform.Base()))
			startSandbox(t, w)
			db := w.look(t)
			pushTo(t, w, "main", "", sample.Head)
			trouble := eventually(t, "the project to be flagged", func() (core.Hold, bool) {
				list, err := db.ListHolds(t.Context(), "github", "acme/shop")
				return append(list, core.Hold{})[0], err == nil && len(list) == 1
			})
			if !strings.Contains(trouble.Reason, test.reason) || strings.Contains(trouble.Reason, "authorization_request") ||
				strings.Contains(trouble.Reason, "permission \"Commit statuses") {
				t.Errorf("the reason is %s, want %s", trouble.Reason, test.reason)
			}
			said, _, _ := strings.Cut(test.reason, "\": ")
			if checked := w.checked(t, 1); !strings.Contains(checked, said) {
				t.Errorf("scanhook check says:\n%s", checked)
			}
			var out, errs bytes.Buffer
			args := []string{"explain", sample.Head, "--config", w.file(t)}
			if code := run(t.Context(), args, &out, &errs); code != 0 || !strings.Contains(out.String(), said) {
				t.Errorf("exit %d, %s: explain says\n%s", code, errs.String(), out.String())
			}
		})
	}
}

// checked runs scanhook check.
func (w *sandbox) checked(t *testing.T, want int) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"check", "--config", w.file(t)}, &out, &errs); code != want {
		t.Errorf("scanhook check: exit %d, want %d: %s", code, want, errs.String())
	}
	return out.String()
}

// allPosted checks what follows a mend: each commit once, with its final state, and the flag gone.
func (w *sandbox) allPosted(t *testing.T, db *store.Store, callsBefore int, commits ...string) {
	t.Helper()
	for _, sha := range commits {
		atRest(t, db, sha)
		if statuses := w.platform.Statuses("acme/shop", sha); len(statuses) != 1 || statuses[0].Description == "" {
			t.Errorf("%s was posted as %+v, want its last state only", sha, statuses)
		}
	}
	if list, err := db.ListHolds(t.Context(), "", ""); err != nil || len(list) != 0 {
		t.Errorf("after the mend: %+v, %v", list, err)
	}
	if callsBefore > 8 {
		t.Errorf("%d calls while the token was broken", callsBefore)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"explain", commits[0], "--config", w.file(t)}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	refused, shown := strings.Index(out.String(), "answered 40"), strings.Index(out.String(), "answered 201")
	if refused < 0 || shown < refused {
		t.Errorf("want the refusal and then the success in:\n%s", out.String())
	}
}

// A stranger's status in the place of ours is put right each time. From the second time on, people are told.
func TestForeignStatusIsPutRightEachTime(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	w.platform.AddHook(fakeforge.Hook{
		Project: "acme/shop", URL: w.hookURL(), Secret: w.secrets["SECRET"], Events: []string{"status"},
	})
	startSandbox(t, w)
	db := w.look(t)
	pushTo(t, w, "main", "", sample.Before)
	finalOf(t, w, sample.Before)
	atRest(t, db, sample.Before)
	ours := len(w.platform.Statuses("acme/shop", sample.Before)) // a scan that ends soon never shows as pending
	stranger := fakeforge.Status{
		Project: "acme/shop", SHA: sample.Before, Context: "ScanHook", State: "success", Description: "all is well", Creator: "ci-bot",
	}
	overwrite := func() {
		if err := w.platform.Overwrite(stranger); err != nil {
			t.Fatal(err)
		}
	}
	seen := func(what string) []core.StatusPost {
		return eventually(t, what, func() ([]core.StatusPost, bool) {
			facts, err := db.ExplainCommit(t.Context(), sample.Before)
			if err != nil {
				t.Fatal(err)
			}
			return facts[0].Posts, slices.ContainsFunc(facts[0].Posts, func(p core.StatusPost) bool {
				return strings.Contains(p.Answer, what)
			})
		})
	}
	for n, what := range []string{"ours is posted again", "ours is posted again after a pause of 10s"} {
		overwrite()
		seen(what)
		eventually(t, "ours to be shown again", func() (any, bool) {
			latest, _ := w.platform.Latest("acme/shop", sample.Before, "scanhook")
			return nil, len(w.platform.Statuses("acme/shop", sample.Before)) == ours+2*(n+1) && latest.Description == "1 new (1 high)"
		})
		atRest(t, db, sample.Before)
	}
	page := shownPage(t, w, "/scans/"+scansOf(t, w, sample.Before)[0].Ref)
	if !strings.Contains(page, "after another program had replaced it 2 times") {
		t.Error("the page does not tell of it")
	}
	if told := `scanhook_statuses_contested_total{platform="github"} 1`; !slices.Contains(scrape(t, w), told) {
		t.Errorf("the metrics do not have %s", told)
	}
}

// GitLab announces no statuses: a look at what it shows finds a stranger's. The replica that looks lives two minutes
// ahead.
func TestForeignStatusIsFoundByAsking(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind})
			startSandbox(t, w)
			pushTo(t, w, "main", "", sample.Before)
			ours := finalOf(t, w, sample.Before)
			atRest(t, w.look(t), sample.Before)
			posted := len(w.platform.Statuses("acme/shop", sample.Before))
			stranger := ours
			stranger.State, stranger.Description, stranger.Creator = "success", "all is well", "ci-bot"
			if err := w.platform.Overwrite(stranger); err != nil {
				t.Fatal(err)
			}
			ahead := func() time.Time { return time.Now().Add(2 * time.Minute) }
			db := storetest.OpenAt(t, w.config.Database.URL.Reveal(), store.Config{Now: ahead})
			set, err := platformsOf(w.config, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { statuses.New(statuses.Config{Store: db, Platforms: set, Now: ahead, Log: w.log}).Run(ctx) })
			t.Cleanup(func() { stop(); running.Wait() })
			eventually(t, "ours to be shown again", func() (any, bool) {
				latest, _ := w.platform.Latest("acme/shop", sample.Before, "scanhook")
				return nil, len(w.platform.Statuses("acme/shop", sample.Before)) == posted+2 && latest.Description == ours.Description
			})
			if refused := w.platform.Refused(); len(refused) > 0 {
				t.Errorf("the platform refused %+v", refused)
			}
		})
	}
}
