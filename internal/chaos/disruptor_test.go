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
)

const (
	revokeTime    = 8 * time.Second
	stallTime     = 36 * time.Second // longer than any lease
	longestOutage = 4 * time.Second  // of the database, beside the time that it takes to stop and start
)

// disruptor causes the disruptions, each at a fixed share of the deliveries.
type disruptor struct {
	*cluster
	scale    scale
	random   *rand.Rand
	progress func() float64 // share of the deliveries that were sent
	stalling sync.WaitGroup

	kills, restarts, freezes, stalls, revocations int
}

type disruption struct {
	at float64
	do func(context.Context) error
}

func newDisruptor(c *cluster, s scale, progress func() float64) *disruptor {
	return &disruptor{cluster: c, scale: s, random: rand.New(rand.NewPCG(s.Seed, 3)), progress: progress}
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
	if d.database.outage != nil {
		spread(d.scale.Restarts, d.restart)
		spread(d.scale.Freezes, d.freeze)
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
		victim := d.replicas[d.random.IntN(len(d.replicas))]
		if victim.kill() == nil {
			d.kills++
			return nil
		}
	}
	return context.Cause(ctx)
}

func (d *disruptor) restart(context.Context) error {
	mode := []string{"fast", "immediate"}[d.restarts%2]
	if err := d.database.outage(mode, time.Duration(d.random.Int64N(int64(longestOutage)))); err != nil {
		return fmt.Errorf("restarting the database: %w", err)
	}
	d.restarts++
	return nil
}

func (d *disruptor) freeze(context.Context) error {
	if err := d.database.freeze(*freeze); err != nil {
		return fmt.Errorf("freezing the database: %w", err)
	}
	d.freezes++
	return nil
}

// revoke takes the token's rights away on one platform after the other.
func (d *disruptor) revoke(context.Context) error {
	d.platforms[platformNames[d.revocations%len(platformNames)]].revoke(revokeTime)
	d.revocations++
	return nil
}

func (d *disruptor) stall(ctx context.Context) error {
	victim := d.replicas[d.random.IntN(len(d.replicas))]
	d.stalls++
	d.stalling.Go(func() { victim.stall(stallTime, ctx.Done()) })
	return nil
}
