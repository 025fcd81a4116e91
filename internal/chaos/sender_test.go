package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/poll"
)

const (
	hookTimeout = 10 * time.Second // the platforms' own: they hang up then
	firstRetry  = 200 * time.Millisecond
	lastRetry   = 3 * time.Second
	skipTime    = 2 * time.Second
	mostPushes  = 1000 // that are not acknowledged yet: further ones wait
)

// ack is a delivery or an upload that was answered 2xx.
type ack struct {
	push      *push
	key       string // of the delivery, empty for an upload
	pipeline  int64  // of a pipeline's event
	reference string // of the scan
	took      time.Duration
}

// sender makes the calls of the platforms' webhooks, of an operator who repeats failed ones, and of scanners that upload.
type sender struct {
	*cluster
	client  *http.Client
	running sync.WaitGroup
	slots   chan struct{} // mostPushes
	sent    atomic.Int64  // pushes that were announced for the first time, or would have been
	retries atomic.Int64
	lost    atomic.Int64
	doubles atomic.Int64

	mu      sync.Mutex
	skipped map[string]time.Time // until when a replica that did not answer gets no calls, as with a load balancer
	acks    []ack
	uploads []ack
	strange map[string]int // unexpected answers
}

func newSender(c *cluster) *sender {
	transport := &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 30 * time.Second}
	return &sender{
		cluster: c, client: &http.Client{Transport: transport, Timeout: hookTimeout}, strange: map[string]int{}, skipped: map[string]time.Time{},
		slots: make(chan struct{}, mostPushes),
	}
}

// run announces the pushes evenly over the given time. It returns when all of them, their pipelines and their reports are
// acknowledged, or ctx ends.
func (s *sender) run(ctx context.Context, pushes []*push, duration time.Duration) error {
	began := time.Now()
	for i, p := range pushes {
		due := began.Add(duration * time.Duration(i) / time.Duration(len(pushes)))
		if !poll.Sleep(ctx, time.Until(due)) {
			return fmt.Errorf("the time was over after %d of %d pushes", i, len(pushes))
		}
		s.slots <- struct{}{} // a push gives its slot back when ctx ends, too
		if err := s.start(ctx, p); err != nil {
			return err
		}
		s.sent.Add(1)
	}
	s.running.Wait()
	return context.Cause(ctx)
}

// start makes a push on its platform, which then announces it.
func (s *sender) start(ctx context.Context, p *push) error {
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
		defer func() { <-s.slots }()
		s.announce(ctx, p, delivery)
	})
	if p.double {
		s.doubles.Add(1)
		s.running.Go(func() {
			_ = poll.Sleep(ctx, rand.N(200*time.Millisecond)/2*time.Duration(rand.IntN(2)))
			s.deliver(ctx, p, delivery, 0)
		})
	}
	return nil
}

// announce delivers the hook of a push, at once or when an operator sends it again, and then the scanner's report.
func (s *sender) announce(ctx context.Context, p *push, d fakeforge.Delivery) {
	if p.lost {
		s.lost.Add(1)
		_ = poll.Sleep(ctx, time.Second+rand.N(4*time.Second))
	}
	reference, ok := s.deliver(ctx, p, d, 0)
	if p.built {
		s.tellPipeline(ctx, p)
	}
	if ok && p.uploaded && !p.early {
		_ = poll.Sleep(ctx, rand.N(2*time.Second))
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
	answer, took, ok := s.retry(ctx, http.MethodPost, "/webhooks/"+p.platform, d.Header, d.Body)
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
	answer, took, ok := s.retry(ctx, http.MethodPut, path, header, p.report())
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

// retry sends a request to one replica after the other until one answers 2xx, with growing pauses. Only 503 and a
// connection that breaks are reasons to try again; another answer is noted, and ends it.
func (s *sender) retry(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, time.Duration, bool) {
	for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
		began := time.Now()
		status, answer, err := s.once(ctx, method, path, header, body)
		switch {
		case err == nil && status/100 == 2:
			return answer, time.Since(began), true
		case err == nil && status != http.StatusServiceUnavailable:
			s.note(fmt.Sprintf("%s %.30s was answered %d: %.300s", method, path, status, answer))
			return nil, 0, false
		}
		s.retries.Add(1)
		_ = poll.Sleep(ctx, pause/2+rand.N(pause))
	}
	return nil, 0, false
}

func (s *sender) once(ctx context.Context, method, path string, header http.Header, body []byte) (int, []byte, error) {
	address := s.choose()
	request, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = header.Clone()
	response, err := s.client.Do(request)
	if err != nil {
		s.skip(address)
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// choose names a replica that answered lately, or any where none did.
func (s *sender) choose() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := rand.IntN(len(s.replicas))
	for i := range s.replicas {
		address := s.replicas[(first+i)%len(s.replicas)].address
		if time.Now().After(s.skipped[address]) {
			return address
		}
	}
	return s.replicas[first].address
}

func (s *sender) skip(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped[address] = time.Now().Add(skipTime)
}

func (s *sender) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strange[what]++
}
