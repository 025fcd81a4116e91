//go:build !race

package liveness_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
)

// evaluating must be set for the measurements that take minutes: make eval does.
const evaluating = "SCANHOOK_EVAL"

const (
	simulatedDays = 4 * 365
	settledAfter  = 365 // a webhook dies after this day and at least a year before the end
)

// lived is a project in the simulation, and the same one with a webhook that dies one day.
type lived struct {
	life        int
	calls       []bool
	dies        int
	alive, dead liveness.Hook
	noticed     int // day, 0 for never
	silent      bool
}

// account is what was seen of one kind of project.
type account struct {
	years  float64
	alarms int
	alarm  int   // days of false alarm
	delays []int // days from death to alarm
	dead   int
}

// TestSilenceEval prints how often the rule is wrong about webhooks that work, and how long it takes to notice one that
// died. Projects are simulated one by one, where no others tell of holidays, and together.
func TestSilenceEval(t *testing.T) {
	t.Parallel()
	seeds := 1
	if os.Getenv(evaluating) != "" {
		seeds = 20
	}
	for name, together := range map[string]int{"alone": 0, "among 36": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts := make([]account, len(lives))
			for seed := range seeds {
				random := rand.New(rand.NewPCG(uint64(seed), 20261123))
				for _, installation := range installations(random, together) {
					live(installation, accounts)
				}
			}
			report(t, accounts, together == 0)
		})
	}
}

// installations holds each kind of project so many times, or three of each kind in an installation of its own.
func installations(r *rand.Rand, together int) (all [][]*lived) {
	start := silenceStart
	var one []*lived
	for range max(together, 3) {
		for i, life := range lives {
			project := &lived{
				life: i, calls: life.calls(r, start, simulatedDays), dies: settledAfter + r.IntN(simulatedDays-2*settledAfter),
			}
			one = append(one, project)
			all = append(all, []*lived{project})
		}
	}
	if together == 0 {
		return all
	}
	return [][]*lived{one}
}

var silenceStart = time.Date(2023, 1, 2, 10, 0, 0, 0, time.UTC)

func live(installation []*lived, accounts []account) {
	for i := range simulatedDays {
		now := silenceStart.AddDate(0, 0, i)
		judgeAlive(installation, accounts, now)
		judgeDead(installation, now, i)
		for _, p := range installation {
			if p.calls[i] {
				p.alive.Calls.Add(now)
			}
			if p.calls[i] && i < p.dies {
				p.dead.Calls.Add(now)
			}
		}
	}
	for _, p := range installation {
		a := &accounts[p.life]
		a.years += simulatedDays / 365
		a.dead++
		if p.noticed > 0 {
			a.delays = append(a.delays, p.noticed-p.dies)
		}
	}
}

func judgeAlive(installation []*lived, accounts []account, now time.Time) {
	var hooks []liveness.Hook
	for _, p := range installation {
		hooks = append(hooks, p.alive)
	}
	for i, health := range liveness.Judge(hooks, now)[:len(hooks)] {
		p := installation[i]
		if health.Silent {
			accounts[p.life].alarm++
		}
		if health.Silent && !p.silent {
			accounts[p.life].alarms++
		}
		p.silent = health.Silent
	}
}

// judgeDead lets one webhook die while the others live.
func judgeDead(installation []*lived, now time.Time, today int) {
	var hooks []liveness.Hook
	for _, p := range installation {
		hooks = append(hooks, p.alive)
	}
	for i, p := range installation {
		if today <= p.dies || p.noticed > 0 || today > p.dies+70 {
			continue
		}
		hooks[i] = p.dead
		if liveness.Judge(hooks, now)[i].Silent {
			p.noticed = today
		}
		hooks[i] = p.alive
	}
}

func report(t *testing.T, accounts []account, alone bool) {
	t.Helper()
	for i, a := range accounts {
		slices.Sort(a.delays)
		half, most := "-", "-"
		if n := len(a.delays); n > 0 {
			half, most = fmt.Sprint(a.delays[n/2]), fmt.Sprint(a.delays[n*9/10])
		}
		rate := float64(a.alarms) / a.years
		t.Logf("%-17s %.3f false alarms and %.2f days of them a year; %3d of %3d deaths noticed, "+
			"half within %s days, 9 in 10 within %s",
			lives[i].name, rate, float64(a.alarm)/a.years, len(a.delays), a.dead, half, most)
		limit := lives[i].most
		if alone {
			limit = lives[i].solely
		}
		if slack := 3 / a.years; rate > limit+slack {
			t.Errorf("%s: %.3f false alarms a year, want at most %.3f", lives[i].name, rate, limit)
		}
		if want := lives[i].delay; want > 0 && a.dead >= 30 && (len(a.delays) < a.dead || a.delays[a.dead/2] > want) {
			t.Errorf("%s: half of all deaths noticed within %s days, want %d and all noticed", lives[i].name, half, want)
		}
	}
}
