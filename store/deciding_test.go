package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// everyKind has a finding of each severity and risk: CVE 0 is unlikely, 1 likely, 2 in the catalog, 3 unheard of.
func everyKind(prefix string) (list []core.Finding) {
	for _, severity := range core.Severities {
		for n := range 4 {
			f := vulnerable(n, severity)
			f.RuleID = fmt.Sprint(prefix, severity, n)
			f.Snippet = f.RuleID
			list = append(list, f)
		}
	}
	return list
}

// The list in SQL and the pure gate must agree on every finding, whatever the gate asks.
func TestDecidingFindingsAreThoseThatFailTheGate(t *testing.T) {
	t.Parallel()
	gates := map[string]core.Gate{
		"severity":           {FailOn: core.High, NewOnly: true},
		"severity, known":    {FailOn: core.Medium},
		"epss":               {FailOn: core.Never, NewOnly: true, EPSS: 0.1},
		"kev":                {FailOn: core.Never, KEV: true},
		"severity, epss":     {FailOn: core.Critical, NewOnly: true, EPSS: 0.1},
		"severity, epss kev": {FailOn: core.Critical, EPSS: 0.1, KEV: true},
		"never":              {FailOn: core.Never},
	}
	risks := []core.Tally{{MaxEPSS: 0.01}, {MaxEPSS: 0.3}, {KEV: true}, {}}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, gate := range gates {
			s := e.Open(t, store.Config{Policies: asking(func(g *core.Gate) { *g = gate })})
			put(t, s, scores(firstDay, 0.01, 0.3))
			put(t, s, catalog(2))
			scanOn(t, s, 1, "main", everyKind("known")...)
			fresh := everyKind("fresh")
			fresh[5].Suppressed = new("nosec")
			scan := scanOn(t, s, 2, "topic", append(everyKind("known"), fresh...)...)
			want := []int64{}
			for rule, f := range findingsOf(t, s, scan) {
				tally := risks[rule[len(rule)-1]-'0']
				tally.Severity, tally.BaselineState, tally.Dismissed, tally.N = f.Severity, f.BaselineState, f.Suppressed != nil, 1
				if gate.Judge([]core.Tally{tally}) == core.Fail {
					want = append(want, f.ID)
				}
			}
			slices.Sort(want)
			got := scan.DecidingIDs()
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || scan.NumDeciding != len(want) {
				t.Errorf("%s: %d in all (-gate +list):\n%s", name, scan.NumDeciding, diff)
			}
		}
	})
}
