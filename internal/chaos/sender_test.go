package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

const (
	hookTimeout = 10 * time.Second // the platforms' own: they hang up then
	firstRetry  = 200 * time.Millisecond
	lastRetry   = 3 * time.Second
	leftOut     = 2 * time.Second
	mostPushes  = 1000 // whose delivery or report is not acknowledged yet: further ones happen later, and nothing piles up
)

// ack is a delivery or an upload that was answered 2xx.
type ack struct {
	push      *push
	key       string // of the delivery, empty for an upload
	pipeline  int64  // of a pipeline's event
	reference string // of the scan
	took      time.Duration
}

// sender plays the platforms' hooks, an operator who sends again what failed, and the scanners that upload.
type sender struct {
	*arena
	client  *http.Client
	running sync.WaitGroup
	room    chan struct{} // for mostPushes
	sent    atomic.Int64  // pushes that were announced for the first time, or would have been
	retries atomic.Int64
	lost    atomic.Int64
	doubles atomic.Int64

	mu      sync.Mutex
	down    map[string]time.Time // until when a replica that did not answer is left out, as a load balancer does
	acks    []ack
	uploads []ack
	strange map[string]int // answers that nobody should get
}

func newSender(a *arena) *sender {
	transport := &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 30 * time.Second}
	return &sender{
		arena: a, client: &http.Client{Transport: transport, Timeout: hookTimeout}, strange: map[string]int{}, down: map[string]time.Time{},
		room: make(chan struct{}, mostPushes),
	}
}

// run announces the pushes at an even pace, which takes the given time if nothing holds it up, and returns when all of them, their pipelines and their reports are
// acknowledged, or ctx ends.
func (s *sender) run(ctx context.Context, pushes []*push, duration time.Duration) error {
	began := time.Now()
	for i, p := range pushes {
		due := began.Add(duration * time.Duration(i) / time.Duration(len(pushes)))
		if !sleep(ctx, time.Until(due)) {
			return fmt.Errorf("the time was over after %d of %d pushes", i, len(pushes))
		}
		s.room <- struct{}{} // whoever has one gives it back when ctx ends
		if err := s.happen(ctx, p); err != nil {
			return err
		}
		s.sent.Add(1)
	}
	s.running.Wait()
	return context.Cause(ctx)
}

// happen lets a push happen on its platform, which then tells of it.
func (s *sender) happen(ctx context.Context, p *push) error {
	platform := s.platforms[p.platform]
	if err := platform.Declare(p.project, p.sha); err != nil {
		return err
	}
	if !p.noCI {
		if _, err := platform.AddPipeline(p.project, p.sha, p.branch, "build"); err != nil {
			return err
		}
	}
	delivery, err := platform.BuildPush(ctx, fakeforge.PushSpec{
		Project: p.project, Ref: "refs/heads/" + p.branch, Before: p.before, After: p.sha,
	})
	if err != nil {
		return err
	}
	if p.early {
		s.running.Go(func() { s.upload(ctx, p, "") })
	}
	s.running.Go(func() {
		defer func() { <-s.room }()
		s.announce(ctx, p, delivery)
	})
	if p.double {
		s.doubles.Add(1)
		s.running.Go(func() {
			_ = sleep(ctx, rand.N(200*time.Millisecond)/2*time.Duration(rand.IntN(2)))
			s.deliver(ctx, p, delivery, 0)
		})
	}
	return nil
}

// announce delivers the hook of a push, at once or when an operator sends it again, and then the scanner's report.
func (s *sender) announce(ctx context.Context, p *push, d fakeforge.Delivery) {
	if p.lost {
		s.lost.Add(1)
		_ = sleep(ctx, time.Second+rand.N(4*time.Second))
	}
	reference, ok := s.deliver(ctx, p, d, 0)
	if p.built {
		s.tellPipeline(ctx, p)
	}
	if ok && p.uploaded && !p.early {
		_ = sleep(ctx, rand.N(2*time.Second))
		s.upload(ctx, p, reference)
	}
}

// tellPipeline delivers that the pipeline of a push has ended. All take the same time: none is unlike the others.
func (s *sender) tellPipeline(ctx context.Context, p *push) {
	id := firstPipeline + int64(p.n)
	delivery, err := s.platforms[p.platform].BuildPipeline(ctx, fakeforge.PipelineSpec{
		Project: p.project, ID: id, Branch: p.branch, SHA: p.sha, CreatedAt: time.Now(), Duration: time.Minute,
	})
	if err != nil {
		s.note(fmt.Sprintf("the fake forge made no pipeline: %s", err))
		return
	}
	s.deliver(ctx, p, delivery, id)
}

// deliver sends a delivery to any replica until it is acknowledged.
func (s *sender) deliver(ctx context.Context, p *push, d fakeforge.Delivery, pipeline int64) (reference string, ok bool) {
	answer, took, ok := s.insist(ctx, http.MethodPost, "/webhooks/"+p.platform, d.Header, d.Body)
	var said struct{ Outcome, Scan string }
	if ok && json.Unmarshal(answer, &said) != nil {
		s.note("unreadable answer to a webhook")
	}
	if ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.acks = append(s.acks, ack{push: p, key: d.Key, pipeline: pipeline, reference: said.Scan, took: took})
	}
	return said.Scan, ok
}

// upload delivers the report of a scanner, for the scan where it is known and else for the commit.
func (s *sender) upload(ctx context.Context, p *push, reference string) {
	path := "/api/v1/scans/" + reference + "/results/" + uploadScanner
	if reference == "" || p.n%2 == 0 {
		query := url.Values{"platform": {p.platform}, "project": {p.project}, "commit": {p.sha}, "branch": {p.branch}}
		path = "/api/v1/results/" + uploadScanner + "?" + query.Encode()
	}
	header := http.Header{"Authorization": {"Bearer " + s.apiToken}, "Content-Type": {"application/json"}}
	answer, took, ok := s.insist(ctx, http.MethodPut, path, header, p.report())
	if !ok {
		return
	}
	var said struct{ Scan string }
	_ = json.Unmarshal(answer, &said)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads = append(s.uploads, ack{push: p, reference: said.Scan, took: took})
}

// report has some findings that are new with each commit, and grave ones among them.
func (p *push) report() []byte {
	findings := []string{}
	for i := range p.findings {
		severity := []string{"Low", "High", "Critical"}[i%3]
		findings = append(findings, fmt.Sprintf(
			`{"rule_id":"R%d","file":"a.go","line":%d,"severity":%q,"message":"finding %d of %s"}`, i, i+1, severity, i, p.sha))
	}
	return []byte(`{"tool":"lint","findings":[` + strings.Join(findings, ",") + `]}`)
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
