package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is an edit of the source that makes Scanhook break a promise. It is compiled from a copy.
type mutant struct {
	edits   []edit
	scale   scale
	promise string // that must be found broken
	always  bool   // tried in the smoke test too
}

type edit struct{ file, old, new string }

// mutants are mistakes that a run must notice.
var mutants = map[string]mutant{
	"acknowledges before it is on disk": {
		edits: []edit{{
			"store/intake.go",
			"	if err := s.intake.Do(ctx, item); err != nil {\n		return core.Receipt{}, sqldb.Classify(err)\n	}\n",
			"	later := *item\n	go func() { _ = s.intake.Do(context.Background(), &later) }()\n" +
				"	if item.Scan != nil {\n		return core.Receipt{Outcome: core.ScanCreated, Reference: item.Scan.ReferenceID}, nil\n	}\n" +
				"	_ = sqldb.Classify\n",
		}},
		scale: scale{Deliveries: 300, PerSecond: 60, Restarts: 1}, promise: lost, always: true,
	},
	"takes a failed post for a posted status": {
		edits: []edit{{"internal/statuses/statuses.go", "if err == nil {", "if err == nil || !errors.Is(err, platforms.ErrTooEarly) {"}},
		scale: scale{Deliveries: 300, PerSecond: 60}, promise: wrongStatus,
	},
	"lets two workers have one job": {
		edits: []edit{
			{"store/jobs.go", "`lease_until <= :expired AND lapses", "`lease_until <> :expired AND lapses"},
			{"store/jobs.go", "`id = :id AND state = 'running' AND worker = :worker AND attempt = :attempt`", "`id = :id`"},
		},
		scale: scale{Deliveries: 200, PerSecond: 20, Checked: 60}, promise: duplicated,
	},
	"takes the living for dead": {
		edits: []edit{{"store/jobs.go", "`lease_until <= :expired AND lapses", "`lease_until <> :expired AND lapses"}},
		scale: scale{Deliveries: 200, PerSecond: 20, Checked: 60}, promise: falselyDead,
	},
	"calls in spite of Retry-After": {
		edits: []edit{
			{"platforms/throttle.go", "left > 0", "left > 1<<62"},
			{"internal/statuses/statuses.go", "s.pauses.Paused(s.platform, s.Now())", "s.pauses.Paused(\"\", s.Now())"},
		},
		scale: scale{Deliveries: 900, PerSecond: 60}, promise: ignoredLimit,
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
			db := postgresDatabase(t)
			m.scale.Seed = *seed
			found := run(t, builtWith(t, overlay(t, m.edits)...), db, 2, m.scale)
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
			overlay(t, m.edits)
		})
	}
}

// overlay tells the compiler to take edited copies of source files.
func overlay(t *testing.T, edits []edit) (flags []string) {
	t.Helper()
	dir, texts := t.TempDir(), map[string]string{}
	for _, e := range edits {
		file, err := filepath.Abs(filepath.Join("../..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		if _, read := texts[file]; !read {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(text)
		}
		if strings.Count(texts[file], e.old) != 1 {
			t.Fatalf("%s has changed: change this edit so that it makes the mistake again: %s", e.file, e.old)
		}
		texts[file] = strings.Replace(texts[file], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		replace[file] = filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-overlay", filepath.Join(dir, "overlay.json")}
}
