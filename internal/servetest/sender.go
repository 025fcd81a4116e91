//go:build linux

package servetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	push      *Push
	key       string // of the delivery, empty for an upload
	pipeline  int64  // of a pipeline's event
	reference string // of the scan
	took      time.Duration
}

// Sender makes the calls of the platforms' webhooks, of an operator who repeats failed ones, and of scanners that upload.
type Sender struct {
	*Cluster
	// Balanced calls only replicas that say that they are ready, as a load balancer does. No call may fail then but by its
	// connection, when a replica stops: a 503 is noted like other errors.
	Balanced bool

	client  *http.Client
	running sync.WaitGroup
	slots   chan struct{} // mostPushes
	sent    atomic.Int64  // pushes that were announced for the first time, or would have been
	retries atomic.Int64
	refused atomic.Int64 // calls that were answered 503
	without atomic.Int64 // webhooks without an answer, because the connection broke or it took too long
	lost    atomic.Int64
	doubles atomic.Int64

	mu      sync.Mutex
	skipped map[string]time.Time // until when a replica that did not answer gets no calls
	acks    []ack
	uploads []ack
	strange map[string]int // unexpected answers
}

// NewSender makes a sender to a cluster.
func NewSender(c *Cluster) *Sender {
	transport := &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 30 * time.Second}
	return &Sender{
		Cluster: c, client: &http.Client{Transport: transport, Timeout: hookTimeout}, slots: make(chan struct{}, mostPushes),
		strange: map[string]int{}, skipped: map[string]time.Time{},
	}
}

// Run announces the pushes evenly over the given time. It returns when all of them, their pipelines and their reports are
// acknowledged, or ctx ends.
func (s *Sender) Run(ctx context.Context, pushes []*Push, duration time.Duration) error {
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

// Sent is how many pushes were announced so far, or would have been.
func (s *Sender) Sent() int { return int(s.sent.Load()) }

// Refused is how many calls were answered 503 so far.
func (s *Sender) Refused() int { return int(s.refused.Load()) }

// Acknowledged is how many calls were answered 2xx so far.
func (s *Sender) Acknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks) + len(s.uploads)
}

// start makes a push on its platform, which then announces it.
func (s *Sender) start(ctx context.Context, p *Push) error {
	platform := s.Platforms[p.platform]
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
func (s *Sender) announce(ctx context.Context, p *Push, d fakeforge.Delivery) {
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
func (s *Sender) tellPipeline(ctx context.Context, p *Push) {
	id := firstPipeline + int64(p.n)
	delivery, err := s.Platforms[p.platform].BuildPipeline(ctx, fakeforge.PipelineSpec{
		Project: p.project, ID: id, Branch: p.branch, SHA: p.sha, CreatedAt: time.Now(), Duration: time.Minute,
	})
	if err != nil {
		s.note(fmt.Sprintf("the fake forge made no pipeline: %s", err))
		return
	}
	s.deliver(ctx, p, delivery, id)
}

// deliver sends a delivery to any replica until it is acknowledged.
func (s *Sender) deliver(ctx context.Context, p *Push, d fakeforge.Delivery, pipeline int64) (reference string, ok bool) {
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
func (s *Sender) upload(ctx context.Context, p *Push, reference string) {
	path := "/api/v1/scans/" + reference + "/results/" + uploadScanner
	if reference == "" || p.n%2 == 0 {
		project, _ := s.Platforms[p.platform].Repository(p.project)
		query := url.Values{
			"platform": {p.platform}, "project": {p.project}, "commit": {p.sha}, "branch": {p.branch},
			"project_id": {strconv.FormatInt(project.ID, 10)},
		}
		path = "/api/v1/results/" + uploadScanner + "?" + query.Encode()
	}
	header := http.Header{"Authorization": {"Bearer " + s.apiToken}, "Content-Type": {"application/json"}}
	if s.Balanced && reference != "" && !s.awaitDerived(ctx, reference, header) {
		return
	}
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

// awaitDerived waits until the scan that an answer promised is there. Until then a report for it may be answered 503, however
// fast the machine is.
func (s *Sender) awaitDerived(ctx context.Context, reference string, header http.Header) bool {
	for {
		answer, _, ok := s.retry(ctx, http.MethodGet, "/api/v1/scans/"+reference, header, nil)
		var said struct{ Statuses []struct{} }
		if !ok || json.Unmarshal(answer, &said) == nil && len(said.Statuses) > 0 {
			return ok
		}
		_ = poll.Sleep(ctx, firstRetry)
	}
}

// report has some findings that are new with each commit, and grave ones among them.
func (p *Push) report() []byte {
	findings := []string{}
	for i := range p.findings {
		severity := []string{"Low", "High", "Critical"}[i%3]
		findings = append(findings, fmt.Sprintf(
			`{"rule_id":"R%d","file":"a.go","line":%d,"severity":%q,"message":"finding %d of %s"}`, i, i+1, severity, i, p.sha))
	}
	return []byte(`{"tool":"lint","findings":[` + strings.Join(findings, ",") + `]}`)
}

// retry sends a request to one replica after the other until one answers 2xx, with growing pauses. A connection that breaks is
// a reason to try again, and so is a 503 unless only ready replicas are called; another answer is noted, and ends it.
func (s *Sender) retry(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, time.Duration, bool) {
	for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
		began := time.Now()
		status, answer, err := s.once(ctx, method, path, header, body)
		switch {
		case err == nil && status/100 == 2:
			return answer, time.Since(began), true
		case err == nil && (s.Balanced || status != http.StatusServiceUnavailable):
			s.note(fmt.Sprintf("%s %.30s was answered %d: %.300s", method, path, status, answer))
			return nil, 0, false
		}
		s.retries.Add(1)
		_ = poll.Sleep(ctx, pause/2+rand.N(pause))
	}
	return nil, 0, false
}

func (s *Sender) once(ctx context.Context, method, path string, header http.Header, body []byte) (int, []byte, error) {
	replica := s.choose()
	if s.Balanced && !replica.Ready(ctx) {
		s.skip(replica)
		return 0, nil, errNotRunning
	}
	request, err := http.NewRequestWithContext(ctx, method, replica.Address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = header.Clone()
	response, err := s.client.Do(request)
	if err != nil {
		s.skip(replica)
		if method == http.MethodPost {
			s.without.Add(1)
		}
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode == http.StatusServiceUnavailable {
		s.refused.Add(1)
		if response.Header.Get("Retry-After") == "" {
			s.note(fmt.Sprintf("%s %.30s was answered 503 without Retry-After", method, path))
		}
	}
	return response.StatusCode, answer, err
}

// choose names a replica that answered lately, or any where none did.
func (s *Sender) choose() *Replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := rand.IntN(len(s.Replicas))
	for i := range s.Replicas {
		replica := s.Replicas[(first+i)%len(s.Replicas)]
		if time.Now().After(s.skipped[replica.Address]) {
			return replica
		}
	}
	return s.Replicas[first]
}

func (s *Sender) skip(replica *Replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped[replica.Address] = time.Now().Add(skipTime)
}

func (s *Sender) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strange[what]++
}

// Faultless tells whether no answer was unexpected so far.
func (s *Sender) Faultless() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.strange) == 0
}

// Summary is some lines of what was acknowledged within a time.
func (s *Sender) Summary(within time.Duration) string {
	return Line("deliveries", "%d acknowledged in %s, %.0f/s; %d sent twice, %d lost and sent again, %d retries", len(s.acks),
		within.Round(time.Second), float64(len(s.acks))/within.Seconds(), s.doubles.Load(), s.lost.Load(), s.retries.Load()) +
		Line("refused", "%d answers 503, %d webhooks without an answer", s.refused.Load(), s.without.Load()) +
		Line("answered", "%s", quantiles(s.acks)) +
		Line("reports", "%d acknowledged, %s", len(s.uploads), quantiles(s.uploads))
}

// Line is one of a summary.
func Line(name, format string, args ...any) string {
	return fmt.Sprintf("  %-12s %s\n", name, fmt.Sprintf(format, args...))
}

func quantiles(acks []ack) string {
	if len(acks) == 0 {
		return "none"
	}
	var took []time.Duration
	for _, ack := range acks {
		took = append(took, ack.took)
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %s, p99 %s, max %s", at(0.5), at(0.99), at(1))
}
