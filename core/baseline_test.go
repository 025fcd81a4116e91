package core_test

import (
	"github.com/scanhook/scanhook/core"
)

// knownOf is what the store keeps of compared findings.
func knownOf(findings []core.Finding) []core.Known {
	known := make([]core.Known, len(findings))
	for i, f := range findings {
		known[i] = core.Known{Fingerprint: f.Fingerprint, Anchor: f.Anchor, File: f.File, Line: f.Line}
	}
	return known
}
