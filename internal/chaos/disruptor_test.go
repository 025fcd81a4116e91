//go:build linux

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/servetest"
)

const (
	revokeTime    = 8 * time.Second
	stallTime     = 36 * time.Second // longer than any lease
	longestOutage = 4 * time.Second  // of the database, beside the time that it takes to stop and start
)

// disruptor causes the disruptions, each at a fixed share of the deliveries.
type disruptor struct {
	*servetest.Cluster
	faults   map[string]*apiFaults // by platform
	scale    scale
	random   *rand.Rand
	progress func() float64 // share of the deliveries that were sent
	stalling sync.WaitGroup
	mend     func(*servetest.Replica) // gives it another binary

	kills, restarts, freezes, stalls, revocations int
}

type disruption struct {
	at float64
	do func(context.Context) error
}

func newDisruptor(c *servetest.Cluster, faults map[string]*apiFaults, s scale, progress func() float64) *disruptor {
	return &disruptor{Cluster: c, faults: faults, scale: s, random: rand.New(rand.NewPCG(s.Seed, 3)), progress: progress}
}

// program spreads the disruptions over the run; the order among them is the seed's.
func (d *disruptor) program() []disruption {
	var all []disruption
	spread := func(n int, do func(context.Context) error) {
		for i := range n {
			all = append(all, disruption{(float64(i) + 0.2 + 0.6*d.random.Float64()) / float64(n), do})
		}
	}
	spread(d.scale.Kills, d.kill)
	spread(d.scale.Stalls, d.stall)
	spread(d.scale.Revocations, d.revoke)
	if d.Database.Server != nil {
		spread(d.scale.Restarts, d.restart)
		spread(d.scale.Freezes, d.freeze)
	}
	if d.scale.Mended != "" {
		all = append(all, disruption{0.5, func(context.Context) error {
			for _, r := range d.Replicas {
				d.mend(r)
			}
			return nil
		}})
	}
	slices.SortFunc(all, func(a, b disruption) int { return cmp.Compare(a.at, b.at) })
	return all
}

// run returns when all disruptions have happened, or ctx ends.
func (d *disruptor) run(ctx context.Context) error {
	defer d.stalling.Wait()
	for _, next := range d.program() {
		for d.progress() < next.at {
			if !poll.Sleep(ctx, 20*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
		if err := next.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// kill ends a random running process.
func (d *disruptor) kill(ctx context.Context) error {
	for poll.Sleep(ctx, 10*time.Millisecond) {
		victim := d.Replicas[d.random.IntN(len(d.Replicas))]
		if victim.Kill() == nil {
			d.kills++
			return nil
		}
	}
	return context.Cause(ctx)
}

func (d *disruptor) restart(context.Context) error {
	mode := []string{"fast", "immediate"}[d.restarts%2]
	if err := d.Database.Server.Outage(mode, time.Duration(d.random.Int64N(int64(longestOutage)))); err != nil {
		return fmt.Errorf("restarting the database: %w", err)
	}
	d.restarts++
	return nil
}

func (d *disruptor) freeze(context.Context) error {
	if err := d.Database.Server.Freeze(*freeze); err != nil {
		return fmt.Errorf("freezing the database: %w", err)
	}
	d.freezes++
	return nil
}

// revoke takes the token's rights away on one platform after the other.
func (d *disruptor) revoke(context.Context) error {
	d.faults[servetest.PlatformNames[d.revocations%len(servetest.PlatformNames)]].revoke(revokeTime)
	d.revocations++
	return nil
}

func (d *disruptor) stall(ctx context.Context) error {
	victim := d.Replicas[d.random.IntN(len(d.Replicas))]
	d.stalls++
	d.stalling.Go(func() { victim.Stall(stallTime, ctx.Done()) })
	return nil
}
