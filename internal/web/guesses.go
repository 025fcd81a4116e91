package web

import (
	"hash/maphash"
	"time"

	"golang.org/x/time/rate"
)

const (
	guessesAtOnce = 10 // wrong tokens that an address may try one after the other
	guessEvery    = 6 * time.Second
	guessBuckets  = 1024
)

// guesses bounds how often wrong tokens are tried. Addresses share buckets, so that many of them take no more memory.
type guesses struct {
	seed    maphash.Seed
	buckets [guessBuckets]*rate.Limiter
}

func newGuesses() *guesses {
	g := &guesses{seed: maphash.MakeSeed()}
	for i := range g.buckets {
		g.buckets[i] = rate.NewLimiter(rate.Every(guessEvery), guessesAtOnce)
	}
	return g
}

func (g *guesses) of(address string) *rate.Limiter {
	return g.buckets[maphash.String(g.seed, address)%guessBuckets]
}

// exhausted tells whether the address has to wait before its next try.
func (g *guesses) exhausted(address string, now time.Time) bool {
	return g.of(address).TokensAt(now) < 1
}

// wrong counts a wrong one.
func (g *guesses) wrong(address string, now time.Time) { g.of(address).AllowN(now, 1) }
