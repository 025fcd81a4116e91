package epss

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// publisher serves both lists. Tests change what it serves between two looks.
type publisher struct {
	mu            sync.Mutex
	scores, kev   string
	status        int // of the scores; 0: 200
	asked, unread int // requests for the scores, and how many of them were answered "not modified"
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == "/kev" {
		_, _ = fmt.Fprint(w, p.kev)
		return
	}
	p.asked++
	etag := fmt.Sprintf("%q", fmt.Sprint(len(p.scores)))
	w.Header().Set("ETag", etag)
	switch {
	case r.Header.Get("If-None-Match") == etag:
		p.unread++
		w.WriteHeader(http.StatusNotModified)
	case p.status != 0:
		w.WriteHeader(p.status)
	default:
		_, _ = fmt.Fprint(w, p.scores)
	}
}

// fixture is an importer with its store, its clock and what it fetches from.
type fixture struct {
	*Importer
	publisher *publisher
	now       time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{publisher: &publisher{}, now: time.Date(2026, 8, 16, 13, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	policy := storetest.Policy
	policy.Gate.EPSS, policy.Gate.KEV = 0.1, true
	server := httptest.NewServer(w.publisher)
	t.Cleanup(server.Close)
	w.Importer = New(Config{
		Store: storetest.Open(t, store.Config{Now: clock, Policies: core.Policies{{Match: "**", Policy: policy}}}),
		URLs:  map[core.FeedKind]string{core.FeedEPSS: server.URL + "/epss", core.FeedKEV: server.URL + "/kev"},
		Every: 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Now: clock,
	})
	return w
}

// scoresOf is a day's CSV with one score.
func scoresOf(day int, probability float64) string {
	return fmt.Sprintf("#model_version:v4,score_date:2026-08-%dT12:55:00Z\ncve,epss,percentile\nCVE-2024-3094,%g,0.5\n",
		day, probability)
}

func (w *fixture) look(t *testing.T) {
	t.Helper()
	if worked, err := w.once(t.Context()); err != nil || worked {
		t.Fatalf("once = %v, %v", worked, err)
	}
}

func (w *fixture) expect(t *testing.T, probability float64, kev bool) {
	t.Helper()
	got, err := w.Store.GetScore(t.Context(), "CVE-2024-3094")
	if err != nil || got.Probability != probability || got.KEV != kev {
		t.Errorf("score = %+v, %v, want %v and %v", got, err, probability, kev)
	}
}

func TestScheduleFetchesWhatIsDue(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.publisher.scores, w.publisher.kev = scoresOf(16, 0.5), `{"vulnerabilities":[{"cveID":"CVE-2024-3094"}]}`
	w.look(t)
	w.expect(t, 0.5, true)
	w.now = w.now.Add(23 * time.Hour)
	w.look(t)
	if w.publisher.asked != 1 {
		t.Errorf("asked %d times within a day, want once", w.publisher.asked)
	}
	w.now = w.now.Add(time.Hour)
	w.look(t)
	w.look(t)
	if w.publisher.asked != 2 || w.publisher.unread != 1 {
		t.Errorf("asked %d times, %d of them in vain, want 2 and 1", w.publisher.asked, w.publisher.unread)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.publisher.scores = scoresOf(18, 0.25)
	w.look(t)
	w.expect(t, 0.25, true)
	w.now = w.now.Add(24 * time.Hour)
	w.publisher.scores = scoresOf(17, 0.125) // a mirror that lags behind
	w.look(t)
	w.look(t)
	w.expect(t, 0.25, true)
	if w.publisher.asked != 4 {
		t.Errorf("asked %d times, want 4: an older edition is looked at once a day", w.publisher.asked)
	}
}

func TestScheduleSurvivesItsSources(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.publisher.kev = `[{"cveID":"CVE-2024-3094"}]`
	for want, served := range map[string]struct {
		status int
		scores string
	}{
		"the server answers 502":    {http.StatusBadGateway, ""},
		"line 1: the header":        {0, "<html>"},
		"line 1: no score":          {0, ""},
		"line 3: epss \"2\" is not": {0, scoresOf(16, 2)},
		"where one of epss":         {0, w.publisher.kev},
	} {
		w.publisher.status, w.publisher.scores = served.status, served.scores
		if _, err := w.once(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("once: %v, want %q", err, want)
		}
		w.expect(t, 0, true) // the other list is not held up
	}
	w.publisher.status, w.publisher.scores = 0, scoresOf(16, 0.5)
	w.look(t)
	w.expect(t, 0.5, true)
}

func TestScheduleIsOffWithoutAddresses(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.URLs = nil
	w.look(t)
	_, err := w.Store.LatestFeed(t.Context(), core.FeedEPSS)
	if !errors.Is(err, core.ErrNotFound) || w.publisher.asked > 0 {
		t.Errorf("asked %d times, latest import %v", w.publisher.asked, err)
	}
}

// What an import left behind because it was interrupted is done at the next look, whoever imported.
func TestScheduleFinishesInterruptedImports(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.URLs = nil
	d, p := storetest.PushOf(1)
	receipt, err := w.Store.Accept(t.Context(), storetest.With(d, p))
	if err != nil {
		t.Fatal(err)
	}
	report := core.Report{Findings: []core.Finding{{
		Tool: "trivy", RuleID: "xz", File: "go.mod", Severity: core.Medium, CVEID: "CVE-2024-3094",
	}}}
	if _, err := w.Store.PutReport(t.Context(), receipt.Reference, "gitleaks", report); err != nil {
		t.Fatal(err)
	}
	feed := core.Feed{Kind: core.FeedKEV, Source: "kev.json", Scores: []core.Score{{CVEID: "CVE-2024-3094"}}}
	if _, err := w.Store.PutFeed(t.Context(), feed, store.FeedOptions{}); err != nil {
		t.Fatal(err)
	}
	w.look(t)
	scan, err := w.Store.GetScan(t.Context(), receipt.Reference)
	const want = "1 new (1 medium), CVE-2024-3094 now in KEV"
	if err != nil || *scan.Verdict != core.Fail || scan.Summary != want {
		t.Errorf("scan = %+v, %v, want %q", scan, err, want)
	}
}

func TestImportSaysWhatItDid(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	importing := func(text string) (Result, error) {
		return w.Import(t.Context(), "a.csv", strings.NewReader(text), store.FeedOptions{})
	}
	got, err := importing(scoresOf(16, 0.5))
	if err != nil || got.Rows != 1 || got.Change != (core.FeedChange{Added: 1}) || got.Feed.Source != "a.csv" {
		t.Errorf("import = %+v, %v", got, err)
	}
	w.publisher.scores = scoresOf(15, 0.1)
	if _, err := w.ImportURL(t.Context(), w.URLs[core.FeedEPSS], store.FeedOptions{}); !errors.Is(err, core.ErrConflict) {
		t.Errorf("an older edition: %v, want ErrConflict", err)
	}
	got, err = w.ImportURL(t.Context(), w.URLs[core.FeedEPSS], store.FeedOptions{Force: true})
	if want := (core.FeedChange{Changed: 1}); err != nil || got.Change != want {
		t.Errorf("forced import = %+v, %v", got, err)
	}
	if _, err := importing("x"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("no list: %v, want ErrInvalid", err)
	}
}

func TestRunWarnsOfGatesThatAskInVain(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	var log bytes.Buffer
	w.Log, w.Asked = slog.New(slog.NewTextHandler(&log, nil)), []core.FeedKind{core.FeedEPSS, core.FeedKEV}
	w.URLs = map[core.FeedKind]string{core.FeedKEV: w.URLs[core.FeedKEV]}
	w.warnOfMissing(t.Context())
	if got := log.String(); strings.Count(got, "never imported") != 1 || !strings.Contains(got, "list=epss") {
		t.Errorf("log = %s, want one line about epss", got)
	}
}

func TestRedirectsStayOnTLS(t *testing.T) {
	t.Parallel()
	asked := httptest.NewRequest(http.MethodGet, "https://a.example/x", nil)
	plain := httptest.NewRequest(http.MethodGet, "http://a.example/x", nil)
	for name, c := range map[string]struct {
		next   *http.Request
		before []*http.Request
		fine   bool
	}{
		"to TLS":             {asked, []*http.Request{asked}, true},
		"from plain":         {asked, []*http.Request{plain}, true},
		"to plain":           {plain, []*http.Request{asked}, false},
		"to plain, later":    {plain, []*http.Request{asked, asked}, false},
		"round and round":    {plain, []*http.Request{plain, plain, plain, plain, plain}, false},
		"plain all the time": {plain, []*http.Request{plain}, true},
	} {
		if err := checkRedirect(c.next, c.before); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}
