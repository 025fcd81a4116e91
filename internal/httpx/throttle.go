package httpx

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	failuresAtOnce   = 10 // wrong tokens of a network that are answered at once, like mistakes
	failureEvery     = 6 * time.Second
	throttleNetworks = 4096 // that are remembered, the latest
	throttleDelay    = time.Second
	throttleDelays   = 512 // requests that are delayed at the same time; each holds a connection

	// failuresOfAll are the wrong tokens of all networks together that are answered at once, each second and in a burst: many addresses
	// that guess at the same time must not take the processor from those who send right ones.
	failuresOfAll, burstOfAll = 50, 200
)

// LoginThrottle slows down clients that guess tokens. Only wrong tokens are slowed down: a right one is never refused
// because of what others behind the same address do. Make it with NewLoginThrottle.
type LoginThrottle struct {
	Now      func() time.Time
	networks *lru.Cache[string, *rate.Limiter]
	all      *rate.Limiter // of all networks
	delays   chan struct{}
}

// NewLoginThrottle returns one throttle for every place where a token can be sent: limits of their own for the API and
// the pages would allow twice as many guesses.
func NewLoginThrottle() *LoginThrottle {
	networks, err := lru.New[string, *rate.Limiter](throttleNetworks)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &LoginThrottle{
		Now: time.Now, networks: networks, all: rate.NewLimiter(failuresOfAll, burstOfAll), delays: make(chan struct{}, throttleDelays),
	}
}

// Refuse logs a request with a wrong token and counts it. Zero means that it may have been a mistake. Otherwise it
// delays the request, and the answer tells the client how long to wait before the next one.
func (t *LoginThrottle) Refuse(c *gin.Context, reason string) (wait time.Duration) {
	Refuse(c, reason)
	wait = t.Failed(c.Request.Context(), Client(c))
	if wait > 0 {
		c.Header("Retry-After", strconv.Itoa(int(wait.Seconds())))
	}
	return wait
}

// Failed counts a wrong token of a client, like Refuse. While very many clients send wrong ones, all of these are delayed.
func (t *LoginThrottle) Failed(ctx context.Context, client string) (wait time.Duration) {
	failures, now := t.of(Network(client)), t.Now()
	crowded := !t.all.AllowN(now, 1)
	if failures.AllowN(now, 1) {
		if crowded {
			t.delay(ctx)
		}
		return 0
	}
	t.delay(ctx)
	missing := 1 - failures.TokensAt(now)
	return max(time.Second, time.Duration(math.Ceil(missing*failureEvery.Seconds()))*time.Second)
}

func (t *LoginThrottle) of(network string) *rate.Limiter {
	failures, known := t.networks.Get(network)
	if !known {
		failures = rate.NewLimiter(rate.Every(failureEvery), failuresAtOnce)
		if previous, found, _ := t.networks.PeekOrAdd(network, failures); found {
			return previous
		}
	}
	return failures
}

// delay waits a moment, unless many requests are delayed already: they must not occupy all connections.
func (t *LoginThrottle) delay(ctx context.Context) {
	select {
	case t.delays <- struct{}{}:
		defer func() { <-t.delays }()
	default:
		return
	}
	select {
	case <-time.After(throttleDelay):
	case <-ctx.Done():
	}
}
