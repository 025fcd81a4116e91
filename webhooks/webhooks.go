// Package webhooks is the entry point for calls of platforms: it verifies a call, and answers when its consequences are on
// disk.
package webhooks

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
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
	Log       *slog.Logger
}

// Receiver takes webhook calls.
type Receiver struct {
	Config
	bodies *httpx.Bodies
}

// New returns a receiver; Register makes it reachable. It holds about 75 MB of bodies at most, however many come.
func New(cfg Config) *Receiver {
	return &Receiver{Config: cfg, bodies: httpx.NewBodies(slotWait,
		httpx.Class{UpTo: 8 << 10, AtOnce: 1024},
		httpx.Class{UpTo: 64 << 10, AtOnce: 384},
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
	Outcome core.Outcome `json:"outcome"`
	Scan    string       `json:"scan,omitempty"`
	Reason  string       `json:"reason,omitempty"`
}

func (r *Receiver) receive(c *gin.Context) error {
	name := c.Param("platform")
	platform, known := r.Platforms[name]
	if !known {
		return fmt.Errorf("%w: no platform %q is configured; check the end of the webhook's URL", core.ErrNotFound, name)
	}
	delivery, err := r.read(c, name, platform)
	if err != nil {
		return err
	}
	receipt, err := r.accept(c, delivery)
	if !errors.Is(err, core.ErrDenied) {
		r.Meter.Delivered(name, delivery.Event, outcomeOf(receipt, err))
	}
	if err != nil {
		return err
	}
	c.JSON(statusOf(receipt), answer{receipt.Outcome, receipt.Reference, receipt.Reason})
	return nil
}

// read returns what an authentic call announces. Its body takes up memory until then.
func (r *Receiver) read(c *gin.Context, name string, platform platforms.Platform) (core.Delivery, error) {
	slot := r.bodies.Slot()
	defer slot.Release()
	body, err := readBody(c, slot, platform)
	if err != nil {
		return core.Delivery{}, err
	}
	verification, err := platform.Verify(c.Request.Header, body)
	if err != nil {
		return core.Delivery{}, err
	}
	delivery, err := platform.Parse(c.Request.Header, body)
	if err != nil {
		r.Meter.Delivered(name, nil, metrics.OutcomeInvalid)
		return core.Delivery{}, err
	}
	return verification.Authorize(delivery)
}

// readBody leaves the body unread of a call that Verify refuses whatever the body is.
func readBody(c *gin.Context, slot *httpx.Slot, platform platforms.Platform) ([]byte, error) {
	if !platforms.CanVerify(platform, c.Request.Header) {
		httpx.LeaveUnread(c.Writer)
		return nil, nil
	}
	return slot.Read(c.Writer, c.Request, bodyTimeout)
}

// accept returns when the delivery is on disk.
func (r *Receiver) accept(c *gin.Context, delivery core.Delivery) (core.Receipt, error) {
	ctx := c.Request.Context()
	switch event := delivery.Event.(type) {
	case core.Push:
		return r.Store.AcceptPush(ctx, delivery, event)
	case core.Pipeline:
		return r.Store.RecordPipeline(ctx, delivery, event)
	case core.ObservedStatus:
		return r.Store.AcceptStatus(ctx, delivery, event)
	case core.Ignored:
		return r.Store.AcceptIgnored(ctx, delivery, event.Reason)
	}
	return r.Store.AcceptIgnored(ctx, delivery, "events of this kind are not used")
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
