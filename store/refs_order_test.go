package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// forge is a project on its platform: where its refs stand, and the events of how they came there.
type forge struct {
	*rand.Rand
	refs    map[string]string
	visited map[string][]string // by ref
	commits int
	events  []core.Push

	deletedAt map[string]bool // commits where refs stood when they were deleted
}

var zeros = strings.Repeat("0", 40)

func (f *forge) move(ref, to string) {
	before := f.refs[ref]
	_, p := storetest.PushOf(0)
	p.Ref, p.Before, p.After, p.CommitSHA = ref, before, to, to
	if before == "" {
		p.Before, p.Created = zeros, true
	}
	f.refs[ref] = to
	if to == "" {
		p.After, p.Deleted = zeros, true
		f.deletedAt[before] = true
		delete(f.refs, ref)
	} else {
		f.visited[ref] = append(f.visited[ref], to)
	}
	f.events = append(f.events, p)
}

func (f *forge) fresh() string {
	f.commits++
	return storetest.SHA(f.commits)
}

// act is what people do: push, force another history, make branches of others, delete them, and set one branch back.
func (f *forge) act() {
	ref := []string{"refs/heads/main", "refs/heads/a", "refs/heads/b", "refs/heads/back", "refs/tags/main"}[f.IntN(5)]
	stands := f.refs[ref]
	switch n := f.IntN(10); {
	case ref == "refs/tags/main":
		if stands == "" {
			f.move(ref, f.fresh())
		}
	case stands == "" && n < 3 && f.refs["refs/heads/main"] != "" && ref != "refs/heads/main":
		f.move(ref, f.refs["refs/heads/main"]) // a branch of main
	case stands != "" && n == 9 && ref != "refs/heads/main" && ref != "refs/heads/back":
		f.move(ref, "")
	case stands != "" && n == 8 && ref == "refs/heads/back" && len(f.visited[ref]) > 1:
		if to := f.visited[ref][len(f.visited[ref])-2]; to != stands {
			f.move(ref, to)
		}
	default:
		f.move(ref, f.fresh())
	}
}

// heard is a store that hears of the forge's events.
type heard struct {
	*store.Store
	t       *testing.T
	forge   *forge
	now     time.Time
	tracked store.TrackedProject
}

func hear(t *testing.T, e storetest.Engine, f *forge) *heard {
	t.Helper()
	h := &heard{t: t, forge: f, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	policy := storetest.Policy
	policy.Tags = []string{"**"}
	h.Store = e.Open(t, store.Config{Now: func() time.Time { return h.now }, Policies: core.Policies{{Match: "**", Policy: policy}}})
	var err error
	shop := sighting("acme/shop", "42")
	if h.tracked, err = h.ClaimProject(t.Context(), shop, time.Minute); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *heard) deliver(n int) {
	h.t.Helper()
	h.now = h.now.Add(time.Second)
	d, p := h.event(n)
	if _, err := h.Accept(h.t.Context(), storetest.With(d, p)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *heard) event(n int) (core.Delivery, core.Push) {
	d, _ := storetest.PushOf(0)
	d.Key, d.ReceivedAt = fmt.Sprint("event-", n), h.now
	return d, h.forge.events[n]
}

// answer is the platform's to the question where all refs stand.
func (h *heard) answer() {
	h.t.Helper()
	h.now = h.now.Add(time.Second)
	picture, err := h.GetPicture(h.t.Context(), h.tracked.ProjectID)
	if err != nil {
		h.t.Fatal(err)
	}
	var answer []core.Ref
	for name, sha := range h.forge.refs {
		answer = append(answer, core.Ref{Name: name, SHA: sha})
	}
	for name := range picture.Refs {
		if h.forge.refs[name] == "" {
			answer = append(answer, core.Ref{Name: name})
		}
	}
	for name := range picture.Doubtful {
		if h.forge.refs[name] == "" && picture.Refs[name].SHA == "" {
			answer = append(answer, core.Ref{Name: name})
		}
	}
	h.now = h.now.Add(time.Second)
	if err := h.SeeRefs(h.t.Context(), h.tracked, picture, answer); err != nil {
		h.t.Fatal(err)
	}
}

// outcome is what became of the events: refs, and the status of each commit's scan. Where the platform has answered meanwhile, a
// status may name a later commit as the one that superseded it, and how a commit was left that stood where a ref was deleted
// is not known.
func (h *heard) outcome(answered bool) (lines []string) {
	h.t.Helper()
	refs, err := h.ListRefs(h.t.Context(), "github", "acme/shop", "", 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, ref := range refs {
		lines = append(lines, ref.Name+" "+numberOf(ref.SHA))
	}
	scans, err := h.ListScans(h.t.Context(), store.ScanFilter{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, scan := range scans {
		status := statusOf(h.t, h.Store, scan)
		line := "commit " + numberOf(scan.CommitSHA)
		if !answered {
			line += fmt.Sprint(" ", scan.Status, status.State, status.Description)
		} else if !h.forge.deletedAt[scan.CommitSHA] {
			line += fmt.Sprint(" ", scan.Status, status.State)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func numberOf(sha string) string {
	for n := range 200 {
		if storetest.SHA(n) == sha {
			return fmt.Sprint(n)
		}
	}
	return sha
}

// In whatever order the same events come, twice, together or between answers of the platform: the refs, the scans and the
// statuses are those of the true order.
func TestOrderOfEventsDoesNotMatter(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for seed := range uint64(12) {
			f := &forge{
				Rand: rand.New(rand.NewPCG(seed, 7)), refs: map[string]string{}, visited: map[string][]string{},
				deletedAt: map[string]bool{},
			}
			for range 4 + f.IntN(12) {
				f.act()
			}
			ordered, mixed := hear(t, e, f), hear(t, e, f)
			for n := range f.events {
				ordered.deliver(n)
			}
			ordered.answer()
			answered := mixed.deliverMixed(seed%2 == 0)
			mixed.answer()
			want, got := ordered.outcome(answered), mixed.outcome(answered)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, %v (-want +got):\n%s", seed, f.log(), diff)
			}
		}
	})
}

// deliverMixed delivers all events in another order, some twice, some together, and tells whether the platform answered
// meanwhile.
func (h *heard) deliverMixed(answers bool) (answered bool) {
	h.t.Helper()
	order := h.forge.Perm(len(h.forge.events))
	for i := 0; i < len(order); i++ {
		switch n := h.forge.IntN(8); {
		case n == 0 && answers:
			h.answer()
			answered = true
			h.deliver(order[i])
		case n == 1:
			h.deliver(order[h.forge.IntN(i+1)])
			h.deliver(order[i])
		case n == 2 && i+1 < len(order):
			if err := h.AcceptTogether(storetest.With(h.event(order[i])), storetest.With(h.event(order[i+1]))); err != nil {
				h.t.Fatal(err)
			}
			i++
		default:
			h.deliver(order[i])
		}
	}
	return answered
}

func (f *forge) log() (events []string) {
	for _, p := range f.events {
		events = append(events, p.Ref+" "+numberOf(p.Before)+">"+numberOf(p.After))
	}
	return events
}
