package core_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scanhook/scanhook/core"
)

// BenchmarkCompare compares 100,000 findings with 100,000 known ones; a tenth of them came or went.
func BenchmarkCompare(b *testing.B) {
	const many = 100_000
	shapes := map[string]func(n int) core.Finding{
		"all different": func(n int) core.Finding {
			f := at(fmt.Sprintf("f%d:%d", n%900, n), fmt.Sprint("call(", n, ")"))
			f.RuleID = fmt.Sprint("r", n%50)
			return f
		},
		"a hundred equals each": func(n int) core.Finding {
			return core.Finding{RuleID: "r", File: fmt.Sprint("f", n%1000), Line: n, Snippet: "call()"}
		},
		"all equal": func(n int) core.Finding {
			return core.Finding{RuleID: "r", File: "f", Line: n, Snippet: "call()"}
		},
		"without code": func(n int) core.Finding {
			return core.Finding{RuleID: "r", File: fmt.Sprint("f", n%900), Message: fmt.Sprint("text ", n)}
		},
		"renamed": func(n int) core.Finding {
			return at(fmt.Sprintf("d%d/f%d:%d", n/many, n%900, n%many), fmt.Sprint("x", n%many))
		},
	}
	for name, shape := range shapes {
		b.Run(name, func(b *testing.B) {
			var before, after []core.Finding
			const message = "Potential file inclusion via variable, line 12: see https://example.com/rules/304 for advice"
			for n := range many {
				before = append(before, shape(n))
				after = append(after, shape(n+many/10))
			}
			for i := range before {
				before[i].Message += message
				after[i].Message += message
			}
			core.Compare(before, core.Past{})
			known := knownOf(before)
			b.ResetTimer()
			for b.Loop() {
				core.Compare(slices.Clone(after), core.Past{Known: known})
			}
		})
	}
}
