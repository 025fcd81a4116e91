package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mistake is an edit of the source by which Scanhook breaks a promise. It is built beside the source, never into it.
type mistake struct {
	edits   []edit
	scale   scale
	promise string // that must be found broken
	always  bool   // tried in the smoke test too
}

type edit struct{ file, old, new string }

// What happens when somebody gets it wrong: the run must notice each of these.
var mistakes = map[string]mistake{
	"acknowledges before it is on disk": {
		edits: []edit{
			{"store/batcher.go", "if !b.enqueue(item) {", "later := *item\n	if !b.enqueue(&later) {"},
			{
				"store/batcher.go",
				"	select {\n	case err := <-item.done:\n		return err\n	case <-ctx.Done():\n		return ctx.Err()\n	}\n",
				"	if item.scan != nil {\n		item.receipt = core.Receipt{Outcome: core.ScanCreated, Reference: item.scan.ReferenceID}\n	}\n	return nil\n",
			},
		},
		scale: scale{Deliveries: 300, PerSecond: 60, Restarts: 1}, promise: lost, always: true,
	},
	"takes a failed post for a posted status": {
		edits: []edit{{"internal/statuses/outcome.go", "if err == nil {", "if err == nil || !errors.Is(err, platforms.ErrTooEarly) {"}},
		scale: scale{Deliveries: 300, PerSecond: 60}, promise: untrue,
	},
	"lets two workers have one job": {
		edits: []edit{
			{"store/jobs.go", "OR lease_until <= ? AND lapses", "OR lease_until <> ? AND lapses"},
			{"store/jobs.go", "`id = :id AND state = 'running' AND worker = :worker AND attempt = :attempt`", "`id = :id`"},
		},
		scale: scale{Deliveries: 200, PerSecond: 20, Checked: 60}, promise: twice,
	},
	"takes the living for dead": {
		edits: []edit{{"store/jobs.go", "OR lease_until <= ? AND lapses", "OR lease_until <> ? AND lapses"}},
		scale: scale{Deliveries: 200, PerSecond: 20, Checked: 60}, promise: undead,
	},
	"calls in spite of Retry-After": {
		edits: []edit{
			{"platforms/quiet.go", "left > 0", "left > 1<<62"},
			{"internal/statuses/statuses.go", "s.pauses.Paused(s.platform, s.Now())", "s.pauses.Paused(\"\", s.Now())"},
		},
		scale: scale{Deliveries: 900, PerSecond: 60}, promise: intruding,
	},
}

func TestChaosFindsMistakes(t *testing.T) {
	wanted(t)
	t.Parallel()
	for name, m := range mistakes {
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
			t.Fatalf("%s has changed: mend this edit, so that it makes the mistake again: %s", e.file, e.old)
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
