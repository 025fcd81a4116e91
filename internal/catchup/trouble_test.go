package catchup

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestRefusalIsToldOnceAndBacksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Engines[0])
	b.announce(t, 1)
	b.git.answer(http.StatusUnauthorized)
	for range 24 * 60 {
		b.pass(t, time.Minute)
	}
	if got := strings.Count(b.log.String(), "level=WARN"); got != 1 || !strings.Contains(b.log.String(), "answers 401") {
		t.Errorf("%d warnings, want one with the status:\n%s", got, b.log.String())
	}
	if b.git.asked > 6 {
		t.Errorf("asked %d times in a day, want ever less often", b.git.asked)
	}
	if strings.Contains(b.log.String(), "c2VjcmV0") {
		t.Error("the credential stands in the log")
	}
	b.git.answer(0)
	b.git.push(shop, branch("main", 2))
	b.pass(t, 24*time.Hour)
	wantScans(t, b, "main:1<0 push", "main:2<1 recover")
	if !strings.Contains(b.log.String(), "can be read again") {
		t.Errorf("log:\n%s", b.log.String())
	}
}

func TestRateLimitSilencesThePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Engines[0])
	for _, project := range []string{"acme/a", "acme/b", "acme/c"} {
		b.announce(t, 1, func(d *core.Delivery, p *core.Push) {
			d.Key, d.Project, p.Project.Name, p.Project.Ref = project, project, project, project
		})
	}
	b.git.answer(http.StatusTooManyRequests, "Retry-After", "600")
	for range 9 {
		b.pass(t, time.Minute)
	}
	if b.git.asked != 1 {
		t.Errorf("asked %d times, want once: the platform wants to be left alone for ten minutes", b.git.asked)
	}
}

// Many heads: what is beyond the bound is opened by the next look.
func TestLookOpensABoundedNumber(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Engines[0])
	const most = 20
	b.most = most
	b.announce(t, 1)
	b.git.push(shop, branch("main", 1))
	b.pass(t, time.Second)
	var many []core.Head
	for n := range most + 7 {
		many = append(many, core.Head{Ref: "refs/heads/" + storetest.SHA(n), SHA: storetest.SHA(n + 2000)})
	}
	b.git.mu.Lock()
	b.git.refs[shop] = append(b.git.refs[shop], many...)
	b.git.mu.Unlock()
	count := func() int {
		list, err := b.store.ListScans(t.Context(), store.ScanFilter{Limit: 5000})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	b.pass(t, 2*time.Hour)
	if got := count(); got != 1+most || !strings.Contains(b.log.String(), "left_for_the_next_look=7") {
		t.Errorf("%d scans, want %d; log:\n%s", got, 1+most, b.log.String())
	}
	b.pass(t, 2*time.Minute)
	if got := count(); got != 1+most+7 {
		t.Errorf("%d scans, want %d", got, 1+most+7)
	}
}
