package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const day = 24 * time.Hour

// past is a store whose clock a test moves.
type past struct {
	*store.Store
	now time.Time
	n   int
}

func newPast(t *testing.T, e storetest.Engine) *past {
	p := &past{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	p.Store = e.Open(t, store.Config{Now: func() time.Time { return p.now }})
	return p
}

// push announces the next commit, some days after the one before; change adjusts it.
func (p *past) push(t *testing.T, days int, change ...func(*core.Delivery, *core.Push)) core.Scan {
	t.Helper()
	p.n++
	p.now = p.now.Add(time.Duration(days) * day)
	d, push := storetest.PushOf(p.n, change...)
	return accept(t, p.Store, d, push)
}

// scanned is push, with what gitleaks found, and the status posted.
func (p *past) scanned(t *testing.T, days int, change ...func(*core.Delivery, *core.Push)) core.Scan {
	t.Helper()
	scan := p.push(t, days, change...)
	run(t, p.Store, finding(fmt.Sprint("rule-", p.n), core.High), finding("lasting", core.Low))
	p.postAll(t)
	return scan
}

func (p *past) postAll(t *testing.T) {
	t.Helper()
	for {
		claimed, err := p.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(claimed) == 0 {
			return
		}
		for _, status := range claimed {
			if err := p.SettleStatus(t.Context(), status, store.Settlement{Posted: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// prune removes what is older than 90 days, and branches' last scans older than a year.
func (p *past) prune(t *testing.T) (removed int) {
	t.Helper()
	rule := store.ScanRetention{Before: p.now.Add(-90 * day), Heads: p.now.Add(-365 * day), Newest: 1, Metrics: 3}
	for after := int64(0); ; {
		n, next, err := p.PruneScans(t.Context(), rule, after)
		if err != nil {
			t.Fatal(err)
		}
		removed += n
		if after = next; next == 0 {
			return removed
		}
	}
}

func (p *past) left(t *testing.T, scans ...core.Scan) (left []int) {
	t.Helper()
	for i, scan := range scans {
		_, err := p.GetScan(t.Context(), scan.ReferenceID)
		if err != nil && !errors.Is(err, core.ErrGone) {
			t.Fatal(err)
		}
		if err == nil {
			left = append(left, i)
		}
	}
	return left
}

func TestPruneScansKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	onBranch := storetest.OnBranch("topic")
	elsewhere := func(_ *core.Delivery, p *core.Push) { p.Project.Name, p.Project.Ref = "acme/other", "43" }
	created := func(_ *core.Delivery, p *core.Push) { p.Before = strings.Repeat("0", 40) }
	tests := map[string]struct {
		make func(t *testing.T, p *past) []core.Scan
		want []int
	}{
		"the last of the default branch, its baseline, and the young": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
		}, []int{2, 3, 4}},
		"the only one": {func(t *testing.T, p *past) []core.Scan {
			scan := p.scanned(t, 0)
			p.now = p.now.Add(1000 * day)
			return []core.Scan{scan}
		}, []int{0}},
		"the last of a branch for a year": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.scanned(t, 0), p.scanned(t, 1, onBranch), p.scanned(t, 1, onBranch), p.scanned(t, 300)}
		}, []int{0, 2, 3}},
		"not the last of a branch for longer": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.scanned(t, 0, onBranch), p.scanned(t, 1, onBranch), p.scanned(t, 400, created), p.scanned(t, 1)}
		}, []int{2, 3}},
		"the last of a branch that is known to stand there": {func(t *testing.T, p *past) []core.Scan {
			scans := []core.Scan{p.scanned(t, 0, onBranch), p.scanned(t, 1, onBranch), p.scanned(t, 400, created), p.scanned(t, 1)}
			p.stands(t, "refs/heads/topic", scans[1].CommitSHA)
			return scans
		}, []int{1, 2, 3}},
		"what waits for reports": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.push(t, 0), p.push(t, 100, onBranch)}
		}, []int{0, 1}},
		"what a status is wanted for": {func(t *testing.T, p *past) []core.Scan {
			scans := []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
			say(t, p.Store, findingsOf(t, p.Store, scans[0])["rule-1"], core.FalsePositive)
			return scans
		}, []int{0, 2, 3, 4}},
		"the first attempt of a younger one": {func(t *testing.T, p *past) []core.Scan {
			scans := []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
			if _, err := p.Rescan(t.Context(), scans[0].ReferenceID, "ann"); err != nil {
				t.Fatal(err)
			}
			return scans
		}, []int{0, 2, 3, 4}},
		"nothing of one project for another": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{
				p.scanned(t, 0), p.scanned(t, 1, elsewhere), p.scanned(t, 1), p.scanned(t, 200), p.scanned(t, 1),
			}
		}, []int{1, 2, 3, 4}},
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPast(t, e)
				scans := test.make(t, p)
				removed := p.prune(t)
				if diff := cmp.Diff(test.want, p.left(t, scans...)); diff != "" || removed != len(scans)-len(test.want) {
					t.Errorf("removed %d of %d, left (-want +got):\n%s", removed, len(scans), diff)
				}
				if again := p.prune(t); again != 0 {
					t.Errorf("a second time removed %d more", again)
				}
			})
		}
	})
}

// stands says where a ref was seen.
func (p *past) stands(t *testing.T, ref, sha string) {
	t.Helper()
	shop := store.KnownProject{SourcePlatform: "github", ProjectName: "acme/shop"}
	if err := p.WatchProjects(t.Context(), []store.KnownProject{shop}); err != nil {
		t.Fatal(err)
	}
	w, err := p.GetWatched(t.Context(), shop.SourcePlatform, shop.ProjectName)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.PutHeads(t.Context(), w.ID, []core.Head{{Ref: ref, SHA: sha}}, nil); err != nil {
		t.Fatal(err)
	}
}
