// Package webhooks is the entry point for calls of platforms: it verifies a call, and answers when it is on disk. What follows
// from it is derived later, by internal/ingest.
package webhooks

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/trace"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// MaxBody is the largest call that platforms make: GitHub and GitLab drop events above 25 MB themselves.
const MaxBody = 25 << 20

const (
	bodyTimeout = 15 * time.Second // for a body to arrive; platforms hang up after 10
	slotWait    = 5 * time.Second  // for memory that other bodies occupy
)

// Config holds what the receiver needs.
type Config struct {
	Platforms platforms.Set
	Store     *store.Store
	Meter     *metrics.Meter // may be nil
	Trace     *trace.Tracer  // may be nil
	Log       *slog.Logger
}

// Receiver takes webhook calls.
type Receiver struct {
	Config
	bodies *httpx.Bodies
}

// New returns a receiver; Register makes it reachable. It holds about 67 MB of bodies at most, however many come and however long
// the database takes to keep them.
func New(cfg Config) *Receiver {
	return &Receiver{Config: cfg, bodies: httpx.NewBodies(slotWait,
		httpx.Class{UpTo: 8 << 10, AtOnce: 1024},
		httpx.Class{UpTo: 64 << 10, AtOnce: 256},
		httpx.Class{UpTo: 1 << 20, AtOnce: 16},
		httpx.Class{UpTo: MaxBody, AtOnce: 1},
	)}
}

// Register mounts POST /webhooks/{platform}.
func (r *Receiver) Register(router gin.IRouter) {
	router.POST("/webhooks/:platform", httpx.Handle(r.Log, r.countRefusals(r.receive)))
}

// countRefusals counts the calls that are refused. Only the log has them. Their platform is configured: for any other the
// error is core.ErrNotFound.
func (r *Receiver) countRefusals(handler func(*gin.Context) error) func(*gin.Context) error {
	return func(c *gin.Context) error {
		err := handler(c)
		if errors.Is(err, core.ErrDenied) {
			httpx.Refuse(c, "webhook of "+c.Param("platform")+" without a valid signature")
			r.Meter.Refused(c.Param("platform"))
		}
		return err
	}
}

// answer is the body of a 2xx.
type answer struct {
	Outcome  core.Outcome `json:"outcome"`
	Delivery string       `json:"delivery"` // its id
	Scan     string       `json:"scan,omitempty"`
	Reason   string       `json:"reason,omitempty"`
}

func (r *Receiver) receive(c *gin.Context) error {
	began, name := time.Now(), c.Param("platform")
	platform, known := r.Platforms[name]
	if !known {
		return fmt.Errorf("%w: no platform %q is configured; check the end of the webhook's URL", core.ErrNotFound, name)
	}
	slot := r.bodies.Slot()
	defer slot.Release()
	call, err := r.read(c, slot, name, platform)
	if err != nil {
		return err
	}
	slot.Shrink(int64(len(call.Raw))) // it waits for the database, perhaps with many others
	receipt, err := r.Store.Keep(c.Request.Context(), call)
	if !errors.Is(err, core.ErrDenied) {
		r.Meter.Delivered(name, call.Event, outcomeOf(receipt, err))
	}
	if err != nil {
		return err
	}
	r.Trace.Record(trace.Span{Name: "receive", Ref: receipt.Reference, Start: began, End: time.Now(), Attributes: map[string]string{
		"scanhook.platform": name, "scanhook.outcome": string(receipt.Outcome), "http.request.id": c.Writer.Header().Get("X-Request-Id"),
	}})
	c.JSON(statusOf(receipt), answer{
		receipt.Outcome, strconv.FormatInt(receipt.Delivery, 10), receipt.Reference, receipt.Reason,
	})
	return nil
}

// read returns an authentic call, packed. A call that cannot be read is kept all the same: it is read again later, perhaps by a
// program that can.
func (r *Receiver) read(c *gin.Context, slot *httpx.Slot, name string, platform platforms.Platform) (core.Call, error) {
	body, err := readBody(c, slot, platform)
	if err != nil {
		return core.Call{}, err
	}
	header := c.Request.Header
	verification, err := platform.Verify(header, body)
	if err != nil {
		return core.Call{}, err
	}
	call := core.Call{Raw: httpx.Pack(platforms.Keep(platform, header, body))}
	if call.Delivery, err = platforms.Read(platform, header, body); err != nil {
		r.Log.Warn("a call cannot be read; it is kept", "platform", name, "delivery", call.Key, "error", err)
		call.Unread, call.Event, call.Project = true, nil, ""
		call.Platform, call.Key = name, cmp.Or(call.Key, platforms.HashKey("", body))
		call.Verification = verification.Verification
		return call, nil
	}
	if call.Delivery, err = verification.Authorize(call.Delivery); err != nil {
		return core.Call{}, err
	}
	call.Unnamed = !verification.BelievesIDs() // also where this program finds none: another one may read the call
	return call, nil
}

// readBody leaves the body unread of a call that Verify refuses whatever the body is.
func readBody(c *gin.Context, slot *httpx.Slot, platform platforms.Platform) ([]byte, error) {
	if !platforms.CanVerify(platform, c.Request.Header) {
		httpx.LeaveUnread(c.Writer)
		return nil, nil
	}
	return slot.Read(c.Writer, c.Request, bodyTimeout)
}

func outcomeOf(receipt core.Receipt, err error) core.Outcome {
	if err != nil {
		return metrics.OutcomeFailed
	}
	return receipt.Outcome
}

// statusOf is 202 for what was taken in and 200 for what had been taken in before.
func statusOf(receipt core.Receipt) int {
	if receipt.Outcome == core.Duplicate {
		return http.StatusOK
	}
	return http.StatusAccepted
}
