// Package webhooks is the front door: it takes a platform's call, proves that it is authentic, and answers once what it
// means is on disk.
package webhooks

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// MaxBody is the largest call that platforms make: GitHub and GitLab drop events above 25 MB themselves.
const MaxBody = 25 << 20

// Config holds what the receiver needs.
type Config struct {
	Platforms platforms.Set
	Store     *store.Store
	Log       *slog.Logger
}

// Receiver takes webhook calls.
type Receiver struct{ Config }

// New returns a receiver; Register makes it reachable.
func New(cfg Config) *Receiver { return &Receiver{cfg} }

// Register mounts POST /webhooks/{platform}.
func (r *Receiver) Register(router gin.IRouter) {
	router.POST("/webhooks/:platform", httpx.Handle(r.Log, r.receive))
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
	body, err := readBody(c)
	if err != nil {
		return err
	}
	if err := platform.Verify(c.Request.Header, body); err != nil {
		r.Log.Warn("webhook refused", "platform", name, "client", c.RemoteIP(), "error", err)
		return err
	}
	delivery, err := platform.Parse(c.Request.Header, body)
	if err != nil {
		return err
	}
	receipt, err := r.accept(c, delivery)
	if err != nil {
		return err
	}
	c.JSON(statusOf(receipt), answer{receipt.Outcome, receipt.Reference, receipt.Reason})
	return nil
}

func readBody(c *gin.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, fmt.Errorf("%w: the body exceeds %d bytes, more than any platform sends", core.ErrTooLarge, tooLarge.Limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the body ended early: %w", core.ErrInvalid, err)
	}
	return body, nil
}

// accept returns when the delivery is on disk.
func (r *Receiver) accept(c *gin.Context, delivery core.Delivery) (core.Receipt, error) {
	ctx := c.Request.Context()
	switch event := delivery.Event.(type) {
	case core.Push:
		return r.Store.AcceptPush(ctx, delivery, event)
	case core.Pipeline:
		return r.Store.RecordPipeline(ctx, delivery, event)
	case core.Ignored:
		return r.Store.AcceptIgnored(ctx, delivery, event.Reason)
	}
	return r.Store.AcceptIgnored(ctx, delivery, "events of this kind are not used")
}

// statusOf is 202 for what was taken in and 200 for what had been taken in before.
func statusOf(receipt core.Receipt) int {
	if receipt.Outcome == core.Duplicate {
		return http.StatusOK
	}
	return http.StatusAccepted
}
