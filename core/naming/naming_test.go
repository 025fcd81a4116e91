package naming_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/naming"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(hour int) time.Time { return start.Add(time.Duration(hour) * time.Hour) }

// kept is a table of projects.
type kept struct {
	t    *testing.T
	rows []core.KeptProject
}

// see settles a sighting as the store does, and returns the project that was meant.
func (k *kept) see(s naming.Sighting) core.KeptProject {
	k.t.Helper()
	s.Platform = "github"
	own := slices.IndexFunc(k.rows, func(p core.KeptProject) bool { return s.Ref != "" && p.Ref == s.Ref || s.ID != 0 && p.ID == s.ID })
	var known []core.KeptProject
	for _, p := range k.rows {
		if p.NameKey == core.ProjectKey(s.Name) || own >= 0 && p.NameKey == k.rows[own].NameKey {
			known = append(known, p)
		}
	}
	meant, changed := s.Settle(known, at(1000))
	for _, p := range changed {
		if p.ID == 0 {
			k.rows = append(k.rows, core.KeptProject{})
			p.ID, meant.ID = int64(len(k.rows)), int64(len(k.rows))
		}
		k.rows[p.ID-1] = p
		k.check()
	}
	return k.rows[meant.ID-1]
}

// check asserts what the indexes of the table do.
func (k *kept) check() {
	k.t.Helper()
	unique := map[string]bool{}
	for _, p := range k.rows {
		for _, key := range []string{"#" + p.Ref, p.NameKey} {
			if live := key == p.NameKey && p.GoneAt == nil || key != p.NameKey && p.Ref != ""; live && unique[key] {
				k.t.Fatalf("two projects are %s: %s", key, k)
			}
			unique[key] = unique[key] || key == p.NameKey && p.GoneAt == nil || key != p.NameKey
		}
	}
}

func (k *kept) String() string {
	var list []string
	for _, p := range k.rows {
		list = append(list, fmt.Sprintf("%s=%s gone:%t", p.Ref, p.Name, p.GoneAt != nil))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func seen(ref, name string, hour int) naming.Sighting {
	return naming.Sighting{Project: core.Project{Ref: ref, Name: name}, At: at(hour)}
}

func deleted(ref, name string, hour int) naming.Sighting {
	s := seen(ref, name, hour)
	s.Deleted = true
	return s
}

func undated(s naming.Sighting) naming.Sighting {
	s.Undated = true
	return s
}

func TestSettle(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sightings []naming.Sighting
		want      string
	}{
		"a rename":               {[]naming.Sighting{seen("1", "a/x", 1), seen("1", "a/y", 2)}, "1=a/y gone:false"},
		"a late call":            {[]naming.Sighting{seen("1", "a/y", 2), seen("1", "a/x", 1)}, "1=a/y gone:false"},
		"another spelling":       {[]naming.Sighting{seen("1", "A/x", 1), seen("1", "a/X", 2)}, "1=A/x gone:false"},
		"made again":             {[]naming.Sighting{seen("1", "a/x", 1), seen("2", "A/x", 2)}, "1=a/x gone:true, 2=A/x gone:false"},
		"made again, late":       {[]naming.Sighting{seen("2", "a/x", 2), seen("1", "a/x", 1)}, "1=a/x gone:true, 2=a/x gone:false"},
		"made again, undated":    {[]naming.Sighting{undated(seen("1", "a/x", 1)), undated(seen("2", "a/x", 2)), undated(seen("1", "a/x", 3))}, "1=a/x gone:true, 2=a/x gone:false"},
		"a name gets its id":     {[]naming.Sighting{seen("", "a/x", 1), seen("1", "a/x", 2)}, "1=a/x gone:false"},
		"a name that has an id":  {[]naming.Sighting{seen("1", "a/x", 1), seen("", "a/X", 2)}, "1=a/x gone:false"},
		"a rename to a name":     {[]naming.Sighting{seen("1", "a/x", 1), seen("", "a/y", 2), seen("1", "a/y", 3)}, "1=a/y gone:false, =a/y gone:true"},
		"names change hands":     {[]naming.Sighting{seen("1", "a/x", 1), seen("2", "a/y", 1), seen("1", "a/z", 2), seen("2", "a/x", 3), seen("1", "a/y", 4)}, "1=a/y gone:false, 2=a/x gone:false"},
		"a name is taken, first": {[]naming.Sighting{seen("1", "a/x", 1), seen("2", "a/x", 3), seen("1", "a/z", 2)}, "1=a/z gone:false, 2=a/x gone:false"},
		"deleted":                {[]naming.Sighting{seen("1", "a/x", 1), deleted("1", "a/x", 2)}, "1=a/x gone:true"},
		"deleted, late":          {[]naming.Sighting{deleted("1", "a/x", 2), seen("1", "a/x", 1)}, "1=a/x gone:true"},
		"deleted and restored":   {[]naming.Sighting{seen("1", "a/x", 3), deleted("1", "a/x", 2)}, "1=a/x gone:false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &kept{t: t}
			for _, s := range test.sightings {
				k.see(s)
			}
			if got := k.String(); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// The platform leads from a name to another one: a project without an id goes with it.
func TestSettleWhereThePlatformLeads(t *testing.T) {
	t.Parallel()
	k := &kept{t: t}
	led := seen("", "a/y", 2)
	led.ID = k.see(seen("", "a/x", 1)).ID
	if k.see(led); k.String() != "=a/y gone:false" {
		t.Error(k)
	}
}

// history makes random projects, renames, deletes and makes them anew under names that are free, and returns what is seen of
// that, and how it ends.
func history(random *rand.Rand) (sightings []naming.Sighting, truth string) {
	holders := map[string]string{} // by name
	names := []string{"a/v", "a/w", "a/x", "a/y", "a/z"}
	end := map[string]string{}
	for hour := range 12 + random.IntN(20) {
		name, target := names[random.IntN(len(names))], names[random.IntN(len(names))]
		ref := holders[name]
		switch {
		case ref == "":
			ref = fmt.Sprint(100 + hour)
			holders[name] = ref
			sightings = append(sightings, seen(ref, name, hour))
		case random.IntN(3) == 0:
			delete(holders, name)
			sightings = append(sightings, deleted(ref, name, hour))
			end[ref] = fmt.Sprintf("%s=%s gone:true", ref, name)
			continue
		case holders[target] == "":
			delete(holders, name)
			holders[target], name = ref, target
			sightings = append(sightings, seen(ref, name, hour))
		default:
			sightings = append(sightings, seen(ref, name, hour))
		}
		end[ref] = fmt.Sprintf("%s=%s gone:false", ref, name)
	}
	var list []string
	for _, line := range end {
		list = append(list, line)
	}
	slices.Sort(list)
	return sightings, strings.Join(list, ", ")
}

// Whatever the order in which renames, deletions and new projects are heard of, and how often, the same projects have the same
// names in the end.
func TestOrderOfSightingsDoesNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		sightings, truth := history(random)
		for range 8 {
			k := &kept{t: t}
			for _, s := range sightings {
				k.see(s)
			}
			if got := k.String(); got != truth {
				t.Fatalf("seed %d: %s, want %s", seed, got, truth)
			}
			sightings = append(sightings, sightings[random.IntN(len(sightings))])
			random.Shuffle(len(sightings), func(i, j int) { sightings[i], sightings[j] = sightings[j], sightings[i] })
		}
	}
}
