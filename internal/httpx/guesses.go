package httpx

import (
	"context"
	"math"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	guessesAtOnce = 10 // wrong tokens of a network that are answered like a mistake
	guessEvery    = 6 * time.Second
	guessNetworks = 4096 // that are remembered, the latest
	guessDelay    = time.Second
	guessDelays   = 64 // requests that are held up at once; each holds a connection
)

// Guesses slows down those who try tokens. Only wrong tokens are slowed down: a right one is never kept out by what
// others behind the same address do. Make it with NewGuesses.
type Guesses struct {
	Now      func() time.Time
	networks *lru.Cache[string, *rate.Limiter]
	delays   chan struct{}
}

// NewGuesses serves all ways in which a token can come.
func NewGuesses() *Guesses {
	networks, err := lru.New[string, *rate.Limiter](guessNetworks)
	if err != nil {
		panic(err) // the size is none
	}
	return &Guesses{Now: time.Now, networks: networks, delays: make(chan struct{}, guessDelays)}
}

// Wrong counts a wrong token of a client. Zero means that it may have been a mistake. After too many it holds the
// request up for a while, and returns for how long the client shall wait before the next.
func (g *Guesses) Wrong(ctx context.Context, client string) (wait time.Duration) {
	tries, now := g.of(Network(client)), g.Now()
	if tries.AllowN(now, 1) {
		return 0
	}
	g.holdUp(ctx)
	missing := 1 - tries.TokensAt(now)
	return max(time.Second, time.Duration(math.Ceil(missing*guessEvery.Seconds()))*time.Second)
}

func (g *Guesses) of(network string) *rate.Limiter {
	tries, known := g.networks.Get(network)
	if !known {
		tries = rate.NewLimiter(rate.Every(guessEvery), guessesAtOnce)
		if previous, found, _ := g.networks.PeekOrAdd(network, tries); found {
			return previous
		}
	}
	return tries
}

// holdUp takes a moment, unless many are held up already: they must not take up all connections.
func (g *Guesses) holdUp(ctx context.Context) {
	select {
	case g.delays <- struct{}{}:
		defer func() { <-g.delays }()
	default:
		return
	}
	select {
	case <-time.After(guessDelay):
	case <-ctx.Done():
	}
}
