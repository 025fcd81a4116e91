package store_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

// A project keeps what is known of it when it gets another name, and nobody else does.
func TestRenamedProjectKeepsItsPast(t *testing.T) {
	t.Parallel()
	called := func(name, ref string) func(*core.Delivery, *core.Push) {
		return func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name, p.Project.Ref = name, name, ref }
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		open := func(n int, change ...func(*core.Delivery, *core.Push)) core.Scan {
			d, p := storetest.PushOf(n, change...)
			return accept(t, s, d, p)
		}
		old := open(1)
		deliver(t, s, old, "semgrep", found("a", "b"))
		deliver(t, s, old, "trivy", core.Report{})
		say(t, s, findingsOf(t, s, old)["b"], core.FalsePositive)

		for n, test := range map[int]struct {
			name, ref, want string
		}{
			2: {"acme/store", "42", "1 new (1 low), 1 known, 1 dismissed"},
			3: {"acme/other", "43", "3 new (3 low)"},
			4: {"acme/nameless", "", "3 new (3 low)"},
		} {
			scan := open(n, called(test.name, test.ref))
			deliver(t, s, scan, "trivy", core.Report{})
			if scan = deliver(t, s, scan, "semgrep", found("a", "b", "c")); scan.Summary != test.want {
				t.Errorf("%s: %q, want %q", test.name, scan.Summary, test.want)
			}
		}

		renamed := open(5, called("acme/store", "42"))
		say(t, s, findingsOf(t, s, get(t, s, scanOf(t, s, 2).ReferenceID))["b"], core.TruePositive)
		deliver(t, s, renamed, "trivy", core.Report{})
		renamed = deliver(t, s, renamed, "semgrep", found("a", "b", "c"))
		if want := "0 new, 3 known"; renamed.Summary != want {
			t.Errorf("the second scan under the new name: %q, want %q", renamed.Summary, want)
		}
	})
}
