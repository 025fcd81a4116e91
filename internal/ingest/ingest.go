// Package ingest derives scans, pipeline runs, refs and statuses from the webhook calls that package webhooks has kept: in the
// order in which they came, a batch at a time. One process of those that share a database does it at a time. A process that
// dies loses nothing: what it has not derived is still kept.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	every = time.Second           // to look for calls that another process kept before it died
	rest  = 50 * time.Millisecond // lets calls gather: a batch of one costs as much as one of ten

	most  = 256 // calls in one transaction
	short = 32  // of an embedded database while calls come; after as many of any the next batch follows at once
)

// retryEvery is how often calls are looked for that another version has set aside: one may run beside this one for a while.
const retryEvery = 5 * time.Minute

// Config holds what the ingester needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set
	Version   string // of this program: calls that another version could not derive are tried again
	Log       *slog.Logger
}

// Ingester derives what follows from kept calls.
type Ingester struct {
	Config
	deriver store.Deriver
	retried time.Time // when what another version had set aside was last tried again
}

// New returns an ingester; Run makes it work.
func New(cfg Config) *Ingester {
	i := &Ingester{Config: cfg}
	i.deriver = store.Deriver{Version: cfg.Version, Read: i.read, Most: most, Short: short}
	return i
}

// Run blocks until ctx ends.
func (i *Ingester) Run(ctx context.Context) {
	poll.Loop{Name: "ingest", Every: every, Rest: rest, Wake: i.Store.Kept(), Once: i.Once, Log: i.Log}.Run(ctx)
}

// Once derives one batch. worked tells whether there may be so many more that the next is not to wait.
func (i *Ingester) Once(ctx context.Context) (worked bool, err error) {
	if now := i.Store.Now(); now.Sub(i.retried).Abs() >= retryEvery {
		n, err := i.Store.RetrySetAside(ctx, i.Version)
		if err != nil {
			return false, err
		}
		if i.retried = now; n > 0 {
			i.Log.Info("deriving calls again that another version could not", "calls", n)
		}
	}
	taken, err := i.Store.Derive(ctx, i.deriver)
	return taken >= short, err
}

// read makes a delivery of a kept call, and holds it to what it was authorized for when it came.
func (i *Ingester) read(call core.KeptCall) (core.Delivery, error) {
	platform, known := i.Platforms[call.Platform]
	if !known {
		return core.Delivery{}, fmt.Errorf("%w: no platform %q is configured any more", core.ErrInvalid, call.Platform)
	}
	header, body, err := httpx.Unpack(call.Raw)
	if err != nil {
		return core.Delivery{}, err
	}
	delivery, err := platforms.Read(platform, header, body)
	if err != nil {
		return delivery, err
	}
	delivery.Key, delivery.ReceivedAt = call.Key, call.ReceivedAt
	if call.Project == "" {
		return authorize(platform, call, delivery)
	}
	for _, project := range []string{delivery.Project, delivery.Subject().Name} {
		if project != "" && !core.SameProject(project, call.Project) {
			return delivery, fmt.Errorf("%w: the call was authorized for %s, and is about %s", core.ErrDenied, call.Project, project)
		}
	}
	if call.Unnamed {
		delivery.Event = delivery.Event.WithoutRef()
	}
	return delivery, nil
}

// authorize judges a call that could not be read when it came.
func authorize(platform platforms.Platform, call core.KeptCall, delivery core.Delivery) (core.Delivery, error) {
	verification, err := platforms.Recall(platform, call.VerifiedBy, call.Signed)
	if err != nil {
		return delivery, err
	}
	return verification.Authorize(delivery)
}
