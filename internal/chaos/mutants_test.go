//go:build linux

package chaos

import (
	"os/exec"
	"path"
	"testing"

	"github.com/scanhook/scanhook/internal/servetest"
)

// mutant is an edit of the source that makes Scanhook break a promise. It is compiled from a copy.
type mutant struct {
	edits   []servetest.Edit
	scale   scale
	promise string // that must be found broken
	always  bool   // tried in the smoke test too
}

// mutants are mistakes that a run must notice.
var mutants = map[string]mutant{
	"acknowledges before it is on disk": {
		edits: []servetest.Edit{{
			File: "store/deliveries.go",
			Old:  "	if err := s.keeping.Do(ctx, item); err != nil {\n",
			New: "	later := &keeping{Call: call, key: item.key}\n" +
				"	go func() { _ = s.keeping.Do(context.Background(), later) }()\n	if err := ctx.Err(); err != nil {\n",
		}},
		scale: scale{Load: servetest.Load{Deliveries: 300, PerSecond: 60}, Restarts: 2}, promise: servetest.Lost, always: true,
	},
	"takes a failed post for a posted status": {
		edits: []servetest.Edit{{File: "internal/statuses/statuses.go", Old: "if err == nil {", New: "if err == nil || !errors.Is(err, platforms.ErrTooEarly) {"}},
		scale: scale{Load: servetest.Load{Deliveries: 300, PerSecond: 60}}, promise: servetest.WrongStatus,
	},
	"lets two workers have one job": {
		edits: []servetest.Edit{
			{File: "store/jobs.go", Old: "`lease_until <= :expired AND lapses", New: "`lease_until <> :expired AND lapses"},
			{File: "store/jobs.go", Old: "`id = :id AND state = 'running' AND worker = :worker AND attempt = :attempt`", New: "`id = :id`"},
		},
		scale: scale{Load: servetest.Load{Deliveries: 200, PerSecond: 20, Checked: 60}}, promise: servetest.Duplicated,
	},
	"takes the living for dead": {
		edits: []servetest.Edit{{File: "store/jobs.go", Old: "`lease_until <= :expired AND lapses", New: "`lease_until <> :expired AND lapses"}},
		scale: scale{Load: servetest.Load{Deliveries: 200, PerSecond: 20, Checked: 60}}, promise: servetest.FalselyDead,
	},
	"calls in spite of Retry-After": {
		edits: []servetest.Edit{
			{File: "platforms/throttle.go", Old: "left > 0", New: "left > 1<<62"},
			{File: "internal/statuses/statuses.go", Old: "s.pauses.Paused(s.platform, s.Now())", New: "s.pauses.Paused(\"\", s.Now())"},
		},
		scale: scale{Load: servetest.Load{Deliveries: 900, PerSecond: 60}}, promise: servetest.IgnoredLimit,
	},
}

func TestChaosFindsMutants(t *testing.T) {
	wanted(t)
	t.Parallel()
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			if !m.always && !full() {
				t.Skip("part of the long run only")
			}
			t.Parallel()
			db := servetest.OwnPostgres(t)
			m.scale.Seed = *seed
			found := run(t, servetest.Build(t, servetest.Overlay(t, m.edits)...), db, 2, m.scale)
			if len(found[m.promise]) == 0 {
				t.Errorf("the run did not find: %s; it found:\n%s", m.promise, found)
			}
			t.Logf("found as it should:\n%s", found)
		})
	}
}

// Code that moves or changes must take the edits along.
func TestMutantsFitTheSource(t *testing.T) {
	t.Parallel()
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := append([]string{"build"}, servetest.Overlay(t, m.edits)...)
			for _, edit := range m.edits {
				build = append(build, "github.com/scanhook/scanhook/"+path.Dir(edit.File))
			}
			if said, err := exec.Command("go", build...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
}
