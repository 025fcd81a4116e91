package refs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// events reads words such as "1>2", "0>1" where the ref was created, "2>0" where it was deleted, "?>0" where the commit before
// is not named, "=1>2" for an answer of the platform, "!2" for one that is known to be the newest and "+2" for an upload. A number before a slash is a minute.
func events(t *testing.T, text string) (list []Event) {
	t.Helper()
	commit := func(word string) string {
		if word == "0" {
			return ""
		}
		return word
	}
	for n, word := range strings.Fields(text) {
		e := Event{Step: Step{At: noon.Add(time.Duration(n) * time.Second)}}
		if minute, rest, ok := strings.Cut(word, "/"); ok {
			var minutes int
			if _, err := fmt.Sscan(minute, &minutes); err != nil {
				t.Fatal(err)
			}
			e.At, word = noon.Add(time.Duration(minutes)*time.Minute), rest
		}
		if named, ok := strings.CutPrefix(word, "+"); ok {
			e.Source, e.After = Named, named
			list = append(list, e)
			continue
		}
		if ordered, ok := strings.CutPrefix(word, "!"); ok {
			e.Source, e.After = Ordered, commit(ordered)
			list = append(list, e)
			continue
		}
		if answer, ok := strings.CutPrefix(word, "="); ok {
			e.Source, word = Seen, answer
		}
		before, after, _ := strings.Cut(word, ">")
		e.Before, e.After = commit(before), commit(after)
		list = append(list, e)
	}
	return list
}

func TestApply(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0>1":                     "1",
		"!1 !3 !2":                "2",
		"2>3 !4":                  "4", // no doubt is left
		"!1 !0":                   "none",
		"0>1 1>2 2>3":             "3",
		"0>1 2>3 1>2":             "3", // each found its place
		"0>1 2>3":                 "1 ask",
		"0>1 2>3 =1>3":            "3",
		"0>1 2>3 =1>1":            "1",
		"0>1 1>2 0>1":             "2 ask", // late
		"0>1 1>2 1>2":             "2",     // by a second webhook
		"2>3":                     "3 ask", // its beginning is not known
		"2>3 =3>3 3>4":            "4 ask",
		"2>3 =3>3 59/3>4":         "4 ask",
		"2>3 =3>3 62/3>4":         "4",
		"0>1 1>0":                 "none",
		"0>1 1>0 0>2":             "2",
		"1>0":                     "none ask",
		"1>0 0>1":                 "none ask", // its deletion came first
		"2>0 1>2 0>1":             "1 ask",    // the platform will say that there is none
		"0>1 ?>0":                 "none ask",
		"?>0":                     "none ask",
		"0>1 2>1 1>2":             "1", // there and back, the way back first
		"0>1 1>2 2>1":             "1",
		"0>1 3>4 9/5>6":           "1 ask",
		"0>1 3>4 11/5>6":          "6 ask", // nobody answers
		"0>1 3>4 99/5>6":          "6 ask",
		"0>1 3>4 11/5>6 6>7":      "7 ask",
		"0>1 2>3 =0>1":            "1 ask", // an answer from before the first event
		"0>1 =1>2 1>2":            "2 ask", // announced late
		"0>1 2>3 0/=1>2":          "3",     // the question was put before 2>3 came
		"+1":                      "1 ask",
		"+1 +2":                   "2 ask",
		"+1 +2 2>3":               "3 ask",
		"+1 0>2":                  "2",
		"+1 4>5":                  "5 ask",
		"+1 =1>1 +2":              "1 ask",
		"0>1 +2":                  "1 ask", // whose push may be lost
		"0>1 +1":                  "1",
		"0>1 1>2 2>3 3>1 1>4 5>1": "4 ask",
		"0>1 1>2 5>6 =2>6 59/6>7": "7 ask",
		"0>1 =1>2 2>3":            "3 ask",
		"0>1 =1>2 62/2>3":         "3",
	} {
		s, told := State{}, ""
		for _, e := range events(t, text) {
			if _, ask := s.Apply(e, e.At); ask {
				told = " ask"
			} else {
				told = ""
			}
		}
		if got := orNone(s.SHA) + told; got != want {
			t.Errorf("%s: %s, want %s; %+v", text, got, want, s.Doubt)
		}
	}
}

// An event that is derived long after it came may fit by chance: the platform is asked, now and after those that follow.
func TestEventThatWasSetAside(t *testing.T) {
	t.Parallel()
	s := State{}
	apply := func(text string, came, now time.Duration) string {
		for _, e := range events(t, text) {
			e.At = noon.Add(came)
			if _, ask := s.Apply(e, noon.Add(now)); ask {
				return s.SHA + " ask"
			}
		}
		return s.SHA
	}
	for _, step := range []struct {
		text      string
		came, now time.Duration
		want      string
	}{
		{"0>1", 0, 0, "1"},
		{"2>3", time.Minute, time.Minute, "1 ask"}, // 1>2 was set aside
		{"=1>3", 2 * time.Minute, 2 * time.Minute, "3"},
		{"3>1", 90 * time.Minute, 90 * time.Minute, "1"},
		{"1>2", time.Minute, 100 * time.Minute, "2 ask"},
		{"2>4", 110 * time.Minute, 110 * time.Minute, "4 ask"},
		{"=4>1", 120 * time.Minute, 120 * time.Minute, "1"},
		{"1>5", 190 * time.Minute, 190 * time.Minute, "5"},
	} {
		if got := apply(step.text, step.came, step.now); got != step.want {
			t.Errorf("%s after %s: %s, want %s; %+v", step.text, step.now, got, step.want, s.Doubt)
		}
	}
}

func orNone(sha string) string {
	if sha == "" {
		return "none"
	}
	return sha
}

// The steps that a ref made are told as it made them, those that waited included.
func TestApplyTellsTheSteps(t *testing.T) {
	t.Parallel()
	s, told := State{}, []string{}
	for _, e := range events(t, "0>1 3>0 2>3 1>2 0>5 9>9") {
		steps, _ := s.Apply(e, e.At)
		for _, step := range steps {
			told = append(told, orNone(step.Before)+">"+orNone(step.After))
		}
	}
	if got := strings.Join(told, " "); got != "none>1 1>2 2>3 3>none none>5" {
		t.Errorf("steps %s", got)
	}
}

func TestWaitingEventsAreBounded(t *testing.T) {
	t.Parallel()
	s := State{SHA: "x"}
	for n := range 3 * maxWaiting {
		s.Apply(Event{Step: Step{Before: fmt.Sprint(2 * n), After: fmt.Sprint(2*n + 1), At: noon}}, noon)
	}
	if len(s.Doubt.Waiting) != maxWaiting || s.Doubt.Waiting[0].Before != fmt.Sprint(4*maxWaiting) {
		t.Errorf("%d wait, the first %+v", len(s.Doubt.Waiting), s.Doubt.Waiting[0])
	}
}

// world is a ref on its platform, the events that are under way, and what we know.
type world struct {
	*rand.Rand
	now      time.Time
	truth    string
	commits  int
	underway []Event
	known    State
	due      bool
	question *Event // without its answer
	log      []string
}

// act moves the ref on the platform: to a new commit, an old one, or away.
func (w *world) act() {
	before := w.truth
	switch n := w.IntN(10); {
	case before == "" || n < 6:
		w.commits++
		w.truth = fmt.Sprint(w.commits)
	case n < 9:
		w.truth = fmt.Sprint(1 + w.IntN(w.commits))
	default:
		w.truth = ""
	}
	if w.truth != before {
		w.underway = append(w.underway, Event{Step: Step{Before: before, After: w.truth, At: w.now}})
		w.log = append(w.log, "act "+orNone(before)+">"+orNone(w.truth))
	}
}

func (w *world) deliver() {
	n := min(w.IntN(len(w.underway)), w.IntN(len(w.underway)))
	e := w.underway[n]
	w.underway = slices.Delete(w.underway, n, n+1)
	w.apply(e)
}

func (w *world) apply(e Event) {
	if e.Source == Announced && w.IntN(2) == 0 { // otherwise it was kept as soon as it happened
		e.At = w.now
	}
	_, ask := w.known.Apply(e, w.now)
	w.due = w.due || ask
	w.log = append(w.log, fmt.Sprintf("%d %s>%s: %s %t", e.Source, orNone(e.Before), orNone(e.After), orNone(w.known.SHA), ask))
}

// ask puts the question; the answer is settled now and arrives later.
func (w *world) ask() {
	w.due = false
	w.question = &Event{Seen, Step{Before: w.known.SHA, After: w.truth, At: w.now}}
}

func (w *world) answer() {
	e := *w.question
	w.question = nil
	w.apply(e)
}

// Whatever the order in which events come, a ref ends where the platform has it.
func TestRefsEndWhereThePlatformHasThem(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50_000) {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), now: noon}
		for range w.IntN(3) { // before we know the project
			w.act()
		}
		w.ask()
		w.answer()
		for range 4 + w.IntN(30) {
			w.now = w.now.Add(time.Second)
			switch n := w.IntN(8); {
			case n < 3:
				w.act()
			case n < 6 && len(w.underway) > 0:
				w.deliver()
			case n == 6 && w.due && w.question == nil:
				w.ask()
			case n == 7 && w.question != nil:
				w.answer()
			}
		}
		for len(w.underway) > 0 || w.due || w.question != nil {
			w.now = w.now.Add(time.Second)
			switch {
			case w.question != nil:
				w.answer()
			case len(w.underway) > 0:
				w.deliver()
			default:
				w.ask()
			}
		}
		if w.known.SHA != w.truth {
			t.Fatalf("seed %d: %s, want %s\n%s", seed, orNone(w.known.SHA), orNone(w.truth), strings.Join(w.log, "\n"))
		}
	}
}
