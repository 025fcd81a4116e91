package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	revokeTime    = 8 * time.Second
	stallTime     = 36 * time.Second // longer than any lease
	longestOutage = 4 * time.Second  // of the database, beside the time that it takes to stop and start
)

// conductor brings the misfortunes, each at a fixed share of the deliveries.
type conductor struct {
	*arena
	scale    scale
	random   *rand.Rand
	progress func() float64 // share of the deliveries that were sent
	stalling sync.WaitGroup

	kills, restarts, freezes, stalls, revocations int
}

type misfortune struct {
	at float64
	do func(context.Context) error
}

func newConductor(a *arena, s scale, progress func() float64) *conductor {
	return &conductor{arena: a, scale: s, random: rand.New(rand.NewPCG(s.Seed, 3)), progress: progress}
}

// program spreads the misfortunes over the run; the order among them is the seed's.
func (c *conductor) program() []misfortune {
	var all []misfortune
	spread := func(n int, do func(context.Context) error) {
		for i := range n {
			all = append(all, misfortune{(float64(i) + 0.2 + 0.6*c.random.Float64()) / float64(n), do})
		}
	}
	spread(c.scale.Kills, c.kill)
	spread(c.scale.Stalls, c.stall)
	spread(c.scale.Revocations, c.revoke)
	if c.database.outage != nil {
		spread(c.scale.Restarts, c.restart)
		spread(c.scale.Freezes, c.freeze)
	}
	slices.SortFunc(all, func(a, b misfortune) int { return cmp.Compare(a.at, b.at) })
	return all
}

// run returns when all of it has happened, or ctx ends.
func (c *conductor) run(ctx context.Context) error {
	defer c.stalling.Wait()
	for _, next := range c.program() {
		for c.progress() < next.at {
			if !sleep(ctx, 20*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
		if err := next.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// kill ends a random process that runs.
func (c *conductor) kill(ctx context.Context) error {
	for sleep(ctx, 10*time.Millisecond) {
		victim := c.replicas[c.random.IntN(len(c.replicas))]
		if victim.kill() == nil {
			c.kills++
			return nil
		}
	}
	return context.Cause(ctx)
}

func (c *conductor) restart(context.Context) error {
	mode := []string{"fast", "immediate"}[c.restarts%2]
	if err := c.database.outage(mode, time.Duration(c.random.Int64N(int64(longestOutage)))); err != nil {
		return fmt.Errorf("restarting the database: %w", err)
	}
	c.restarts++
	return nil
}

func (c *conductor) freeze(context.Context) error {
	if err := c.database.freeze(*freeze); err != nil {
		return fmt.Errorf("freezing the database: %w", err)
	}
	c.freezes++
	return nil
}

// revoke takes the token's rights away on one platform after the other.
func (c *conductor) revoke(context.Context) error {
	c.platforms[platformNames[c.revocations%len(platformNames)]].revoke(revokeTime)
	c.revocations++
	return nil
}

func (c *conductor) stall(ctx context.Context) error {
	victim := c.replicas[c.random.IntN(len(c.replicas))]
	c.stalls++
	c.stalling.Go(func() { victim.stall(stallTime, ctx.Done()) })
	return nil
}
