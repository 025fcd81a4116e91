package web

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

const (
	maxStreams  = 500             // live pages at once; more reload instead
	personal    = 50              // of one person, or of one address that has not logged in
	lookEvery   = 5 * time.Second // other processes' changes ring no bell here
	lookSoonest = 200 * time.Millisecond
	streamLasts = 10 * time.Minute
)

// streams counts the live pages of each who watches some.
type streams struct {
	mu  sync.Mutex
	of  map[string]int
	all int
}

func (s *streams) enter(watcher string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.of[watcher] >= personal {
		return false
	}
	s.all++
	s.of[watcher]++
	return true
}

func (s *streams) leave(watcher string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[watcher]--; s.of[watcher] == 0 {
		delete(s.of, watcher)
	}
}

// versionOf changes whenever what a scan's page shows above its findings does.
func versionOf(scan core.Scan, jobs []core.Job, statuses []core.Status) string {
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

// changing tells whether a scan's page will change without anybody doing anything.
func (w *Web) changing(scan core.Scan, statuses []core.Status) bool {
	if !scan.Status.Ended() {
		return true
	}
	for _, s := range statuses {
		if s.PostedRevision < s.Revision && !s.GivenUp && w.Platforms[s.SourcePlatform].Posts {
			return true
		}
	}
	return false
}

// events tells a scan's open page when to look again, as server-sent events. It ends by itself now and then; browsers
// come back.
func (w *Web) events(c *gin.Context) error {
	scan, err := w.Store.GetScan(c.Request.Context(), c.Param("ref"))
	if err != nil || httpx.Method(c.Request) == http.MethodHead {
		return err
	}
	who, err := w.visitor(c)
	if err != nil {
		return err
	}
	watcher := cmp.Or(who.Name, httpx.Network(httpx.Client(c)))
	if !w.streams.enter(watcher) {
		c.Status(http.StatusNoContent) // tells browsers not to come back
		return nil
	}
	defer w.streams.leave(watcher)
	ctx, cancel := context.WithTimeout(c.Request.Context(), streamLasts)
	defer cancel()
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // nginx hands events on at once
	shown := c.Query("version")
	for ctx.Err() == nil {
		bell := w.Store.Changed().Listen()
		version, live, err := w.look(ctx, scan.ReferenceID)
		if err != nil || !tell(c.Writer, &shown, version) || !live {
			return nil // the page that comes back hears of an error
		}
		if !w.wait(ctx, bell) {
			return nil
		}
	}
	return nil
}

// look reads the present version of a scan's page, and whether another one will come.
func (w *Web) look(ctx context.Context, reference string) (version string, live bool, err error) {
	scan, err := w.Store.GetScan(ctx, reference)
	if err != nil {
		return "", false, err
	}
	jobs, err := w.Store.ListJobs(ctx, scan)
	if err != nil {
		return "", false, err
	}
	statuses, err := w.Store.ListStatuses(ctx, scan)
	return versionOf(scan, jobs, statuses), w.changing(scan, statuses), err
}

// tell sends a version that the page does not show yet, else a sign of life; false when nobody listens any more.
func tell(to gin.ResponseWriter, shown *string, version string) bool {
	text := ": same\n\n"
	if version != *shown {
		text = "data: " + version + "\n\n"
	}
	*shown = version
	_, err := io.WriteString(to, text)
	to.Flush()
	return err == nil
}

// wait lets a moment pass, for changes come in flocks, and then waits for the next; false when the server stops.
func (w *Web) wait(ctx context.Context, bell <-chan struct{}) bool {
	moment, look := time.NewTimer(lookSoonest), time.NewTimer(lookEvery)
	defer moment.Stop()
	defer look.Stop()
	for _, next := range []<-chan struct{}{nil, bell} {
		timer := moment.C
		if next != nil {
			timer = look.C
		}
		select {
		case <-next:
		case <-timer:
		case <-ctx.Done():
			return false
		case <-w.stopped:
			return false
		}
	}
	return true
}
