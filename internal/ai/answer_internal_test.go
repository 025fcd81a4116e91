package ai

import (
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

// Whatever a model answers becomes an opinion that keeps to its bounds, or an error.
func FuzzParse(f *testing.F) {
	f.Add(`{"verdict":"false_positive","confidence":1,"reasoning":"r","evidence":["import os"],"patch":null}`)
	f.Add("```json\n" + `{"verdict":"unsure","confidence":0.5,"reasoning":"r","evidence":[]}` + "\n```")
	f.Add(`{"verdict":"true_positive","confidence":1,"reasoning":"r","evidence":["import os"],` +
		`"patch":"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-import os\n+import sys\n"}`)
	verdicts := []Verdict{TruePositive, FalsePositive, Unsure}
	about := ReviewRequest{Finding: core.Finding{File: "f"}, Source: "import os\n", Shown: "import os\n"}
	f.Fuzz(func(t *testing.T, content string) {
		o, err := parse(content)
		if err != nil {
			return
		}
		o = about.check(o)
		if !slices.Contains(verdicts, o.Verdict) || o.Confidence < 0 || o.Confidence > 1 || strings.ContainsRune(o.Reasoning, 0) {
			t.Errorf("%q became %+v", content, o)
		}
		if err := o.Update(about.Finding, "model", true).Check(); err != nil {
			t.Errorf("%q cannot be stored: %v", content, err)
		}
	})
}
