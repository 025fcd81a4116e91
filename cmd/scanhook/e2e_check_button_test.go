package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
)

// presser presses buttons of check runs as GitHub tells of it.
type presser struct {
	*sandbox
	t    *testing.T
	run  fakegithub.CheckRun // of the head
	old  fakegithub.CheckRun // of the commit before
	shop int64
}

// object is one of a payload.
type object = map[string]any

// payload is that of a button of the newest check run, or of "Re-run".
func (p *presser) payload(button string) object {
	return fakegithub.Pressed(p.run, "acme/shop", p.shop, button, fakeforge.Pusher)
}

// of is an object in a payload.
func of(p object, path ...string) object {
	for _, name := range path {
		p, _ = p[name].(object)
	}
	return p
}

func (p *presser) seal(event string, what object) fakeforge.Delivery {
	p.t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		p.t.Fatal(err)
	}
	delivery, err := p.platform.Seal(event, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return delivery
}

func (p *presser) send(d fakeforge.Delivery) fakeforge.Delivery {
	p.t.Helper()
	d, err := p.platform.Send(p.t.Context(), p.hookURL(), d)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// press sends that somebody pressed a button, with a change of the payload.
func (p *presser) press(button string, change func(object)) fakeforge.Delivery {
	p.t.Helper()
	what := p.payload(button)
	change(what)
	return p.send(p.seal("check_run", what))
}

// refused waits until the audit has so many refusals.
func (p *presser) refused(want int) {
	p.t.Helper()
	eventually(p.t, "refusals in the audit", func() (n int, ok bool) {
		var list struct{ Items []struct{ Action string } }
		ask(p.t, p.sandbox, http.MethodGet, "/api/v1/audit?limit=100", "", &list)
		for _, event := range list.Items {
			if event.Action == "button refused" {
				n++
			}
		}
		if n > want {
			p.t.Fatalf("%d refusals, want %d", n, want)
		}
		return n, n == want
	})
}

// unchanged expects that the head is red after its only scan.
func (p *presser) unchanged(when string) {
	p.t.Helper()
	now := checkRunOf(p.t, p.sandbox, p.run.HeadSHA, isCompleted)
	if scans := scansOf(p.t, p.sandbox, p.run.HeadSHA); now.ID != p.run.ID || *now.Conclusion != "failure" || len(scans) != 1 {
		p.t.Errorf("%s: %+v, %d scans", when, now, len(scans))
	}
}

func isCompleted(run fakegithub.CheckRun) bool { return run.Status == "completed" }

// pressing shows check runs on two commits: one finding is new on the newer one.
func pressing(t *testing.T) *presser {
	t.Helper()
	w, sample := appSandbox(t)
	startSandbox(t, w)
	p := &presser{sandbox: w, t: t, shop: shopID(t, w)}
	w.platform.AddRepository(fakeforge.Repository{Project: "acme/other", ID: 43, Dir: sample.Dir, DefaultBranch: "main"})
	pushTo(t, w, "main", "", sample.Before)
	uploadTo(t, w, sample.Before).expect(t, 0, "completed, pass")
	p.old = checkRunOf(t, w, sample.Before, isCompleted)
	pushTo(t, w, "main", sample.Before, sample.Head)
	uploadTo(t, w, sample.Head, "a").expect(t, 0, "completed, fail: 1 new (1 high)")
	p.run = checkRunOf(t, w, sample.Head, isCompleted)
	if len(p.run.Actions) != 3 || p.run.Actions[1].Label != "False positive" || len(p.old.Actions) != 1 {
		t.Fatalf("the buttons are %+v and %+v", p.run.Actions, p.old.Actions)
	}
	return p
}

// What is not signed as it must be is refused at the door.
func TestForgedButtonsAreRefused(t *testing.T) {
	t.Parallel()
	p := pressing(t)
	button := p.run.Actions[1].Identifier
	for name, change := range map[string]func(*fakeforge.Delivery){
		"no signature":        func(d *fakeforge.Delivery) { d.Header.Del("X-Hub-Signature"); d.Header.Del("X-Hub-Signature-256") },
		"the old signature":   func(d *fakeforge.Delivery) { d.Header.Del("X-Hub-Signature-256") },
		"a wrong signature":   func(d *fakeforge.Delivery) { d.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)) },
		"another's name":      func(d *fakeforge.Delivery) { d.Body = bytes.Replace(d.Body, []byte("mira"), []byte("root"), 1) },
		"another button":      func(d *fakeforge.Delivery) { d.Body = bytes.Replace(d.Body, []byte("fp."), []byte("fp.1"), 1) },
		"another's check run": func(d *fakeforge.Delivery) { d.Body = bytes.Replace(d.Body, []byte(`"id"`), []byte(`"ID"`), 1) },
	} {
		d := p.seal("check_run", p.payload(button))
		change(&d)
		if d = p.send(d); d.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, d.Status, d.Answer)
		}
	}
	for name, change := range map[string]func(object){ // which are about nothing of ours
		"another App":        func(c object) { of(c, "check_run", "app")["id"] = 5 },
		"an unknown project": func(c object) { of(c, "repository")["full_name"], of(c, "repository")["id"] = "evil/shop", 66 },
		"an unknown action":  func(c object) { c["action"] = "dismissed" },
		"no commit":          func(c object) { of(c, "check_run")["head_sha"] = "main" },
		"a program":          func(c object) { of(c, "sender")["login"] = "renovate[bot]" },
	} {
		if d := p.press(button, change); d.Status/100 != 2 {
			t.Errorf("%s: %d %s", name, d.Status, d.Answer)
		}
	}
	refused := map[string]func(object){
		"no such check run":   func(c object) { of(c, "check_run")["id"] = p.run.ID + 1000 },
		"another's check run": func(c object) { of(c, "check_run")["id"] = p.old.ID },
		"another project":     func(c object) { of(c, "repository")["full_name"], of(c, "repository")["id"] = "acme/other", 43 },
		"an old head":         func(c object) { of(c, "check_run")["id"], of(c, "check_run")["head_sha"] = p.old.ID, p.old.HeadSHA },
		"an unknown commit":   func(c object) { of(c, "check_run")["head_sha"] = strings.Repeat("e", 40) },
		"an unknown button":   func(c object) { of(c, "requested_action")["identifier"] = "override.0.1" },
		"an older button":     func(c object) { of(c, "requested_action")["identifier"] = button[:len(button)-1] + "0" },
		"another finding":     func(c object) { of(c, "requested_action")["identifier"] = strings.Replace(button, "fp.", "fp.zz", 1) },
		"who may read only": func(c object) {
			of(c, "sender")["login"], of(c, "sender")["id"] = fakegithub.Guest.Login, fakegithub.Guest.ID
		},
		"nobody":                      func(c object) { of(c, "sender")["login"] = "nobody" },
		"a login that was taken over": func(c object) { of(c, "sender")["id"] = 9 },
	}
	for _, change := range refused {
		p.press(button, change)
	}
	p.send(p.seal("check_run", fakegithub.Pressed(p.old, "acme/shop", p.shop, "", fakeforge.Pusher)))
	p.send(p.seal("check_suite", object{
		"action": "rerequested", "check_suite": object{"id": 1, "head_sha": p.run.HeadSHA, "app": object{"id": 4}},
		"repository": object{"id": p.shop, "full_name": "acme/shop"}, "sender": object{"id": 777, "login": "guest"},
	}))
	p.refused(len(refused) + 2)
	p.unchanged("what was forged")
}

// A button does what it says, once, whoever sends the call again, and only while the check run shows it.
func TestButtonsOfACheckRun(t *testing.T) {
	t.Parallel()
	p := pressing(t)
	same := func(object) {}
	scan, button := p.run.Actions[0].Identifier, p.run.Actions[1].Identifier
	good := p.press(button, same)
	dismissed := checkRunOf(t, p.sandbox, p.run.HeadSHA, func(run fakegithub.CheckRun) bool { return *run.Conclusion == "success" })
	if dismissed.ID != p.run.ID || dismissed.Output.Title != "0 new, 1 dismissed" || len(dismissed.Actions) != 1 {
		t.Errorf("after the button: %+v", dismissed)
	}
	ask(t, p.sandbox, http.MethodDelete, "/api/v1/findings/1/feedback", "", nil)
	checkRunOf(t, p.sandbox, p.run.HeadSHA, func(run fakegithub.CheckRun) bool { return *run.Conclusion == "failure" })
	if again := p.send(good); !strings.Contains(string(again.Answer), "duplicate") {
		t.Errorf("sent once more: %s", again.Answer)
	}
	good.Header.Set("X-GitHub-Delivery", "7d0c1f9e-0000-4000-8000-000000000001")
	p.send(good)
	p.refused(1)
	p.unchanged("copies of a call")
	p.press("", same)
	eventually(t, "another scan", func() (int, bool) { n := len(scansOf(t, p.sandbox, p.run.HeadSHA)); return n, n == 2 })
	p.press(scan, same)
	p.refused(2)
	if n := len(scansOf(t, p.sandbox, p.run.HeadSHA)); n != 2 {
		t.Errorf("%d scans", n)
	}
}
