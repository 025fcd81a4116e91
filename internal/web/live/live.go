// Package live keeps the pages of running scans up to date: server-sent events tell a page when to load its content again.
package live

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/store"
)

const (
	maxStreams  = 500             // live pages at once; more reload instead
	maxPersonal = 50              // of one person, or of one network that has not logged in
	checkEvery  = 5 * time.Second // changes by other processes are not signalled here
	checkPause  = 200 * time.Millisecond
	streamLasts = 10 * time.Minute
)

// Config holds what the streams need.
type Config struct {
	Store    *store.Store
	Sessions *signin.Sessions
	Posts    func(platform string) bool // whether statuses are posted there
}

// Streams sends the events of open scan pages, and bounds how many of them there are.
type Streams struct {
	Config
	mu      sync.Mutex
	of      map[string]int // by watcher
	all     int
	stop    sync.Once
	stopped chan struct{}
}

// New makes streams until Stop.
func New(cfg Config) *Streams {
	return &Streams{Config: cfg, of: map[string]int{}, stopped: make(chan struct{})}
}

// Stop ends the streams of open pages, which would keep a server from shutting down.
func (s *Streams) Stop() { s.stop.Do(func() { close(s.stopped) }) }

// Events tells an open scan page when to load its content again, as server-sent events. The stream ends after a while;
// browsers connect again.
func (s *Streams) Events(c *gin.Context) error {
	scan, err := s.Store.GetScan(c.Request.Context(), c.Param("ref"))
	if err != nil || httpx.Method(c.Request) == http.MethodHead {
		return err
	}
	who, err := s.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	watcher := cmp.Or(who.Name, httpx.Network(httpx.Client(c)))
	if !s.enter(watcher) {
		c.Status(http.StatusNoContent) // tells browsers not to connect again
		return nil
	}
	defer s.leave(watcher)
	ctx, cancel := context.WithTimeout(c.Request.Context(), streamLasts)
	defer cancel()
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // nginx passes events on at once
	shown := c.Query("version")
	for ctx.Err() == nil {
		changed := s.Store.Changed().Listen()
		version, live, err := s.look(ctx, scan.ReferenceID)
		if err != nil || !send(c.Writer, &shown, version) || !live {
			return nil // the page shows the error when it connects again
		}
		if !s.wait(ctx, changed) || !s.Sessions.Lasts(c) {
			return nil
		}
	}
	return nil
}

// enter tells whether one more stream of a watcher may begin; leave must follow then.
func (s *Streams) enter(watcher string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.of[watcher] >= maxPersonal {
		return false
	}
	s.all++
	s.of[watcher]++
	return true
}

func (s *Streams) leave(watcher string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[watcher]--; s.of[watcher] == 0 {
		delete(s.of, watcher)
	}
}

// look reads the current version of a scan's page, and whether another one will come.
func (s *Streams) look(ctx context.Context, reference string) (version string, live bool, err error) {
	scan, err := s.Store.GetScan(ctx, reference)
	if err != nil {
		return "", false, err
	}
	jobs, err := s.Store.ListJobs(ctx, scan)
	if err != nil {
		return "", false, err
	}
	statuses, err := s.Store.ListStatuses(ctx, scan)
	return Version(scan, jobs, statuses), s.Changing(scan, statuses), err
}

// Version changes whenever something does that a scan's page shows above its findings.
func Version(scan core.Scan, jobs []core.Job, statuses []core.Status) string {
	sum := fnv.New64a()
	fmt.Fprintln(sum, scan.Status, scan.Summary, scan.VerdictReason, scan.Error, scan.NumDeciding)
	for _, job := range jobs {
		fmt.Fprintln(sum, job.State, job.Attempt, job.NumFindings, job.Error)
	}
	for _, s := range statuses {
		fmt.Fprintln(sum, s.Revision, s.PostedRevision, s.Attempts, s.GivenUp)
	}
	return fmt.Sprintf("%x", sum.Sum64())
}

// Changing tells whether a scan's page will change by itself.
func (s *Streams) Changing(scan core.Scan, statuses []core.Status) bool {
	if !scan.Status.Ended() {
		return true
	}
	return slices.ContainsFunc(statuses, func(status core.Status) bool {
		return status.PostedRevision < status.Revision && !status.GivenUp && s.Posts(status.SourcePlatform)
	})
}

// send sends a version that the page does not show yet, else a comment that keeps the connection alive. It is false when
// the browser has gone.
func send(to gin.ResponseWriter, shown *string, version string) bool {
	text := ": same\n\n"
	if version != *shown {
		text = "data: " + version + "\n\n"
	}
	*shown = version
	_, err := io.WriteString(to, text)
	to.Flush()
	return err == nil
}

// wait pauses a moment, because changes come in bursts, and then waits for the next change. It is false when the server
// stops.
func (s *Streams) wait(ctx context.Context, changed <-chan struct{}) bool {
	pause, check := time.NewTimer(checkPause), time.NewTimer(checkEvery)
	defer pause.Stop()
	defer check.Stop()
	for _, next := range []<-chan struct{}{nil, changed} {
		timer := pause.C
		if next != nil {
			timer = check.C
		}
		select {
		case <-next:
		case <-timer:
		case <-ctx.Done():
			return false
		case <-s.stopped:
			return false
		}
	}
	return true
}
